"""RFC 4475 and RFC 5118: every torture message, as raw bytes from a stranger, to the running switch over UDP, over TCP one byte a
segment, and over TLS one byte a record. What may come back stands in tests/rfc4475.tsv and tests/rfc5118.tsv with its reason; between
any two messages an OPTIONS from elsewhere must be answered. STROWGER_OPTIONS_MS makes that time a limit (the accept point sets 100)."""
import os
import pathlib
import socket
import ssl
import time

import pytest
from conftest import ROOT, Daemon
from sipkit import Ua, header, status

SHARED = pathlib.Path(os.environ.get("STROWGER_SHARED", ROOT.parent / "shared"))
FOLDERS = {"rfc4475": SHARED / "data" / "rfc4475", "rfc5118": ROOT / "tests" / "rfc5118"}
LIMIT = float(os.environ.get("STROWGER_OPTIONS_MS", "2000")) / 1000
TABLES = {t: [line.split("\t") for line in (ROOT / "tests" / f"{t}.tsv").read_text().splitlines() if line and line[0] != "#"] for t in FOLDERS}
ROWS = [(f"{t}-{r[0]}", t, r) for t, rows in TABLES.items() for r in rows]
slowest = {}


@pytest.fixture(scope="module")
def daemon():
    """A switch that trusts us: a stranger who sends as much as this file does is limited (R22, tried in test_defence.py)."""
    d = Daemon()
    try:
        d.start()
        d.cli("settings", "set", "trusted_sources=127.0.0.0/8")
        yield d
        assert d.stop() == 0, d.log
    finally:
        d.clean()


@pytest.mark.row("R19")
@pytest.mark.parametrize("table", FOLDERS)
def test_all_vectors_are_there(table):
    folder = FOLDERS[table]
    assert folder.is_dir(), f"no folder {folder}: put the {table} vectors there, or name the shared folder in STROWGER_SHARED"
    assert sorted(p.stem for p in folder.glob("*.dat")) == sorted(r[0] for r in TABLES[table])


class Stream:
    """A TCP or TLS connection that sends byte by byte and cuts what comes back into messages."""

    def __init__(self, daemon, tls):
        self.s = socket.create_connection(("127.0.0.1", daemon.port_base + (1 if tls else 0)), 5)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.s = context.wrap_socket(self.s)
        self.buf, self.closed = b"", False

    def send(self, raw):
        try:
            for i in range(len(raw)):
                self.s.sendall(raw[i:i + 1])
                if i % 64 == 0:
                    self.take(0.0005)  # before a reset can wipe it away
        except OSError:
            self.closed = True  # what was refused may close the connection

    def take(self, seconds):
        """What comes within the time into the buffer."""
        self.s.settimeout(seconds)
        try:
            got = self.s.recv(65536)
        except (socket.timeout, ssl.SSLWantReadError):
            return
        except OSError:
            got = b""
        finally:
            self.s.settimeout(5)
        self.closed = self.closed or got == b""
        self.buf += got

    def recv(self, until):
        """One message as text, or None at the time given or when the other side closed."""
        while True:
            head, mark, rest = self.buf.lstrip(b"\r\n").partition(b"\r\n\r\n")
            if mark:
                length = int(header(head.decode(errors="replace") + "\r\n", "Content-Length") or 0)
                if len(rest) >= length:
                    self.buf = rest[length:]
                    return head.decode(errors="replace") + "\r\n\r\n"
            left = until - time.monotonic()
            if left <= 0 or self.closed:
                return None
            self.take(left)


def over_udp(daemon, raw, probe):
    ua = Ua(daemon)
    try:
        ua.send(raw)
        ua.send(probe)
        out, until = [], time.monotonic() + LIMIT + 1
        while time.monotonic() < until:
            got = ua.recv(until - time.monotonic())
            if got is None or header(got, "Call-ID") == "behind-it":
                break
            out.append(got)
        return out
    finally:
        ua.close()


def over_stream(tls):
    def send(daemon, raw, probe):
        c = Stream(daemon, tls)
        try:
            c.send(raw)
            c.send(probe)  # in the same stream: what the framer holds back would swallow it
            out, until = [], time.monotonic() + 0.4
            while (got := c.recv(until)) is not None and header(got, "Call-ID") != "behind-it":
                out.append(got)
            return out
        finally:
            c.s.close()
    return send


TRANSPORTS = {"udp": over_udp, "tcp": over_stream(False), "tls": over_stream(True)}


def options_seconds(daemon):
    """How long a bystander's OPTIONS takes."""
    ua = Ua(daemon)
    try:
        t = time.monotonic()
        assert ua.alive(LIMIT + 1), f"no answer to OPTIONS\n{daemon.log[-2000:]}"
        return time.monotonic() - t
    finally:
        ua.close()


@pytest.mark.row("R19")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("table,row", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_vector(daemon, table, row, transport):
    name, allowed = row[0], row[2] if transport == "udp" else row[3]
    probe = ("OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK" + os.urandom(6).hex() + ";rport\r\nMax-Forwards: 70\r\n"
             "From: <sip:x@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: behind-it\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").encode()
    path = FOLDERS[table] / f"{name}.dat"
    assert path.is_file(), f"no {path}: set STROWGER_SHARED to the folder that holds data/rfc4475"
    got = TRANSPORTS[transport](daemon, path.read_bytes(), probe)
    took = options_seconds(daemon)
    slowest[transport] = max(slowest.get(transport, 0), took)
    assert took <= LIMIT, f"OPTIONS took {took * 1000:.0f} ms after {name} over {transport}"
    assert all(g.startswith("SIP/2.0 ") for g in got), got
    finals = [str(status(g)) for g in got if status(g) >= 200]
    want = allowed.split("|")
    assert finals or "none" in want, f"{name}: no answer, allowed {allowed}"
    assert all(f in want for f in finals), f"{name}: answered {finals}, allowed {allowed}\n{got}"
    assert len(set(finals)) <= 1 and (name != "dblreq" or transport != "udp" or len(finals) == 1), f"{name}: more than one answer: {finals}"


@pytest.mark.row("R19")
def test_slowest_options_is_told(shared_daemon):
    """Last in the file: the figure of the accept point."""
    took = {t: round(1000 * s, 1) for t, s in slowest.items()}
    print("slowest OPTIONS between two messages, ms:", took)
    assert all(s <= LIMIT for s in slowest.values()), took
