"""Debian's baresip, two processes and the switch between them: calls, what is heard, what is written in the call records."""
import itertools
import json
import math
import os
import pathlib
import re
import socket
import subprocess
import time
import wave

import pytest
from conftest import Daemon
from sipkit import add_generic, show, wait_for

CONFIG = """poll_method epoll
sip_listen 127.0.0.1:{sip}
audio_source ausine,{tone}
audio_player aubridge,sink{sip}
audio_alert aubridge,alert{sip}
ausrc_srate 48000
auplay_srate 8000
ausrc_channels 2
auplay_channels 1
rtp_ports {rtp}-{rtp_end}
net_interface 127.0.0.1
module_path /usr/lib/baresip/modules
snd_path {dir}/audio
module g711.so
module ausine.so
module aubridge.so
module sndfile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{ctrl}
"""
# Words in baresip's log that mean we sent it something it did not like.
COMPLAINTS = re.compile(r"(?i)malformed|could not parse|parse error|bad (?:rtp|packet|message)|decode (?:failed|error)|unsupported|no matching|unexpected")


NEXT = itertools.cycle(range(12000 + os.getpid() % 40 * 100, 20000, 50))


def free_ports(n=3):
    """Ports below the ephemeral range (nobody is handed them by chance), each with 20 free ones behind it: baresip takes the
    next one for TLS, and a range for RTP."""
    out = []
    while len(out) < n:
        port, socks = next(NEXT), []
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                for off in (0, 1):
                    socks.append(socket.socket(socket.AF_INET, kind))
                    socks[-1].bind(("127.0.0.1", port + off))
            out.append(port)
        except OSError:
            pass
        finally:
            for x in socks:
                x.close()
    return out


