"""Shared by the live tests: raw SIP over UDP with digest, written straight from RFC 3261 and RFC 2617 in Python."""
import hashlib
import json
import re
import socket
import subprocess
import time
import uuid


def md5(*parts):
    return hashlib.md5(":".join(parts).encode()).hexdigest()


def header(msg, name):
    m = re.search(rf"(?im)^{name}\s*:\s*(.*?)\r?$", msg)
    return m[1] if m else None


def status(msg):
    return int(msg.split(None, 2)[1])


class Ua:
    """A user agent with one UDP socket: sends requests, computes digests, reads answers."""

    def __init__(self, daemon, user="probe", secret="", addr="127.0.0.1"):
        self.daemon, self.user, self.secret = daemon, user, secret
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind((addr, 0))
        self.s.settimeout(5)
        self.addr, self.port = self.s.getsockname()
        self.call_id, self.cseq = uuid.uuid4().hex, 0

    def close(self):
        self.s.close()

    def text(self, method, uri, to=None, extra="", body=""):
        self.cseq += 1
        return (f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.addr}:{self.port};branch=z9hG4bK{uuid.uuid4().hex};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:{self.user}@127.0.0.1>;tag=t{self.port}\r\nTo: <{to or uri}>\r\nCall-ID: {self.call_id}\r\n"
                f"CSeq: {self.cseq} {method}\r\nContact: <sip:{self.user}@{self.addr}:{self.port}>\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}")

    def send(self, raw):
        self.s.sendto(raw if isinstance(raw, bytes) else raw.encode(), self.daemon.sip)

    def recv(self, timeout=5):
        """One message as text, or None when nothing comes in time."""
        self.s.settimeout(timeout)
        try:
            return self.s.recv(65536).decode(errors="replace")
        except socket.timeout:
            return None

    def final(self, call_id=None, timeout=5):
        """The next final answer (of that call)."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            got = self.recv(max(0.01, until - time.monotonic()))
            if got and got.startswith("SIP/2.0 ") and status(got) >= 200 and (call_id is None or header(got, "Call-ID") == call_id):
                return got
        return None

    def ask(self, method, uri, **kw):
        self.send(self.text(method, uri, **kw))
        return self.final(self.call_id)

    def digest(self, answer, method, uri):
        chal = header(answer, "WWW-Authenticate") or header(answer, "Proxy-Authenticate")
        realm, nonce = (re.search(rf'{k}="([^"]*)"', chal)[1] for k in ("realm", "nonce"))
        ha1 = md5(self.user, realm, self.secret)
        resp = md5(ha1, nonce, "00000001", "cafe", "auth", md5(method, uri))
        name = "Authorization" if header(answer, "WWW-Authenticate") else "Proxy-Authorization"
        return (f'{name}: Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{resp}", '
                f'algorithm=MD5, qop=auth, nc=00000001, cnonce="cafe"\r\n')

    def register(self, expires=300):
        """The status of REGISTER after the digest; the whole answer is kept in .answer."""
        uri, to = "sip:127.0.0.1", f"sip:{self.user}@127.0.0.1"
        extra = f"Expires: {expires}\r\n"
        got = self.ask("REGISTER", uri, to=to, extra=extra)
        assert got and status(got) in (401, 407), got
        got = self.ask("REGISTER", uri, to=to, extra=extra + self.digest(got, "REGISTER", uri))
        self.answer = got
        return status(got) if got else None

    def alive(self, timeout=1.0):
        """Is OPTIONS answered in time?"""
        call = self.call_id = uuid.uuid4().hex
        self.send(self.text("OPTIONS", "sip:127.0.0.1"))
        return self.final(call, timeout) is not None


def add_generic(daemon, ext, *opts):
    """An extension with one generic device; its credentials."""
    daemon.cli("extension", "add", ext, *opts)
    return json.loads(daemon.cli("--json", "device", "add", ext, "--generic").stdout)


def show(daemon, what):
    return json.loads(daemon.cli("--json", "show", what).stdout)


def wait_for(what, timeout=10, step=0.05):
    """The first true value of what(), or the last one."""
    until = time.monotonic() + timeout
    while True:
        got = what()
        if got or time.monotonic() > until:
            return got
        time.sleep(step)


def curl(*args):
    """(status, headers and body as text) of the last answer in a curl run."""
    p = subprocess.run(["curl", "-s", "-i", "--max-time", "10", *map(str, args)], capture_output=True, timeout=20)
    last = re.split(r"(?m)^(?=HTTP/1\.1 )", p.stdout.decode(errors="replace"))[-1]
    return (int(last.split()[1]) if last else 0), last
