"""The log: fields, files, the journal's protocol, levels that change while it runs, the trace of one phone."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import uuid

import pytest
from conftest import BUILD, Daemon
from sipkit import Ua, add_generic, header, status, wait_for

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def events(text, name=None):
    """Lines as dicts; every line of the log must be one."""
    out = []
    for line in text.splitlines():
        stamp, rest = line.split(" ", 1)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp), line
        assert re.fullmatch(r'(\w+=("(?:[^"\\]|\\.)*"|[^\s"]*) ?)+', rest), line
        f = {k: json.loads(v) if v.startswith('"') else v for k, v in FIELD.findall(rest)}
        if name is None or f["event"] == name:
            out.append(f)
    return out


def call_echo(d, ua):
    """An INVITE to the echo number, answered at once by the switch, and a BYE."""
    ua.call_id = uuid.uuid4().hex
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
    uri, extra = "sip:9196@127.0.0.1", "Content-Type: application/sdp\r\n"
    got = ua.ask("INVITE", uri, extra=extra, body=sdp)
    for tries in range(2):  # 401, then 200; each is acknowledged
        ua.cseq -= 1
        ua.send(ua.text("ACK", uri).replace(f"To: <{uri}>", "To: " + header(got, "To")))
        if status(got) == 200:
            break
        got = ua.ask("INVITE", uri, extra=extra + ua.digest(got, "INVITE", uri), body=sdp)
    assert status(got) == 200, got
    to = header(got, "To")
    for tries in range(2):
        bye = ua.text("BYE", uri, extra=ua.digest(got, "BYE", uri) if tries else "").replace(f"To: <{uri}>", f"To: {to}")
        ua.send(bye)
        got = ua.final(ua.call_id)
        if status(got) == 200:
            return
    raise AssertionError(got)


@pytest.fixture
def logged(tmp_path):
    d = Daemon(args=["--log-file", str(tmp_path / "strowger.log"), "--log-file-mb", "1"])
    d.file = tmp_path / "strowger.log"
    try:
        d.start()
        yield d
        assert d.stop() == 0, d.log
    finally:
        d.clean()


def test_levels_change_while_it_runs_and_one_phone_is_traced(logged):
    cred = add_generic(logged, 201)
    a, b = Ua(logged, cred["user"], cred["secret"]), Ua(logged, cred["user"], cred["secret"], "127.0.0.2")
    try:
        assert a.register() == 200 and b.register() == 200
        assert events(logged.file.read_text(), "sip.message") == []
        shown = json.loads(logged.cli("--json", "log", "peer", "127.0.0.2", "debug", "--for", "10m").stdout)
        assert shown["peers"][0]["peer"] == "127.0.0.2" and 590 <= shown["peers"][0]["for_s"] <= 600
        assert a.register() == 200 and b.register() == 200
        traced = events(logged.file.read_text(), "sip.message")
        assert {t["peer"].split(":")[0] for t in traced} == {"127.0.0.2"} and {t["dir"] for t in traced} == {"in", "out"}
        auth = [t["headers"] for t in traced if "Authorization" in t["headers"]]
        assert auth and all(re.search(r"Authorization: Digest \*+\r\n", h) for h in auth)
        assert "response=" not in logged.file.read_text() and "nonce=" in logged.file.read_text()
        logged.cli("log", "reset")
        n = len(events(logged.file.read_text()))
        assert b.register() == 200
        assert len(events(logged.file.read_text())) == n
        logged.cli("log", "level", "sip", "debug")
        assert a.register() == 200
        assert {t["peer"].split(":")[0] for t in events(logged.file.read_text(), "sip.message")[len(traced):]} == {"127.0.0.1"}
        assert logged.cli("log", "level", "sip", "loud", check=False).returncode == 1
        assert logged.cli("log", "peer", "127.0.0.2", "debug", "--for", "soon", check=False).returncode == 2
        assert json.loads(logged.cli("--json", "log", "show").stdout) == {"level": "info", "subsystems": {"sip": "debug"}, "peers": []}
    finally:
        a.close()
        b.close()
    assert logged.log == "", "nothing goes to standard error beside the file"


def test_events_of_a_call_carry_its_id_and_leg(logged):
    cred = add_generic(logged, 201)
    ua = Ua(logged, cred["user"], cred["secret"])
    try:
        assert ua.register() == 200
        logged.cli("log", "peer", "201", "debug")
        call_echo(logged, ua)
        assert wait_for(lambda: events(logged.file.read_text(), "call.ended"), 10)
    finally:
        ua.close()
    of_call = [e for e in events(logged.file.read_text()) if e["event"].startswith("call.")]
    assert [e["event"] for e in of_call if e["level"] == "info"] == ["call.started", "call.answered", "call.ended"]
    assert len({e["call"] for e in of_call}) == 1 and {e["leg"] for e in of_call} == {"0"} and {e["extension"] for e in of_call} == {"201"}
    bye = [e for e in events(logged.file.read_text(), "sip.message") if e["line"].startswith("BYE ")]
    assert bye and bye[0]["call"] == of_call[0]["call"] and bye[0]["sip_call_id"] == of_call[0]["sip_call_id"]


def test_a_level_reaches_the_switch_at_once_and_a_recording_holds_it(tmp_path):
    """Below what the rules want the switch makes no events at all: a rule that comes while it runs is known to it with the next message."""
    d = Daemon(args=["--log-level", "error", "--record", str(tmp_path / "record"), "--log-file", str(tmp_path / "strowger.log")])
    file = tmp_path / "strowger.log"
    try:
        d.start()
        cred = add_generic(d, 201)
        ua = Ua(d, cred["user"], cred["secret"])
        assert ua.register() == 200
        seen = []
        for rule in ((), ("level", "call", "debug"), ("reset",), ("peer", "201", "info", "--for", "1h"), ("level", "call", "error")):
            if rule:
                d.cli("log", *rule)
            n = len(events(file.read_text()))
            call_echo(d, ua)
            assert wait_for(lambda: len(json.loads(d.cli("--json", "show", "cdr").stdout)) > len(seen), 10)
            seen.append([e["event"] for e in events(file.read_text())[n:] if e["event"].startswith("call.")])
        ua.close()
        whole = ["call.started", "call.answered", "call.ended"]
        assert seen == [[], whole, [], whole, whole]
        assert d.stop() == 0
    finally:
        d.clean()
    p = subprocess.run([str(BUILD / "sim"), "--replay", str(tmp_path / "record")], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stdout + p.stderr


def test_a_strangers_bytes_make_no_line_of_their_own(logged):
    ua = Ua(logged)
    try:
        ua.send(b"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\nCSeq: x\x1b[31m\r\n\r\n")
        logged.cli("log", "level", "debug")
        ua.send(b"\x1b]0;owned\x07\n2026-01-01T00:00:00.000Z level=error event=forged\r\nX\r\n\r\n")
        assert wait_for(lambda: len(events(logged.file.read_text(), "sip.message")) >= 1, 5)
    finally:
        ua.close()
    text = logged.file.read_text()
    assert "\x1b" not in text and not events(text, "forged")


def test_a_file_is_put_aside_and_opened_anew(logged):
    moved = logged.file.with_name("moved.log")
    os.rename(logged.file, moved)
    logged.proc.send_signal(signal.SIGHUP)
    assert wait_for(lambda: logged.file.exists() and events(logged.file.read_text(), "log.reopened"), 5)
    logged.cli("log", "level", "debug")
    pad = b"X-Pad: " + b"x" * 2800
    for n in range(10):  # each stranger alone stays below what one source may send; a message makes a line of 3 kB
        ua = Ua(logged, addr=f"127.0.0.{n + 10}")
        for _ in range(60):
            ua.send(b"OPTIONS sip:127.0.0.1 SIP/2.0\r\n" + pad + b"\r\n\r\n")
        ua.close()
    assert wait_for(lambda: logged.file.with_name("strowger.log.1").exists(), 10)
    assert logged.file.with_name("strowger.log.1").stat().st_size <= 1 << 20
    for f in (logged.file, logged.file.with_name("strowger.log.1"), moved):
        events(f.read_text())


def journal_fields(packet):
    """systemd's Native Journal Protocol: KEY=value lines, or KEY, a 64-bit length and that many bytes."""
    out, at = {}, 0
    while at < len(packet):
        end = packet.index(b"\n", at)
        line = packet[at:end]
        at = end + 1
        if b"=" in line:
            k, v = line.split(b"=", 1)
        else:
            k, (n,) = line, struct.unpack_from("<Q", packet, at)
            v = packet[at + 8:at + 8 + n]
            assert packet[at + 8 + n:at + 9 + n] == b"\n"
            at += 9 + n
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]*", k), k
        out.setdefault(k.decode(), []).append(v.decode(errors="replace"))
    return out


def test_the_journal_gets_fields(tmp_path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "journal"))
    sock.settimeout(10)
    d = Daemon(args=[f"--log-journal={tmp_path / 'journal'}"])
    try:
        d.start()
        f = journal_fields(sock.recv(65536))
        while f["STROWGER_EVENT"] != ["daemon.started"]:
            f = journal_fields(sock.recv(65536))
        assert f["PRIORITY"] == ["6"] and f["SYSLOG_IDENTIFIER"] == ["strowgerd"] and f["SITE"] == [str(d.site)]
        assert f["MESSAGE"][0].startswith("level=info event=daemon.started version=")
        assert d.stop() == 0 and d.log == ""
    finally:
        d.clean()
        sock.close()