class Baresip:
    """One process; commands and events over its ctrl_tcp module (JSON in netstrings)."""

    def __init__(self, dirname, daemon, cred, tone, answer="manual", transport="udp"):
        self.dir, self.events, self.buf = pathlib.Path(dirname), [], b""
        (self.dir / "audio").mkdir(parents=True)
        sip, ctrl, rtp = free_ports()
        rtp = rtp & ~1 if rtp < 64000 else 40000
        (self.dir / "config").write_text(CONFIG.format(sip=sip, ctrl=ctrl, rtp=rtp, rtp_end=rtp + 20, tone=tone, dir=self.dir))
        host, port = daemon.sip
        (self.dir / "accounts").write_text(f"<sip:{cred['user']}@{host}:{port};transport={transport}>;auth_user={cred['user']};"
                                           f"auth_pass={cred['secret']};audio_codecs=PCMU/8000/1;answermode={answer};regint=300\n")
        (self.dir / "contacts").write_text("")
        self.uri = lambda ext: f"sip:{ext}@{host}:{port}" + (";transport=tcp" if transport == "tcp" else "")
        self.log_path = self.dir / "log"
        with open(self.log_path, "wb") as log:
            self.proc = subprocess.Popen(["baresip", "-4", "-v", "-s", "-f", str(self.dir)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert wait_for(lambda: self.connect(ctrl), 5), self.log
        assert wait_for(lambda: "[1 binding]" in self.log, 8), self.log

    log = property(lambda self: self.log_path.read_text(errors="replace"))

    def connect(self, port):
        try:
            self.s = socket.create_connection(("127.0.0.1", port), timeout=1)
            return True
        except OSError:
            return False

    def cmd(self, command, params=""):
        raw = json.dumps({"command": command, "params": params, "token": "t"}).encode()
        self.s.sendall(b"%d:%s," % (len(raw), raw))

    def pump(self, timeout):
        self.s.settimeout(max(0.01, timeout))
        try:
            self.buf += self.s.recv(65536)
        except socket.timeout:
            return
        while b":" in self.buf:
            n = int(self.buf.split(b":", 1)[0])
            start = self.buf.index(b":") + 1
            if len(self.buf) < start + n + 1:
                return
            self.events.append(json.loads(self.buf[start:start + n]))
            self.buf = self.buf[start + n + 1:]

    def event(self, kind, timeout=8):
        """The next event of that type (those before it are dropped), or None."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            while self.events:
                e = self.events.pop(0)
                if e.get("type") == kind:
                    return e
            self.pump(until - time.monotonic())
        return None

    def heard(self):
        """Received audio as (samples, rate): sndfile's dump of the decoder."""
        path = max(self.dir.glob("audio/*dec.wav"), key=lambda p: p.stat().st_mtime)
        with wave.open(str(path)) as w:
            raw = w.readframes(w.getnframes())
            return [int.from_bytes(raw[i:i + 2], "little", signed=True) for i in range(0, len(raw), 2)], w.getframerate()

    def stop(self):
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(5)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.s.close()


def goertzel(x, rate, hz):
    """Share of the signal's power at hz: 1 for a pure tone, about 0 where there is none."""
    c = 2 * math.cos(2 * math.pi * hz / rate)
    s1 = s2 = 0.0
    for v in x:
        s1, s2 = v + c * s1 - s2, s1
    power = s1 * s1 + s2 * s2 - c * s1 * s2
    return 2 * power / (len(x) * (sum(v * v for v in x) or 1))


def assert_tone(phone, hz):
    x, rate = phone.heard()
    assert len(x) > rate, f"only {len(x)} samples heard"
    middle = x[len(x) // 2 - rate // 4:len(x) // 2 + rate // 4]
    best = max(range(hz - 40, hz + 41, 2), key=lambda f: goertzel(middle, rate, f))
    assert goertzel(middle, rate, best) > 0.85 and abs(best - hz) <= 4, (best, goertzel(middle, rate, best), goertzel(middle, rate, hz))


@pytest.fixture(scope="module")
def line():
    """A daemon with two generic devices: 4001 and 4002, who gives up ringing after 5 seconds."""
    d = Daemon().start()
    try:
        yield d, [add_generic(d, "4001", "--name", "Ann"), add_generic(d, "4002", "--name", "Bob", "--ring-s", "5")]
        assert d.stop() == 0, d.log
    finally:
        d.clean()


@pytest.fixture
def phones(line, tmp_path):
    made = []

    def make(i, tone=700, **kw):
        made.append(Baresip(tmp_path / f"p{i}-{len(made)}", line[0], line[1][i], tone, **kw))
        return made[-1]
    yield make
    for p in made:
        p.stop()
    for p in made:
        assert p.proc.returncode == 0, p.log
        assert not COMPLAINTS.search(p.log), COMPLAINTS.search(p.log) and p.log[max(0, COMPLAINTS.search(p.log).start() - 300):][:600]
    assert wait_for(lambda: show(line[0], "calls") == []), show(line[0], "calls")


def newest(daemon, rows_before, n=1):
    rows = wait_for(lambda: (lambda r: r if len(r) >= rows_before + n and all(x["closed"] for x in r[:n]) else None)(show(daemon, "cdr")), 5)
    assert rows, f"no call record: {show(daemon, 'cdr')}"
    return rows[:n]


def talk(caller, callee, target, seconds=1.6):
    """Dials, waits for the answer, talks, hangs up; how long they talked."""
    caller.cmd("dial", caller.uri(target))
    assert caller.event("CALL_ESTABLISHED"), caller.log
    began = time.monotonic()
    if callee:
        assert callee.event("CALL_ESTABLISHED"), callee.log
    time.sleep(seconds)
    caller.cmd("hangup")
    took = time.monotonic() - began
    if callee:
        assert callee.event("CALL_CLOSED"), callee.log
    time.sleep(0.2)
    return took


def assert_legs(rows, took, direct, transport):
    """Both legs' records of one answered call from 4001 to 4002."""
    assert {(r["extension"], r["direction"]) for r in rows} == {("4001", 0), ("4002", 1)}, rows
    for r in rows:
        assert (r["caller"], r["callee"], r["cause"], r["closed"], r["direct_media"]) == ("4001", "4002", 16, 1, int(direct)), r
        assert abs(r["talk_ms"] / 1000 - took) < 1 and abs((r["end_ms"] - r["answer_ms"]) / 1000 - took) < 1, (r, took)
        assert r["remote"].endswith("/" + transport), r
    assert len({r["call"] for r in rows}) == 1, rows


@pytest.mark.parametrize("media", ["anchor", "direct"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_two_phones_hear_each_other(line, phones, transport, media):
    daemon = line[0]
    daemon.cli("settings", "set", f"media={media}")
    for ext in ("4001", "4002"):
        daemon.cli("extension", "set", ext, "--media", media)
    before = len(show(daemon, "cdr"))
    a, b = phones(0, 700, transport=transport), phones(1, 1000, transport=transport, answer="auto")
    took = talk(a, b, "4002")
    assert_tone(a, 1000)
    assert_tone(b, 700)
    assert_legs(newest(daemon, before, 2), took, media == "direct", transport)


def test_udp_and_tcp_phones_meet(line, phones):
    a, b = phones(0, 700, transport="tcp"), phones(1, 1000, transport="udp", answer="auto")
    talk(a, b, "4002", 1.3)
    assert_tone(a, 1000)
    assert_tone(b, 700)


def test_milliwatt_is_heard_at_1004_hz(line, phones):
    before, a = len(show(line[0], "cdr")), phones(0)
    took = talk(a, None, "9197")
    assert_tone(a, 1004)
    row = newest(line[0], before)[0]
    assert (row["caller"], row["dialled"], row["cause"]) == ("4001", "9197", 16) and abs(row["talk_ms"] / 1000 - took) < 1, row


def test_echo_returns_the_callers_own_tone(line, phones):
    a = phones(0, 850)
    talk(a, None, "9196")
    assert_tone(a, 850)


def test_cancel_before_answer(line, phones):
    before, a, b = len(show(line[0], "cdr")), phones(0), phones(1)
    a.cmd("dial", a.uri("4002"))
    assert b.event("CALL_INCOMING"), b.log
    assert a.event("CALL_RINGING"), a.log
    a.cmd("hangup")
    assert b.event("CALL_CLOSED"), b.log
    for row in newest(line[0], before, 2):
        assert (row["cause"], row["talk_ms"], row["answer_ms"]) == (487, 0, 0), row


def test_reject_is_busy_for_the_caller(line, phones):
    before, a, b = len(show(line[0], "cdr")), phones(0), phones(1)
    a.cmd("dial", a.uri("4002"))
    assert b.event("CALL_INCOMING"), b.log
    b.cmd("hangup")
    closed = a.event("CALL_CLOSED")
    assert closed and closed["param"].startswith("486"), closed
    for row in newest(line[0], before, 2):
        assert (row["cause"], row["sip_status"], row["talk_ms"]) == (17, 486, 0), row


def test_no_answer_gives_up_after_ring_s(line, phones):
    before, a, b = len(show(line[0], "cdr")), phones(0), phones(1)
    a.cmd("dial", a.uri("4002"))
    assert b.event("CALL_INCOMING"), b.log
    began = time.monotonic()
    closed = a.event("CALL_CLOSED", 12)
    assert closed and closed["param"].startswith("480"), closed
    assert 4 < time.monotonic() - began < 8
    assert b.event("CALL_CLOSED"), b.log
    for row in newest(line[0], before, 2):
        assert (row["cause"], row["talk_ms"]) == (19, 0) and row["ring_ms"] > 4000, row


def test_a_number_that_is_nobodys(line, phones):
    a = phones(0)
    a.cmd("dial", a.uri("4999"))
    closed = a.event("CALL_CLOSED")
    assert closed and closed["param"].startswith("404"), closed
