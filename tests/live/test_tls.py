"""SIP over TLS and HTTPS: the listeners of G10, certificates of the first start, policies, tickets over a kill, phones that call."""
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest
from conftest import Daemon
from sipkit import Ua, add_generic, curl, header, show, wait_for
from test_edge import Stream, options, status
from test_six_directions import Vphone


def context(d, low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.MAXIMUM_SUPPORTED):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(str(d.site / "tls" / "ca.crt"))
    c.minimum_version, c.maximum_version = low, high
    return c


class TlsStream(Stream):
    """A SIP stream over TLS, the certificate checked for 127.0.0.1."""

    def __init__(self, d, ctx=None, port=None, session=None):
        raw = socket.create_connection(("127.0.0.1", port or d.port_base + 1), timeout=5)
        self.s = (ctx or context(d)).wrap_socket(raw, server_hostname="127.0.0.1", session=session)
        self.buf = b""


def ask(s, n=1):
    s.s.sendall(options(s.port, n, "TLS"))
    return status(s.response())


def fds(d):
    return len(os.listdir(f"/proc/{d.proc.pid}/fd"))


@pytest.mark.row("G10")
def test_all_listeners_answer(shared_daemon):
    d = shared_daemon
    for off in (0, 2):
        s = Stream(d, d.port_base + off)
        s.s.sendall(options(s.port))
        assert status(s.response()) == 200
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.bind(("127.0.0.1", 0))
        u.settimeout(5)
        u.sendto(options(u.getsockname()[1], 1, "UDP"), ("127.0.0.1", d.port_base + off))
        assert u.recv(4096).startswith(b"SIP/2.0 200")
    assert ask(TlsStream(d)) == 200
    assert curl(d.http + "/000000000000.cfg")[0] == 401
    assert curl("--cacert", d.site / "tls/ca.crt", f"https://127.0.0.1:{d.port_base + 4}/000000000000.cfg")[0] == 401


def test_one_byte_at_a_time_and_large_records(shared_daemon):
    s = TlsStream(shared_daemon)
    for b in options(s.port, 1, "TLS"):
        s.s.sendall(bytes([b]))
    assert status(s.response()) == 200
    s.s.sendall(b"".join(options(s.port, n, "TLS") for n in range(2, 102)))  # more than a record holds, and than one reading takes
    assert [status(s.response()) for _ in range(100)] == [200] * 100
    s.s.sendall(b"\r\n\r\n")
    assert s.s.recv(10) == b"\r\n"


@pytest.mark.row("R26")
def test_policy(shared_daemon):
    d = shared_daemon
    for low, high, ok in ((ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, True),
                          (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, False)):
        c = context(d, low, high)
        c.set_ciphers("ALL:@SECLEVEL=0")
        for port in (d.port_base + 1, d.port_base + 4):
            raw = socket.create_connection(("127.0.0.1", port), timeout=5)
            if ok:
                c.wrap_socket(raw, server_hostname="127.0.0.1").close()
            else:
                with pytest.raises((ssl.SSLError, OSError)):
                    c.wrap_socket(raw, server_hostname="127.0.0.1")
    p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{d.port_base + 1}", "-tls1_2"], input=b"R\n", capture_output=True, timeout=10)
    assert b"handshake failure" in p.stderr + p.stdout or b"no renegotiation" in p.stderr or b"RENEGOTIATING" in p.stdout
    assert ask(TlsStream(d)) == 200


@pytest.mark.row("R26")
def test_abrupt_ends_leave_nothing(shared_daemon):
    d = shared_daemon
    before = fds(d)
    for i in range(400):
        raw = socket.create_connection(("127.0.0.1", d.port_base + 1), timeout=5)
        if i % 4 == 1:
            raw.sendall(b"\x16\x03\x01\x02\x00garbage")
        if i % 4 >= 2:
            s = context(d).wrap_socket(raw, server_hostname="127.0.0.1", do_handshake_on_connect=False)
            try:
                s.do_handshake()
                if i % 4 == 3:
                    s.sendall(options(s.getsockname()[1], 1, "TLS")[:100])
            except OSError:
                pass
            raw = s
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # RST
        raw.close()
    assert wait_for(lambda: fds(d) <= before, 10), (before, fds(d))
    assert ask(TlsStream(d)) == 200


@pytest.mark.row("R3", "R26")
def test_tickets_outlive_a_kill():
    d = Daemon().start()
    try:
        c = context(d, high=ssl.TLSVersion.TLSv1_2)  # a session is there as soon as the handshake is over
        s = TlsStream(d, c)
        assert ask(s) == 200
        ticket = s.s.session
        d.kill()
        d.start()
        again = TlsStream(d, c, session=ticket)
        assert again.s.session_reused and ask(again) == 200
        assert d.stop() == 0
    finally:
        d.clean()


