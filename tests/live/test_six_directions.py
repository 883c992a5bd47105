"""Two live virtual phones and one stock baresip call each other in all six directions, over UDP and TCP, through the
switch and phone to phone; who hears whom is measured in the RTP that the other process received. STROWGER_SECONDS: how
long each call talks (3; ./accept uses 30)."""
import json
import os
import subprocess
import threading
import time

import pytest
from conftest import BUILD, Daemon
from sipkit import add_generic, show, wait_for
from test_baresip import Baresip, assert_tone

TALK = int(os.environ.get("STROWGER_SECONDS", "3"))


class Vphone:
    """A vphone that takes its script line by line; every wait must hold or it exits with 1."""

    def __init__(self, daemon, model, mac, ext, pin, log, *more):
        self.ext, self.hz, self.events, self.report = ext, 400 + 10 * int(ext[-2:]), [], None
        self.err = open(log, "w+")
        self.p = subprocess.Popen([str(BUILD / "vphone"), "--model", model, "--mac", mac, "--server", daemon.http, "--user", ext, "--password", pin,
                                   "--boot-ms", "50", "--script", "-", "--json", *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err, text=True)
        threading.Thread(target=self.read, daemon=True).start()
        self.do("boot", "wait registered 15")

    def read(self):
        for line in self.p.stdout:
            v = json.loads(line)
            if "result" in v:
                self.report = v
            else:
                self.events.append(v)

    def do(self, *lines):
        self.p.stdin.write("".join(line + "\n" for line in lines))
        self.p.stdin.flush()

    def saw(self, event, since):
        return any(e.get("event") == event for e in self.events[since:])

    def end(self):
        self.p.stdin.close()
        rc = self.p.wait(30)
        self.err.seek(0)
        assert rc == 0, self.err.read() + json.dumps(self.events[-12:])
        assert wait_for(lambda: self.report, 5)
        assert self.report["report"]["defects"] == 0, self.report["report"]["strictness"]
        return self.report["report"]


def call_phones(a, b):
    """a calls b, both hear each other without loss, a hangs up."""
    na, nb = len(a.events), len(b.events)
    b.do("wait ringing 10", "answer", "wait talking 5", f"wait tone {a.hz} 5", f"wait idle {TALK + 15}")
    a.do(f"dial {b.ext}", "wait talking 10", f"wait tone {b.hz} 5", f"wait seconds {TALK}", "expect lost 0", f"expect rtp {TALK * 45}", "hangup", "wait idle 5")
    for p, n in ((a, na), (b, nb)):
        assert wait_for(lambda: p.saw("ended", n) or p.p.poll() is not None, TALK + 20), p.events[n:]


def call_baresip(a, bare, hz):
    n = len(a.events)
    a.do("dial " + bare.ext, "wait talking 10", f"wait tone {hz} 5", f"wait seconds {TALK}", "expect lost 0", "hangup", "wait idle 5")
    assert bare.event("CALL_CLOSED", TALK + 20), bare.log
    assert wait_for(lambda: a.saw("ended", n) or a.p.poll() is not None, 5)
    time.sleep(0.2)
    assert_tone(bare, a.hz)


def baresip_calls(bare, b, hz):
    n = len(b.events)
    b.do("wait ringing 10", "answer", "wait talking 5", f"wait tone {hz} 5", f"wait idle {TALK + 15}")
    bare.cmd("dial", bare.uri(b.ext))
    assert bare.event("CALL_ESTABLISHED", 10), bare.log
    time.sleep(TALK)
    bare.cmd("hangup")
    assert wait_for(lambda: b.saw("ended", n) or b.p.poll() is not None, 10), b.events[n:]
    time.sleep(0.2)
    assert_tone(bare, b.hz)


def run(daemon, prefix, transport, media, tmp, errors):
    try:
        exts = [prefix + "12", prefix + "24"]
        for e, pin in zip(exts, ("4071", "5182")):
            daemon.cli("extension", "add", e, "--pin", pin, "--media", media)
        cred = add_generic(daemon, prefix + "36", "--media", media)
        hz = 900
        v = Vphone(daemon, "VVX410", f"0004f2{prefix}12a01"[:12].ljust(12, "0"), exts[0], "4071", tmp / f"{prefix}v.err")
        s = Vphone(daemon, "SPIP650", f"0004f2{prefix}24b02"[:12].ljust(12, "0"), exts[1], "5182", tmp / f"{prefix}s.err")
        assert wait_for(lambda: v.saw("registered", 0) and s.saw("registered", 0), 15), (v.events, s.events)
        bare = Baresip(tmp / f"{prefix}b", daemon, cred, hz, answer="auto", transport=transport)
        bare.ext = prefix + "36"
        try:
            call_phones(v, s)
            call_phones(s, v)
            call_baresip(v, bare, hz)
            call_baresip(s, bare, hz)
            baresip_calls(bare, v, hz)
            baresip_calls(bare, s, hz)
            for p in (v, s):
                report = p.end()
                assert report["last_call"]["rtp_foreign"] == 0
        finally:
            bare.stop()
            for p in (v, s):
                if p.p.poll() is None:
                    p.p.kill()
                    p.p.wait()
    except BaseException as e:  # noqa: BLE001 - told by the test below
        errors.append(e)


@pytest.mark.row("G4", "G34", "V1", "V15", "V24")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_all_six_directions(transport, tmp_path):
    d = Daemon(args=["--rtp-pairs", "64"]).start()
    errors = []
    try:
        d.cli("settings", "set", f"phone_transport={transport}", "media=direct")
        jobs = [threading.Thread(target=run, args=(d, prefix, transport, media, tmp_path, errors)) for prefix, media in (("3", "anchor"), ("4", "direct"))]
        for j in jobs:
            j.start()
        for j in jobs:
            j.join()
        if errors:
            raise errors[0]
        rows = wait_for(lambda: (lambda r: r if len(r) == 24 and all(x["closed"] for x in r) else None)(show(d, "cdr")), 5)
        assert rows, show(d, "cdr")
        assert all(x["cause"] == 16 for x in rows)
        assert all(abs(x["talk_ms"] / 1000 - TALK) < 2.5 for x in rows), [x["talk_ms"] for x in rows]
        assert {bool(x["direct_media"]) for x in rows if x["extension"].startswith("4")} == {True}
        assert {bool(x["direct_media"]) for x in rows if x["extension"].startswith("3")} == {False}
        assert d.stop() == 0, d.log
    finally:
        d.clean()
