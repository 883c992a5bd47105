"""relay: CPU of the daemon for each RTP packet it forwards. 200 calls are set up by SIP (two sockets play all the phones, their
SDP names ports that relay_load binds afterwards), then relay_load sends 20,000 packets a second through them; the same load
goes through rtpengine in user space."""
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time

from lib import BUILD, ROOT, Daemon, line

CALLS = 200
SECONDS = 12
PORT_BASE = 23000
FIRST_RTP = 28000  # below the ephemeral ports
HEAD_END = b"\r\n\r\n"


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Message:
    def __init__(self, raw):
        head, _, body = raw.partition(HEAD_END)
        first, *rest = head.decode().split("\r\n")
        self.body = body.decode()
        self.status = int(first.split()[1]) if first.startswith("SIP/") else None
        self.method = None if self.status else first.split()[0]
        self.headers = [(n.strip().lower(), v.strip()) for n, _, v in (h.partition(":") for h in rest)]

    def get(self, name):
        return next((v for n, v in self.headers if n == name), "")

    def contact(self):
        return re.search(r"<([^>]+)>", self.get("contact")).group(1)

    def rtp(self):
        host = re.search(r"^c=IN IP4 (\S+)", self.body, re.M).group(1)
        port = re.search(r"^m=audio (\d+)", self.body, re.M).group(1)
        return f"{host}:{port}"


class Phones:
    """All phones of one side behind one socket."""

    def __init__(self, server):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind(("127.0.0.1", 0))
        self.s.settimeout(3)
        self.s.connect(server)
        self.server = server
        self.port = self.s.getsockname()[1]
        self.unique = 0

    def receive(self, want):
        """The next message for which want(m); others (100, 180, what is sent again) are passed over."""
        for _ in range(50):
            m = Message(self.s.recv(65536))
            if want(m):
                return m
        raise RuntimeError("relay: the switch sends other things than the call needs")

    def request(self, method, uri, user, peer, call_id, cseq, extra="", body="", to_tag=""):
        self.unique += 1
        typed = "Content-Type: application/sdp\r\n" if body else ""
        to = f"<sip:{peer}@127.0.0.1>" + (f";tag={to_tag}" if to_tag else "")
        self.s.send((f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bKr{self.port}x{self.unique};rport\r\n"
                     f"Max-Forwards: 70\r\nFrom: <sip:{user}@127.0.0.1>;tag=f{call_id}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n"
                     f"CSeq: {cseq} {method}\r\nContact: <sip:{user}@127.0.0.1:{self.port}>\r\n{extra}{typed}"
                     f"Content-Length: {len(body)}\r\n\r\n{body}").encode())

    def answer(self, req, status, tag, user, body=""):
        copied = "".join(f"{n.title()}: {v}\r\n" for n, v in req.headers if n in ("via", "record-route"))
        typed = "Content-Type: application/sdp\r\n" if body else ""
        self.s.send((f"SIP/2.0 {status} OK\r\n{copied}From: {req.get('from')}\r\nTo: {req.get('to')};tag={tag}\r\nCall-ID: {req.get('call-id')}\r\n"
                     f"CSeq: {req.get('cseq')}\r\nContact: <sip:{user}@127.0.0.1:{self.port}>\r\n{typed}"
                     f"Content-Length: {len(body)}\r\n\r\n{body}").encode())

    def authorized(self, method, uri, user, secret, peer, call_id, extra="", body=""):
        """Asks, is challenged, asks again: CSeq 2. The final answer is left to the caller of this."""
        self.request(method, uri, user, peer, call_id, 1, extra, body)
        m = self.receive(lambda m: m.status == 401 and m.get("call-id") == call_id)
        if method == "INVITE":
            tag = m.get("to").partition("tag=")[2]
            self.unique -= 1  # the ACK of a refusal goes by the INVITE's branch
            self.request("ACK", uri, user, peer, call_id, 1, to_tag=tag)
        c = dict(re.findall(r'(\w+)="?([^",]+)"?', m.get("www-authenticate")))
        ha1, ha2 = md5(f"{user}:{c['realm']}:{secret}"), md5(f"{method}:{uri}")
        response = md5(f"{ha1}:{c['nonce']}:00000001:bench:auth:{ha2}")
        auth = (f'Authorization: Digest username="{user}", realm="{c["realm"]}", nonce="{c["nonce"]}", uri="{uri}", response="{response}", '
                f'algorithm=MD5, cnonce="bench", qop=auth, nc=00000001\r\n')
        self.request(method, uri, user, peer, call_id, 2, extra + auth, body)


