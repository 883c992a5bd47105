"""bench notify: CPU of a NOTIFY with its 200 at a fan-out of 200, how late the last of 200 is, memory of a subscription. On the
shipped daemon from outside: one phone's socket holds the subscriptions, notify_sink answers, the change comes by the API."""
import hashlib
import os
import re
import socket
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.dirname(__file__))
from lib import BUILD, Daemon, cpu_seconds, line, rss_bytes  # noqa: E402

FAN, ROUNDS, DEVICES = 200, 300, 20


def md5(*p):
    return hashlib.md5(":".join(p).encode()).hexdigest()


class Phone:
    def __init__(self, sock, dest, user, secret):
        self.s, self.dest, self.user, self.secret = sock, dest, user, secret
        self.addr, self.port = sock.getsockname()

    def send(self, raw):
        self.s.sendto(raw.encode(), self.dest)

    def answer(self):
        """The next answer; NOTIFYs on the way are acknowledged."""
        while True:
            got = self.s.recv(65536).decode()
            if not got.startswith("NOTIFY "):
                return got
            keep = [h for h in got.split("\r\n\r\n")[0].split("\r\n")[1:] if re.match(r"(Via|From|To|Call-ID|CSeq):", h)]
            self.send("SIP/2.0 200 OK\r\n" + "\r\n".join(keep) + "\r\nContent-Length: 0\r\n\r\n")

    def subscribe(self, name, auth):
        call, uri = uuid.uuid4().hex, f"sip:{name}@127.0.0.1"
        for cseq in (1, 2):
            cred = ""
            if auth.get("nonce"):
                auth["nc"] += 1
                nc = f"{auth['nc']:08x}"
                resp = md5(md5(self.user, auth["realm"], self.secret), auth["nonce"], nc, "c", "auth", md5("SUBSCRIBE", uri))
                cred = (f'Authorization: Digest username="{self.user}", realm="{auth["realm"]}", nonce="{auth["nonce"]}", uri="{uri}", '
                        f'response="{resp}", algorithm=MD5, qop=auth, nc={nc}, cnonce="c"\r\n')
            self.send(f"SUBSCRIBE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.addr}:{self.port};branch=z9hG4bK{uuid.uuid4().hex};rport\r\n"
                      f"Max-Forwards: 70\r\nFrom: <sip:{self.user}@127.0.0.1>;tag=t{call[:8]}\r\nTo: <{uri}>\r\nCall-ID: {call}\r\nCSeq: {cseq} SUBSCRIBE\r\n"
                      f"Contact: <sip:{self.user}@{self.addr}:{self.port}>\r\nEvent: x-strowger-test\r\nExpires: 7200\r\n{cred}Content-Length: 0\r\n\r\n")
            got = self.answer()
            if got.startswith("SIP/2.0 200"):
                return
            auth.update(nonce=re.search(r'nonce="([^"]+)"', got)[1], realm=re.search(r'realm="([^"]+)"', got)[1], nc=0)
        raise RuntimeError("no subscription: " + got)


def subscribe_all(d, sock, n, name):
    with open(d.users_file) as f:
        users = [x.split() for x in f]
    for i, (user, secret) in enumerate(users):
        p, auth = Phone(sock, ("127.0.0.1", d.base), user, secret), {}
        for k in range(n // len(users)):
            p.subscribe(name if name == "desk" else f"{name}{i}-{k}", auth)


def run():
    with Daemon(21000) as d:
        d.api("PATCH", "settings", {"test_events": True})
        d.users_file = d.users(DEVICES)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        subscribe_all(d, sock, FAN, "desk")
        sink = subprocess.Popen([str(BUILD / "notify_sink"), str(sock.fileno()), str(FAN)], pass_fds=[sock.fileno()], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        lasts, spreads, size = [], [], 0
        # What the API's call costs is measured at a name that nobody watches, and taken off: a lamp changes without it.
        api = cpu_seconds(d.proc.pid)
        for _ in range(ROUNDS):
            d.api("POST", "features/watchtest", {"args": "set nobody 600"})
        api = cpu_seconds(d.proc.pid) - api
        cpu = cpu_seconds(d.proc.pid)
        for _ in range(ROUNDS):
            t0 = time.monotonic()
            d.api("POST", "features/watchtest", {"args": "set desk 600"})
            first, last, size = map(int, sink.stdout.readline().split())
            lasts.append(last / 1e3 - t0 * 1e3)
            spreads.append((last - first) / 1e3)
        cpu = cpu_seconds(d.proc.pid) - cpu
        sink.stdin.close()
        sink.wait(5)
        more = 2000
        subscribe_all(d, sock, more, "a")
        time.sleep(34)  # transactions have ended and lend their memory to those of the next
        before = rss_bytes(d.proc.pid)
        subscribe_all(d, sock, more, "b")
        time.sleep(1)
        grown = rss_bytes(d.proc.pid) - before
        lasts.sort()
        spreads.sort()
        line(bench="notify", cpu_us_per_op=round((cpu - api) / (ROUNDS * FAN) * 1e6, 2), api_us_per_round=round(api / ROUNDS * 1e6, 1), ops=ROUNDS * FAN, fan_out=FAN, notify_bytes=size // FAN,
             last_of_200_ms=round(lasts[len(lasts) // 2], 2), last_of_200_ms_p99=round(lasts[int(len(lasts) * 0.99)], 2),
             first_to_last_ms=round(spreads[len(spreads) // 2], 2), bytes_per_subscription=grown // more, peer=None)
        sock.close()
