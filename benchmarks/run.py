#!/usr/bin/env python3
"""./bench [NAME...]: one JSON line per bench and peer. Each ends within 90 s."""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
import peers  # noqa: E402
from lib import BUILD, Daemon, line, rss_bytes, sip_load  # noqa: E402


def registration():
    with Daemon(21000) as d:
        users = d.users(2000)
        cpu, r, _ = sip_load("register", d.sip, users, 30000, 64, d.proc.pid)
        ours = cpu / r["ops"] * 1e6
        peer = peers.kamailio(users)
    with Daemon(21000) as d:
        # Memory of a registration itself: transactions of the first thousand have ended (32 s) and lend their memory.
        users = d.users(2000)
        first = os.path.join(d.site, "first.txt")
        with open(users) as f:
            lines = f.readlines()
        with open(first, "w") as h:
            h.writelines(lines[:1000])
        half = os.path.join(d.site, "half.txt")
        with open(half, "w") as h:
            h.writelines(lines[1000:])
        sip_load("register", d.sip, first, 1000, 64, d.proc.pid)
        time.sleep(34)
        _, _, grown = sip_load("register", d.sip, half, 1000, 64, d.proc.pid)
        line(bench="registration", cpu_us_per_op=round(ours, 2), ops=r["ops"], failed=r["failed"], retransmits=r["retransmits"],
             bytes_per_op=round(grown / 1000), wall_s=r["wall_s"], peer="kamailio" if peer else None,
             peer_cpu_us_per_op=round(peer, 2) if peer else None)


def call():
    with Daemon(21000) as d:
        users = d.users(400)
        cpu, r, grown = sip_load("call", d.sip, users, 12000, 200, d.proc.pid, 2500)
        stored = int(subprocess.run(["sqlite3", os.path.join(d.site, "strowger.db"), "select count(*) from cdr where closed=1"],
                                    capture_output=True, text=True).stdout or -1)
        line(bench="call", cpu_us_per_op=round(cpu / r["ops"] * 1e6, 2), ops=r["ops"], failed=r["failed"], retransmits=r["retransmits"],
             cdr_rows=stored, bytes_per_op=round(grown / r["ops"]), wall_s=r["wall_s"])


def startup():
    with Daemon(21000) as d:
        d.stop()
        script = "BEGIN;" + "".join(f"INSERT INTO extension(number,revision) VALUES('{10000 + i}',1);INSERT INTO device(extension,kind,mac)"
                                    f" VALUES('{10000 + i}','polycom','0004f2{i:06x}');" for i in range(10000)) + "COMMIT;"
        subprocess.run(["sqlite3", os.path.join(d.site, "strowger.db")], input=script, text=True, check=True)
        best = None
        import socket
        for _ in range(3):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("127.0.0.1", 0))
            s.settimeout(0.005)
            msg = (f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{s.getsockname()[1]};branch=z9hG4bK%d;rport\r\nMax-Forwards: 70\r\n"
                   "From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: startup%d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
            import threading
            t0 = time.monotonic()
            th = threading.Thread(target=d.start)
            th.start()
            ms = None
            for i in range(4000):
                try:
                    s.sendto((msg % (i, i)).encode(), ("127.0.0.1", d.base))
                    s.recv(4096)
                    ms = (time.monotonic() - t0) * 1000
                    break
                except (TimeoutError, OSError):
                    time.sleep(0.001)
            th.join()
            d.stop()
            best = ms if best is None or (ms and ms < best) else best
            s.close()
        line(bench="startup", cpu_us_per_op=None, ops=1, ms_to_first_answer=round(best, 1) if best else None, extensions=10000)


def parse():
    found = False
    for name in ("parse", "parse_libre", "parse_sofia", "parse_osip2"):
        if (BUILD / name).exists():
            subprocess.run([str(BUILD / name)], check=False)
            found = True
    if not found:
        print(json.dumps({"bench": "parse", "error": "not built: the peers' -dev packages are missing"}))


def relay():
    import relay as r
    r.run()


def notify():
    import notify as n
    n.run()


BENCHES = {"parse": parse, "registration": registration, "notify": notify, "call": call, "relay": relay, "startup": startup}


def main():
    names = sys.argv[1:] or list(BENCHES)
    for n in names:
        if n not in BENCHES:
            sys.exit(f"bench: no bench named {n}; there are: {' '.join(BENCHES)}")
    bad = 0
    for n in names:
        try:
            BENCHES[n]()
        except Exception as e:  # one bench that fails must not hide the others
            print(json.dumps({"bench": n, "error": str(e)}), flush=True)
            bad = 1
    sys.exit(bad)


main()
