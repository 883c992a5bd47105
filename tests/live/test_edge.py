"""The edge: what strangers can do to sockets. TCP framing, keep-alives, limits of HTTP, start and end of the daemon."""
import os
import pathlib
import re
import socket
import stat
import subprocess
import time

import pytest
from conftest import BUILD, Daemon


def options(port, n=1, transport="TCP", extra="", body=""):
    return (f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:{port};branch=z9hG4bKedge{n}{os.getpid()};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:edge@127.0.0.1>;tag=e{n}\r\nTo: <sip:127.0.0.1>\r\nCall-ID: edge-{n}-{os.getpid()}\r\n"
            f"CSeq: {n} OPTIONS\r\nContact: <sip:edge@127.0.0.1:{port};transport={transport.lower()}>\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


class Stream:
    def __init__(self, daemon, port=None):
        self.s = socket.create_connection(("127.0.0.1", port or daemon.port_base), timeout=5)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""

    port = property(lambda self: self.s.getsockname()[1])

    def fill(self):
        got = self.s.recv(65536)
        if not got:
            raise EOFError
        self.buf += got

    def response(self):
        while b"\r\n\r\n" not in self.buf:
            self.fill()
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        n = int(re.search(rb"(?im)^(?:Content-Length|l)\s*:\s*(\d+)", head)[1])
        while len(self.buf) < n:
            self.fill()
        self.buf = self.buf[n:]
        return head.decode()

    def closed(self):
        try:
            while True:
                self.fill()
        except (EOFError, ConnectionResetError):
            return True


def status(head):
    return int(head.split()[1])


def cseq(head):
    return int(re.search(r"(?im)^CSeq:\s*(\d+)", head)[1])


# ---- SIP over TCP ----

def test_tcp_one_byte_at_a_time(shared_daemon):
    c = Stream(shared_daemon)
    for b in options(c.port, 1, body="x" * 10):
        c.s.sendall(bytes([b]))
    assert 200 <= status(c.response()) < 500


def test_tcp_many_in_one_segment(shared_daemon):
    c = Stream(shared_daemon)
    c.s.sendall(b"".join(options(c.port, n) for n in range(1, 21)))
    assert sorted(cseq(c.response()) for _ in range(20)) == list(range(1, 21))


def test_tcp_ping_is_answered_with_pong(shared_daemon):
    c = Stream(shared_daemon)
    c.s.sendall(b"\r\n\r\n")
    while len(c.buf) < 2:
        c.fill()
    assert c.buf == b"\r\n"
    c.buf = b""
    c.s.sendall(b"\r\n" + options(c.port, 7))
    assert cseq(c.response()) == 7


def test_tcp_service_port(shared_daemon):
    c = Stream(shared_daemon, shared_daemon.port_base + 2)
    c.s.sendall(options(c.port, 9))
    assert cseq(c.response()) == 9


def test_tcp_bad_content_length_gets_400_and_close(shared_daemon):
    c = Stream(shared_daemon)
    c.s.sendall(options(c.port, 3).replace(b"Content-Length: 0", b"Content-Length: zebra"))
    assert status(c.response()) == 400
    assert c.closed()


@pytest.mark.parametrize("what", ["endless headers", "huge content length", "garbage"])
def test_tcp_oversize_and_garbage_close(shared_daemon, what):
    c = Stream(shared_daemon)
    try:
        if what == "endless headers":
            c.s.sendall(options(c.port, 4).split(b"Content-Length")[0] + b"X-Pad: " + b"y" * 200000)
        elif what == "huge content length":
            c.s.sendall(options(c.port, 5).replace(b"Content-Length: 0", b"Content-Length: 4000000000"))
        else:
            c.s.sendall(os.urandom(100000) + b"\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert c.closed()
    ok = Stream(shared_daemon)
    ok.s.sendall(options(ok.port, 6))
    assert cseq(ok.response()) == 6


def test_udp_options_keepalive_and_oversize(shared_daemon):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.settimeout(5)
    for junk in (b"", b"\r\n\r\n", b"\0\0\0\0", b"x" * 60000, os.urandom(500)):
        s.sendto(junk, shared_daemon.sip)
    s.sendto(options(s.getsockname()[1], 11, "UDP"), shared_daemon.sip)
    assert cseq(s.recv(65536).decode()) == 11


# ---- HTTP ----

def http(daemon, raw, unix=False):
    s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    s.settimeout(5)
    s.connect(daemon.control if unix else ("127.0.0.1", daemon.http_port))
    try:
        s.sendall(raw)
    except (BrokenPipeError, ConnectionResetError):
        pass
    out = b""
    try:
        while True:
            got = s.recv(65536)
            if not got:
                break
            out += got
    except (ConnectionResetError, socket.timeout):
        pass
    s.close()
    return out


def request(method, path, headers="", body=b""):
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode() + body


def test_http_too_long_body_is_refused_before_it_is_sent(shared_daemon):
    began = time.monotonic()
    out = http(shared_daemon, request("PUT", "/0004f2aabbcc-app.log", "Content-Length: 900000000\r\nExpect: 100-continue\r\n"))
    assert out.startswith(b"HTTP/1.1 413 ") and b"100 Continue" not in out
    assert time.monotonic() - began < 3


def test_http_chunked_body_is_bounded(shared_daemon):
    chunk = b"%x\r\n" % 65536 + b"z" * 65536 + b"\r\n"
    out = http(shared_daemon, request("PUT", "/0004f2aabbcc-app.log", "Transfer-Encoding: chunked\r\n") + chunk * 300 + b"0\r\n\r\n")
    assert out == b"" or out.startswith(b"HTTP/1.1 4")
    assert http(shared_daemon, request("GET", "/api/v1/status")).startswith(b"HTTP/1.1 ")


def test_http_head_has_no_body(shared_daemon):
    out = http(shared_daemon, request("HEAD", "/api/v1/status"))
    head, _, body = out.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ") and body == b""


@pytest.mark.parametrize("path,want", [("/%00secret", 400), ("/a%zz", 400), ("/a%2", 400), ("/" + "a" * 3000, 414), ("/" + "a" * 60000, 414)])
def test_http_bad_targets(shared_daemon, path, want):
    assert http(shared_daemon, request("GET", path)).startswith(b"HTTP/1.1 %d " % want)


def test_http_endless_headers(shared_daemon):
    out = http(shared_daemon, request("GET", "/", "".join(f"X-{i}: {'y' * 900}\r\n" for i in range(100))))
    assert out == b"" or out.startswith(b"HTTP/1.1 431 ") or out.startswith(b"HTTP/1.1 413 ")


def test_http_control_socket_is_the_administrator_and_tcp_is_not(shared_daemon):
    assert http(shared_daemon, request("GET", "/api/v1/status"), unix=True).startswith(b"HTTP/1.1 200 ")
    assert not http(shared_daemon, request("GET", "/api/v1/status")).startswith(b"HTTP/1.1 200 ")
    assert stat.S_IMODE(os.stat(shared_daemon.control).st_mode) == 0o600


# ---- start and end ----

def run(args, **kw):
    return subprocess.run([str(BUILD / "strowgerd"), *map(str, args)], capture_output=True, text=True, timeout=20, **kw)


def test_files_of_the_site_are_private(daemon):
    assert stat.S_IMODE(daemon.site.stat().st_mode) == 0o700
    for name in ("site.key", "api.token", "lock", "strowger.db", "registrations.db"):
        assert stat.S_IMODE((daemon.site / name).stat().st_mode) == 0o600, name
    assert (daemon.site / "site.key").stat().st_size == 32
    assert daemon.ready["http"] == daemon.http and daemon.ready["sip"] == f"127.0.0.1:{daemon.port_base}"
    assert pathlib.Path(daemon.ready["token"]).read_text().strip() == daemon.token


def test_second_daemon_on_the_same_site_or_ports(daemon):
    p = run(daemon.command()[1:])
    assert p.returncode == 3 and "another strowgerd is running" in p.stderr
    other = daemon.command()[1:]
    other[1] = str(daemon.site.parent / "other")
    p = run(other)
    assert p.returncode == 1 and f"UDP port 127.0.0.1:{daemon.port_base} is in use" in p.stderr and "--port-base" in p.stderr
    assert daemon.proc.poll() is None


def test_drain_is_quick_and_leaves_no_socket(daemon):
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 3
    assert not os.path.exists(daemon.control)
    daemon.start()  # the same site again


def test_start_after_a_crash(daemon):
    daemon.kill()
    assert os.path.exists(daemon.control)
    daemon.start()


def test_wide_open_key_is_refused(tmp_path):
    d = Daemon(site=tmp_path / "site").start()
    assert d.stop() == 0
    (d.site / "site.key").chmod(0o640)
    p = run(d.command()[1:])
    assert p.returncode == 1 and "chmod 600" in p.stderr
    (d.site / "site.key").unlink()
    p = run(d.command()[1:])
    assert p.returncode == 1 and "site.key" in p.stderr and "missing" in p.stderr


@pytest.mark.parametrize("args", [["--port-base", "70000"], ["--listen", "nowhere"], ["--bogus"], ["stray"], ["--log-level", "loud"],
                                  ["--port-base", "65000", "--rtp-pairs", "6000"]])
def test_usage_errors(tmp_path, args):
    p = run(["--site", tmp_path / "never", *args])
    assert p.returncode == 2 and p.stderr and not (tmp_path / "never").exists()


def test_site_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    p = run(["--site", tmp_path / "file", "--port-base", "23000"])
    assert p.returncode == 1 and "file" in p.stderr
    p = run(["--site", tmp_path / "a" / "b", "--port-base", "23000"])
    assert p.returncode == 1 and "parent folder" in p.stderr


def test_recording_is_written(tmp_path):
    d = Daemon(site=tmp_path / "site", args=["--record", str(tmp_path / "rec")])
    d.start()
    c = Stream(d)
    c.s.sendall(options(c.port, 1))
    c.response()
    assert d.stop() == 0
    assert stat.S_IMODE((tmp_path / "rec").stat().st_mode) == 0o600
    assert b"OPTIONS sip:127.0.0.1" in (tmp_path / "rec").read_bytes()
