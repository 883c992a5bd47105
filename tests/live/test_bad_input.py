"""Wrong words, broken messages, folders and disks that cannot be used: a clear message or status, and the switch goes on."""
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import tempfile

import pytest
from conftest import BUILD, Daemon
from sipkit import Ua, add_generic, curl, show, status, wait_for
from test_edge import Stream, options

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount or to become somebody else")


def run(args, **kw):
    return subprocess.run([str(BUILD / "strowgerd"), *map(str, args)], capture_output=True, text=True, timeout=20, **kw)


def test_wrong_pin_and_unknown_mac(daemon):
    daemon.cli("extension", "add", "201", "--pin", "4071")
    assert curl("--digest", "-u", "201:4072", f"{daemon.http}/0004f2aabbcc.cfg")[0] == 401
    assert curl("--digest", "-u", "299:4071", f"{daemon.http}/0004f2aabbcc.cfg")[0] == 401
    for path in ("/0004f2aabbc.cfg", "/zzzzzzzzzzzz.cfg", "/../strowger.db", "/site.key", "/0004f2aabbcc/../site.key"):
        code, out = curl("--path-as-is", "--digest", "-u", "201:4071", daemon.http + path)
        assert code in (400, 404) and "SQLite" not in out, (path, out)
    assert "provision.refused" in daemon.log and show(daemon, "phones") == []


def test_oversize_body_over_http(daemon, tmp_path):
    daemon.cli("extension", "add", "201", "--pin", "4071")
    big = tmp_path / "big.log"
    with open(big, "wb") as f:
        f.truncate(200 << 20)
    assert curl("--digest", "-u", "201:4071", f"{daemon.http}/0004f2aabbcc.cfg")[0] == 200
    assert curl("--digest", "-u", "201:4071", "-T", big, f"{daemon.http}/0004f2aabbcc-app.log")[0] == 413
    assert curl("--digest", "-u", "201:4071", f"{daemon.http}/0004f2aabbcc.cfg")[0] == 200


@pytest.mark.parametrize("what", ["no via", "bad content length", "no version", "nul in uri", "half a header", "text"])
def test_malformed_sip(shared_daemon, what):
    ua, raw = Ua(shared_daemon), None
    good = ua.text("OPTIONS", "sip:127.0.0.1").encode()
    raw = {"no via": good.replace(b"Via:", b"Vya:"), "bad content length": good.replace(b"Content-Length: 0", b"Content-Length: -1"),
           "no version": good.replace(b" SIP/2.0\r\nVia", b"\r\nVia", 1), "nul in uri": good.replace(b"sip:127", b"sip:\0127", 1),
           "half a header": good[:-30], "text": b"hello?\r\n\r\n"}[what]
    ua.send(raw)
    assert ua.alive(), what
    c = Stream(shared_daemon)
    c.s.sendall(raw + b"\r\n\r\n")
    ok = Stream(shared_daemon)  # whatever became of that connection, others work
    ok.s.sendall(options(ok.port, 3))
    assert 200 <= int(ok.response().split()[1]) < 500
    ua.close()


@pytest.mark.parametrize("off,kind,word", [(0, socket.SOCK_DGRAM, "UDP"), (3, socket.SOCK_STREAM, "TCP")])
def test_port_in_use(tmp_path, off, kind, word):
    d = Daemon(site=tmp_path / "site")
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", d.port_base + off))
        if kind == socket.SOCK_STREAM:
            s.listen()
        p = run(d.command()[1:])
    assert p.returncode == 1 and f"{word} port 127.0.0.1:{d.port_base + off} is in use" in p.stderr, p.stderr


def test_second_daemon_exits_3(daemon):
    p = run(daemon.command()[1:])
    assert p.returncode == 3 and "another strowgerd is running" in p.stderr
    assert Ua(daemon).alive()


@ROOT_ONLY
def test_site_that_may_not_be_written():
    # Not in pytest's own folder: nobody may not even look into that.
    with tempfile.TemporaryDirectory(prefix="strowger-ro-") as top:
        os.chmod(top, 0o755)
        bins = pathlib.Path(top) / "bin"
        bins.mkdir(0o755)
        shutil.copy2(BUILD / "strowgerd", bins)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for site in (pathlib.Path(top) / "site", pathlib.Path(top) / "own"):
            d = Daemon(site=site)
            if site.name == "own":
                site.mkdir(0o500)
                os.chown(site, 65534, 65534)
            p = subprocess.run([*nobody, str(bins / "strowgerd"), *d.command()[1:]], capture_output=True, text=True, timeout=20)
            assert p.returncode == 1 and str(site) in p.stderr and len(p.stderr.splitlines()) <= 3, (p.returncode, p.stderr)
            assert not any(site.iterdir()) if site.exists() else True