@pytest.mark.row("G10", "Z14")
def test_phones_call_over_tls(tmp_path):
    d, phones = Daemon().start(), []
    try:
        d.cli("settings", "set", "phone_transport=tls")
        d.cli("extension", "add", "511", "--pin", "4071")
        d.cli("extension", "add", "522", "--pin", "5182")
        ca = str(d.site / "tls" / "ca.crt")
        phones = [Vphone(d, "VVX410", "0004f2051111", "511", "4071", tmp_path / "a", "--ca", ca),
                  Vphone(d, "SPIP650", "0004f2052222", "522", "5182", tmp_path / "b", "--ca", ca)]
        assert wait_for(lambda: all(p.saw("registered", 0) for p in phones), 15)
        assert ["transport=tls" in r["contact"] for r in show(d, "registrations")] == [True, True]
        a, b = phones
        b.do("wait ringing 10", "answer", f"wait tone {a.hz} 5", "wait heldbypeer 5", "wait talking 5", f"wait tone {a.hz} 5", "wait idle 10")
        a.do("dial 522", f"wait tone {b.hz} 10", "hold", "wait held 5", "wait seconds 1", "resume", f"wait tone {b.hz} 5", "hangup", "wait idle 5")
        assert wait_for(lambda: all(p.saw("ended", 0) for p in phones), 25), (a.events, b.events)
        assert [r["cause"] for r in wait_for(lambda: (lambda r: r if all(x["closed"] for x in r) else None)(show(d, "cdr")), 5)] == [16, 16]
        for p in phones:
            p.end()
        assert d.stop() == 0, d.log
    finally:
        for p in phones:
            if p.p.poll() is None:
                p.p.kill()
                p.p.wait()
        d.clean()


@pytest.mark.row("G10")
def test_old_phones_have_a_listener_of_their_own():
    d = Daemon().start()
    try:
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", d.port_base + 6), timeout=2)
        d.cli("settings", "set", "legacy_tls=true")
        d.stop()
        d.start()
        c = context(d, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1)
        c.set_ciphers("ALL:@SECLEVEL=0")
        s = TlsStream(d, c, d.port_base + 6)
        assert s.s.version() == "TLSv1" and ask(s) == 200
        with pytest.raises((ssl.SSLError, OSError)):
            TlsStream(d, c)
        assert d.stop() == 0
    finally:
        d.clean()


def test_own_certificate_and_bad_ones(tmp_path):
    d = Daemon().start()
    d.stop()
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(d.site / "tls.key"),
                        "-out", str(d.site / "tls.crt"), "-subj", "/CN=own", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        d.start()
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.load_verify_locations(str(d.site / "tls.crt"))
        assert ask(TlsStream(d, c)) == 200
        d.stop()
        (d.site / "tls.key").write_text("nonsense")
        with pytest.raises(RuntimeError):
            d.start()
        assert re.search(r"private key .*tls\.key.*(PEM|pass phrase)", d.log), d.log
        (d.site / "tls.key").unlink()
        (d.site / "tls.crt").unlink()
        for f in (d.site / "tls").iterdir():
            assert f.stat().st_mode & 0o077 == 0, f
        (d.site / "tls" / "server.crt").write_text("")  # damaged: made again
        d.start()
        assert ask(TlsStream(d)) == 200
        assert d.stop() == 0
    finally:
        d.clean()


def shown(port):
    """The certificate (DER) that a new connection gets."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    with c.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=5)) as s:
        return s.getpeercert(True)


@pytest.mark.row("R26")
def test_certificates_are_renewed_while_it_runs():
    d = Daemon().start()
    try:
        first, held = shown(d.port_base + 1), TlsStream(d)
        d.cli("settings", "set", "identity=pbx.example.test")
        d.proc.send_signal(signal.SIGHUP)
        assert wait_for(lambda: shown(d.port_base + 1) != first and shown(d.port_base + 4) == shown(d.port_base + 1), 10)
        names = subprocess.run(["openssl", "x509", "-in", d.site / "tls/server.crt", "-noout", "-ext", "subjectAltName"], capture_output=True, text=True)
        assert "pbx.example.test" in names.stdout and "127.0.0.1" in names.stdout
        assert ask(held) == 200  # who was there keeps its connection
        renewed = shown(d.port_base + 1)
        (d.site / "tls.crt").write_text("nonsense")
        (d.site / "tls.key").write_text("nonsense")
        d.proc.send_signal(signal.SIGHUP)
        assert wait_for(lambda: "tls.not_reloaded" in d.log, 5)
        assert shown(d.port_base + 1) == shown(d.port_base + 4) == renewed
        assert ask(TlsStream(d)) == 200
        assert d.stop() == 0, d.log
    finally:
        d.clean()


def test_sips_is_answered_with_sips(daemon):
    """RFC 3261 12.1.1: a dialog begun by a sips URI has a sips Contact."""
    cred = add_generic(daemon, 541)
    sdp = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
    ua = Ua(daemon, cred["user"], cred["secret"])  # for its digest
    for scheme in ("sips", "sip"):
        s = TlsStream(daemon)
        uri, auth = f"{scheme}:9196@127.0.0.1", ""
        for n in (1, 2):
            s.s.sendall(f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:{s.port};branch=z9hG4bK{scheme}{n}\r\nMax-Forwards: 70\r\n"
                        f"From: <{scheme}:541@127.0.0.1>;tag={scheme}\r\nTo: <{uri}>\r\nCall-ID: {scheme}\r\nCSeq: {n} INVITE\r\n"
                        f"Contact: <{scheme}:541@127.0.0.1:{s.port}>\r\n{auth}Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n".encode()
                        + sdp)
            got = next(r for r in iter(s.response, None) if status(r) >= 200)
            if n == 1:
                auth = ua.digest(got, "INVITE", uri)
        assert got.startswith("SIP/2.0 200"), got
        assert header(got, "Contact").startswith(f"<{scheme}:9196@127.0.0.1:{daemon.port_base + 1};transport="), got
