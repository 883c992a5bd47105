#!/usr/bin/env python3
"""A crowd of phones that hold TLS connections: tls_load.py PORT CA N OFFSET. Each sits on an address of its own of 127.0.0.0/8
(100 to an address), sends OPTIONS once and keeps its ticket. Lines on standard input: up (all that are not there connect, with
their tickets), reset (all end with RST), quit. Each is answered by one line of JSON."""
import json
import resource
import socket
import ssl
import struct
import sys
import threading
import time

PORT, CA, N, OFFSET = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
THREADS = 4
conns, tickets = [None] * N, [None] * N
ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ctx.load_verify_locations(CA)


def dial(i):
    k = i + OFFSET
    source = f"127.1.{k // 100 // 250}.{k // 100 % 250 + 1}"
    s = socket.create_connection(("127.0.0.1", PORT), 30, source_address=(source, 0))
    s = ctx.wrap_socket(s, server_hostname="127.0.0.1", session=tickets[i])
    ip, port = s.getsockname()
    s.sendall(f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS {ip}:{port};branch=z9hG4bK{k}.{time.monotonic_ns()}\r\nMax-Forwards: 70\r\n"
              f"From: <sip:p{k}@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: {k}.{time.monotonic_ns()}\r\nCSeq: 1 OPTIONS\r\n"
              "Content-Length: 0\r\n\r\n".encode())
    if not s.recv(4096).startswith(b"SIP/2.0 200"):
        raise OSError("no 200")
    resumed, tickets[i] = s.session_reused, s.session
    conns[i] = s
    return resumed


def up():
    left, resumed, errors, lock = list(range(N)), [0], [], threading.Lock()
    for i in range(N):
        if conns[i]:
            conns[i].close()
            conns[i] = None
    began = time.monotonic()

    def work():
        while time.monotonic() < began + 120:
            with lock:
                if not left:
                    return
                i = left.pop()
            try:
                r = dial(i)
                with lock:
                    resumed[0] += r
            except OSError as e:
                with lock:
                    left.append(i)
                    errors.append(repr(e))
                time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return {"up": sum(c is not None for c in conns), "seconds": round(time.monotonic() - began, 2), "resumed": resumed[0],
            "again": len(errors), "last_error": errors[-1] if errors else ""}


def reset():
    for i in range(N):
        if conns[i]:
            conns[i].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conns[i].close()
            conns[i] = None
    return {"reset": N}


resource.setrlimit(resource.RLIMIT_NOFILE, (min(16000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
for line in sys.stdin:
    if line.strip() == "quit":
        break
    print(json.dumps({"up": up, "reset": reset}[line.strip()]()), flush=True)