def test_key_with_wide_permissions(tmp_path):
    d = Daemon(site=tmp_path / "site").start()
    assert d.stop() == 0
    (d.site / "site.key").chmod(0o644)
    p = run(d.command()[1:])
    assert p.returncode == 1 and "site.key" in p.stderr and "chmod 600" in p.stderr


@pytest.mark.parametrize("part", ["entities", "records"])
def test_database_of_a_newer_version_is_not_touched(tmp_path, part):
    name = "strowger.db"
    d = Daemon(site=tmp_path / "site").start()
    assert d.stop() == 0
    db = sqlite3.connect(d.site / name)
    db.execute("INSERT INTO migrations VALUES (?, 99999, 0)", (part,))
    db.commit()
    db.close()
    before = (d.site / name).read_bytes()
    p = run(d.command()[1:])
    assert p.returncode == 1 and name in p.stderr and "newer" in p.stderr, p.stderr
    assert (d.site / name).read_bytes() == before


class Tmpfs:
    def __init__(self, size):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="strowger-disk-"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.dir)], check=True)

    def fill(self):
        f = open(self.dir / "filler", "wb", buffering=0)
        for step in (65536, 4096, 1):
            try:
                while f.write(b"x" * step) == step:
                    pass
            except OSError:
                pass
        f.close()

    def free(self):
        (self.dir / "filler").unlink()

    def close(self):
        subprocess.run(["umount", str(self.dir)], check=True)
        self.dir.rmdir()


SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 29998 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"


def call_milliwatt(ua):
    """INVITE with digest, ACK, BYE: a call that the switch answers itself."""
    uri, ct = "sip:9197@127.0.0.1", "Content-Type: application/sdp\r\n"
    ua.call_id = os.urandom(8).hex()
    first = ua.ask("INVITE", uri, extra=ct, body=SDP)
    assert status(first) == 401, first
    ua.send(in_dialog(ua, "ACK", uri, first))
    got = ua.ask("INVITE", uri, extra=ct + ua.digest(first, "INVITE", uri), body=SDP)
    assert got and status(got) == 200, got
    ua.send(in_dialog(ua, "ACK", uri, got))
    return got


def in_dialog(ua, method, uri, answer):
    to = [x for x in answer.split("\r\n") if x.lower().startswith("to:")][0]
    cseq = ua.cseq - (method == "ACK")
    keep, ua.cseq = ua.cseq, cseq
    text = ua.text(method, uri)
    ua.cseq = keep if method == "ACK" else ua.cseq
    lines = [to if x.startswith("To:") else x for x in text.split("\r\n")]
    return "\r\n".join(lines)


def hang_up(ua, answer):
    ua.send(in_dialog(ua, "BYE", "sip:9197@127.0.0.1", answer))
    got = ua.final(ua.call_id)
    assert got and status(got) == 200, got


@ROOT_ONLY
def test_full_disk(tmp_path):
    disk = Tmpfs("6m")
    d = Daemon(site=disk.dir / "site")
    d.log_path = tmp_path / "log"
    try:
        d.start()
        ua = Ua(d, "4001", add_generic(d, "4001")["secret"])
        assert ua.register() == 200
        disk.fill()
        for _ in range(3):  # calls and registrations go on
            hang_up(ua, call_milliwatt(ua))
            assert ua.register() == 200
        p = d.cli("extension", "add", "4002", check=False)
        assert p.returncode == 1 and "disk" in p.stderr.lower(), (p.returncode, p.stderr)
        assert "disk" in d.log.lower() or "space" in d.log.lower() or "full" in d.log.lower(), d.log
        assert ua.alive()
        disk.free()
        assert wait_for(lambda: d.cli("extension", "add", "4003", check=False).returncode == 0, 10, 0.3), d.log
        hang_up(ua, call_milliwatt(ua))
        assert wait_for(lambda: len(show(d, "cdr")) >= 1, 10, 0.3), d.log
        assert d.stop() == 0, d.log
    finally:
        d.clean()
        disk.close()


def test_kill_9_and_restart(daemon):
    ua = Ua(daemon, "4001", add_generic(daemon, "4001")["secret"])
    assert ua.register() == 200
    before = show(daemon, "registrations")
    call_milliwatt(ua)
    assert wait_for(lambda: show(daemon, "calls") != [])
    wait_for(lambda: False, 0.5)  # the open record is on disk within this time
    daemon.kill()
    daemon.start()
    after = show(daemon, "registrations")
    assert [(r.get("extension"), r.get("contact")) for r in after] == [(r.get("extension"), r.get("contact")) for r in before] and len(after) == 1
    assert show(daemon, "calls") == []
    row, = show(daemon, "cdr")
    assert row["cause"] == 502 and row["end_ms"] >= row["answer_ms"] > 0, row  # CDR_INTERRUPTED
    hang_up(ua, call_milliwatt(ua))