def sdp(port):
    return (f"v=0\r\no=- {port} 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n")


def register(phones, uri, user, secret):
    phones.authorized("REGISTER", uri, user, secret, user, f"reg-{user}", "Expires: 600\r\n")
    m = phones.receive(lambda m: m.status and m.status != 401)
    if m.status != 200:
        raise RuntimeError(f"relay: REGISTER of {user}: {m.status}")


def call(callers, callees, server, a, b, number):
    """One call up. -> relay_load's two lines."""
    pa, pb, ident = FIRST_RTP + 4 * number, FIRST_RTP + 4 * number + 2, f"relay-{number}"
    callers.authorized("INVITE", f"sip:{b[0]}@{server}", a[0], a[1], b[0], ident, "", sdp(pa))
    inv = callees.receive(lambda m: m.method == "INVITE")
    callees.answer(inv, 200, f"t{number}", b[0], sdp(pb))
    callees.receive(lambda m: m.method == "ACK")
    ok = callers.receive(lambda m: m.status and m.status >= 200 and m.get("call-id") == ident and m.get("cseq") == "2 INVITE")
    if ok.status != 200:
        raise RuntimeError(f"relay: call {number}: {ok.status}")
    callers.request("ACK", ok.contact(), a[0], b[0], ident, 2, to_tag=ok.get("to").partition("tag=")[2])
    return [f"{pa} {ok.rtp()}", f"{pb} {inv.rtp()}"]


def load(pid, lines):
    p = subprocess.run([str(BUILD / "relay_load"), "--seconds", str(SECONDS), "--pid", str(pid)], input="\n".join(lines) + "\n",
                       capture_output=True, text=True, timeout=SECONDS + 20)
    if not p.stdout:
        raise RuntimeError(p.stderr or "relay_load said nothing")
    return json.loads(p.stdout)


def ours():
    with Daemon(PORT_BASE) as d:
        with open(d.users(2 * CALLS)) as f:
            users = [u.split() for u in f]
        server = ("127.0.0.1", d.base)
        callers, callees = Phones(server), Phones(server)
        for i, (user, secret) in enumerate(users):
            register(callees if i % 2 else callers, f"sip:{d.sip}", user, secret)
        lines = []
        for i in range(CALLS):
            lines += call(callers, callees, d.sip, users[2 * i], users[2 * i + 1], i)
        time.sleep(0.3)
        return load(d.proc.pid, lines)


def theirs():
    """None where rtpengine is not installed."""
    try:
        p = subprocess.run([sys.executable, str(ROOT / "benchmarks/peers/rtpengine_relay.py"), "--calls", str(CALLS), "--seconds", str(SECONDS),
                            "--load", str(BUILD / "relay_load")], capture_output=True, text=True, timeout=40, env={**os.environ})
    except subprocess.TimeoutExpired:
        return None
    if not p.stdout:
        print(p.stderr.strip(), file=sys.stderr)
        return None
    return json.loads(p.stdout)


def run():
    us, peer = ours(), theirs()
    sent = us["sent"] or 1
    line(bench="relay", cpu_us_per_op=us["cpu_us_per_op"], ops=us["received"], calls=CALLS, packets_per_s=us["pps"],
         loss=round(us["lost"] / sent, 6), jitter_p999_us=us["jitter_us"]["p999"], delay_p999_us=us["delay_us"]["p999"],
         peer="rtpengine" if peer else None, peer_cpu_us_per_op=peer["cpu_us_per_op"] if peer else None,
         peer_version=peer["peer_version"] if peer else None, peer_loss=round(peer["lost"] / (peer["sent"] or 1), 6) if peer else None,
         peer_jitter_p999_us=peer["jitter_us"]["p999"] if peer else None)
