#!/usr/bin/env python3
"""rtpengine in user space under benchmarks/relay_load: offer and answer for N calls over its ng protocol, then the same load that
our own relay gets. Prints relay_load's JSON line with "peer" added.
rtpengine_relay.py [--calls N] [--seconds S] [--load build/relay_load] [--threads N] [--port-base N]"""
import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def bencode(v):
    if isinstance(v, dict):
        return b"d" + b"".join(bencode(k) + bencode(v[k]) for k in sorted(v)) + b"e"
    if isinstance(v, (list, tuple)):
        return b"l" + b"".join(map(bencode, v)) + b"e"
    if isinstance(v, int):
        return b"i%de" % v
    raw = v if isinstance(v, bytes) else v.encode()
    return b"%d:%s" % (len(raw), raw)


def bdecode(b, at=0):
    """Value and the offset behind it."""
    c = b[at:at + 1]
    if c == b"i":
        end = b.index(b"e", at)
        return int(b[at + 1:end]), end + 1
    if c in b"dl" and c:
        items, at = [], at + 1
        while b[at:at + 1] != b"e":
            v, at = bdecode(b, at)
            items.append(v)
        return (dict(zip(items[::2], items[1::2])) if c == b"d" else items), at + 1
    colon = b.index(b":", at)
    end = colon + 1 + int(b[at:colon])
    return b[colon + 1:end].decode(errors="replace"), end


class Ng:
    def __init__(self, port):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.connect(("127.0.0.1", port))
        self.s.settimeout(2)
        self.n = 0

    def ask(self, **what):
        self.n += 1
        cookie = b"c%d" % self.n
        self.s.send(cookie + b" " + bencode({k.replace("_", "-"): v for k, v in what.items()}))
        while True:
            got = self.s.recv(65536)
            if got.startswith(cookie + b" "):
                return bdecode(got, len(cookie) + 1)[0]


def sdp(port):
    return (f"v=0\r\no=- {port} 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n")


def relay_port(answer):
    if answer.get("result") != "ok":
        sys.exit(f"rtpengine: {answer}")
    return int(next(l for l in answer["sdp"].splitlines() if l.startswith("m=audio")).split()[1])


def set_up(ng, calls, first_port):
    lines = []
    for i in range(calls):
        a, b, ident = first_port + 4 * i, first_port + 4 * i + 2, f"bench-{os.getpid()}-{i}"
        to_b = relay_port(ng.ask(command="offer", call_id=ident, from_tag="a", sdp=sdp(a), ICE="remove", replace=["origin"]))
        to_a = relay_port(ng.ask(command="answer", call_id=ident, from_tag="a", to_tag="b", sdp=sdp(b), ICE="remove", replace=["origin"]))
        lines += [f"{a} 127.0.0.1:{to_a}", f"{b} 127.0.0.1:{to_b}"]
    return "\n".join(lines) + "\n"


def wait_for(ng, proc):
    for _ in range(50):
        if proc.poll() is not None:
            sys.exit(f"rtpengine ended with {proc.returncode}")
        try:
            if ng.ask(command="ping").get("result") == "pong":
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("rtpengine does not answer")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--calls", type=int, default=200)
    ap.add_argument("--seconds", type=float, default=10)
    ap.add_argument("--load", default=str(ROOT / "build/relay_load"))
    ap.add_argument("--threads", type=int, default=0, help="0: rtpengine's own default")
    ap.add_argument("--port-base", type=int, default=20000)
    o = ap.parse_args()
    if not shutil.which("rtpengine"):
        sys.exit("rtpengine is not installed (package rtpengine-daemon)")
    base = o.port_base
    cmd = ["rtpengine", "--config-file=none", "--foreground", "--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{base - 10}",
           f"--port-min={base}", f"--port-max={base + 8 * o.calls + 200}", "--log-stderr", "--log-level=3"]
    if o.threads:
        cmd.append(f"--num-threads={o.threads}")
    with tempfile.TemporaryFile() as log:
        proc = subprocess.Popen(cmd, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            ng = Ng(base - 10)
            wait_for(ng, proc)
            phones = set_up(ng, o.calls, 40000)
            out = subprocess.run([o.load, "--seconds", str(o.seconds), "--pid", str(proc.pid)], input=phones, capture_output=True, text=True)
            if not out.stdout:
                sys.exit(out.stderr or "relay_load said nothing")
            print(json.dumps({"peer": "rtpengine", "peer_version": version(), **json.loads(out.stdout)}))
        finally:
            proc.terminate()
            proc.wait(10)


def version():
    got = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "rtpengine-daemon"], capture_output=True, text=True)
    return got.stdout or None


main()
