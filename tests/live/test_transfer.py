"""Transfers through the shipped daemon: virtual phones and stock baresip, each form ending in who hears whom, measured in the RTP
that the other process received; and sipp, which sends REFER on its own terms. STROWGER_SECONDS: how long is talked (2)."""
import os
import re

import pytest
from conftest import Daemon
from sipkit import Ua, add_generic, header, show, status, wait_for
from sipprun import Sipp, auth, injection
from test_baresip import Baresip, free_ports
from test_six_directions import Vphone

TALK = int(os.environ.get("STROWGER_SECONDS", "2"))
TRANSFERRED = 303


@pytest.fixture(params=["udp", "tcp"])
def office(request, tmp_path):
    """Three virtual phones 312, 324, 348 and a baresip 336 that answers by itself and sends 900 Hz."""
    d = Daemon(args=["--rtp-pairs", "64"]).start()
    phones, bare = [], None
    try:
        d.cli("settings", "set", f"phone_transport={request.param}", "media=anchor")
        for ext, model, pin in (("312", "VVX410", "4071"), ("324", "SPIP650", "5182"), ("348", "VVX500", "6293")):
            d.cli("extension", "add", ext, "--pin", pin)
            phones.append(Vphone(d, model, f"0004f2{ext}a01"[:12].ljust(12, "0"), ext, pin, tmp_path / f"{ext}.err"))
        assert wait_for(lambda: all(p.saw("registered", 0) for p in phones), 15), [p.events for p in phones]
        bare = Baresip(tmp_path / "bare", d, add_generic(d, "336"), 900, answer="auto", transport=request.param)
        bare.ext, bare.hz = "336", 900
        yield d, phones, bare
        for p in phones:
            p.end()
        bare.stop()
        assert wait_for(lambda: show(d, "calls") == [], 5), show(d, "calls")
        assert d.stop() == 0, d.log
    finally:
        if bare:
            bare.stop()
        for p in phones:
            if p.p.poll() is None:
                p.p.kill()
                p.p.wait()
        d.clean()


def answers(phone, other):
    """It rings, is answered, and the other's tone comes."""
    phone.do("wait ringing 15", "answer", "wait talking 5", f"wait tone {other.hz} 10")


def causes(d, n, before=0):
    rows = wait_for(lambda: (lambda r: r if len(r) == before + n and all(x["closed"] for x in r) else None)(show(d, "cdr")), 8)
    assert rows, show(d, "cdr")
    assert len({r["id"] for r in rows}) == len(rows)
    return sorted(r["cause"] for r in rows[:n])


def ended(phone, since):
    assert wait_for(lambda: phone.saw("idle", since) or phone.p.poll() is not None, TALK + 30), phone.events[since:]


@pytest.mark.row("R17", "G4")
def test_every_form(office):
    d, (a, b, c), bare = office
    # blind, by the caller: B and C talk, A is out of it when C rings
    n = [len(p.events) for p in (a, b, c)]
    b.do("wait ringing 15", "answer", "wait talking 5", f"wait tone {a.hz} 10", f"wait tone {c.hz} 20", f"wait seconds {TALK}", "expect lost 0", "hangup", "wait idle 5")
    answers(c, b)
    c.do(f"wait idle {TALK + 20}")
    a.do(f"dial {b.ext}", "wait talking 10", f"wait tone {b.hz} 10", f"blind {c.ext}", "wait idle 10")
    for p, since in zip((a, b, c), n):
        ended(p, since)
    assert causes(d, 3) == [16, 16, TRANSFERRED]

    # attended: A asks C about the baresip that it talks with
    n = [len(p.events) for p in (a, c)]
    c.do("wait ringing 20", "answer", "wait talking 5", f"wait tone {a.hz} 10", "wait tone 900 20", f"wait seconds {TALK + 1}", "hangup", "wait idle 5")
    a.do("dial 336", "wait talking 10", "wait tone 900 10", f"transfer {c.ext}", "wait seconds 1", f"wait tone {c.hz} 10", "transfer", "wait event transferred 5", "wait idle 10")
    for p, since in zip((a, c), n):
        ended(p, since)
    assert bare.event("CALL_CLOSED", 10), bare.log
    # what baresip itself hears is not measured: its dump of the decoder stays empty once a re-INVITE has come
    assert causes(d, 4, 3) == [16, 16, TRANSFERRED, TRANSFERRED]

    # while it rings: A gives its second call up and C rings for B
    n = [len(p.events) for p in (a, b, c)]
    b.do("wait ringing 15", "answer", "wait talking 5", f"wait tone {a.hz} 10", f"wait tone {c.hz} 20", f"wait seconds {TALK}", "hangup", "wait idle 5")
    a.do(f"dial {b.ext}", "wait talking 10", f"wait tone {b.hz} 10", f"transfer {c.ext}", "wait ringback 10", "transfer", "wait idle 10")
    ended(a, n[0])
    answers(c, b)
    c.do(f"wait idle {TALK + 20}")
    for p, since in zip((b, c), n[1:]):
        ended(p, since)
    assert causes(d, 5, 7) == [16, 16, TRANSFERRED, 487, 487]

    # nobody has the number: the call is as before, and taken back
    n = [len(p.events) for p in (a, b)]
    b.do("wait ringing 15", "answer", "wait talking 5", "wait heldbypeer 5", "wait talking 10", f"wait tone {a.hz} 10", "wait idle 20")
    a.do(f"dial {b.ext}", "wait talking 10", "blind 999", "wait event transfer-failed 5", "resume", f"wait tone {b.hz} 10", f"wait seconds {TALK}", "hangup", "wait idle 5")
    for p, since in zip((a, b), n):
        ended(p, since)
    assert causes(d, 2, 12) == [16, 16]


@pytest.fixture
def desk():
    d = Daemon(args=["--rtp-pairs", "64"]).start()
    try:
        yield d
        assert wait_for(lambda: show(d, "calls") == [], 10), show(d, "calls")
        assert d.stop() == 0, d.log
    finally:
        d.clean()


SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 29994 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"


def consult(ua, target):
    """A call of `ua` that is answered: the value of Replaces by which its far end knows it."""
    uri = f"sip:{target}@127.0.0.1"
    body = {"extra": "Content-Type: application/sdp\r\n", "body": SDP}
    got = ua.ask("INVITE", uri, **body)
    assert status(got) == 401, got
    got = ua.ask("INVITE", uri, **(body | {"extra": body["extra"] + ua.digest(got, "INVITE", uri)}))
    assert status(got) == 200, got
    tag = re.search(r";tag=([^;\s]+)", header(got, "To"))[1]
    ua.cseq -= 1
    contact = re.search(r"<([^>]+)>", header(got, "Contact"))[1]
    ua.send(ua.text("ACK", contact, to=f"{uri}>;tag={tag}").replace(f";tag={tag}>", f";tag={tag}"))
    return f"{ua.call_id}%3Bto-tag%3D{tag}%3Bfrom-tag%3Dt{ua.port}"


@pytest.mark.row("R17")
@pytest.mark.parametrize("form", ["blind", "attended"])
def test_sipp_refers(desk, tmp_path, form):
    """Ten in a row: sipp calls, sends REFER, answers each NOTIFY until the last one, and hangs up; the two others go on."""
    n = 10
    a, kept, target = (add_generic(desk, e) for e in ("4101", "4201", "4301"))
    ports, remote, runs = free_ports(), "%s:%d" % desk.sip, []
    try:
        for i, cred in enumerate((kept, target)):
            reg = Sipp(tmp_path / f"reg{i}", "register.xml", "127.0.0.1", ports[i + 1], "-inf",
                       injection(tmp_path / f"reg{i}.csv", [(cred["user"], auth(cred))]), "-m", 1, remote=remote)
            assert reg.wait(20) == 0, reg.trouble()
        runs.append(Sipp(tmp_path / "kept", "moved_bye.xml", "127.0.0.1", ports[1]))
        runs.append(Sipp(tmp_path / "target", "moved.xml", "127.0.0.1", ports[2]))
        for i in range(n):
            to = f"sip:4301@{remote}"
            if form == "attended":
                ua = Ua(desk, a["user"], a["secret"])
                to = f"<{to}?Replaces={consult(ua, '4301')}>"
            uac = Sipp(tmp_path / f"uac{i}", "refer.xml", "127.0.0.1", ports[0], "-inf", injection(tmp_path / f"uac{i}.csv", [(a["user"], kept["user"], auth(a), to)]),
                       "-m", 1, remote=remote)
            assert uac.wait(20) == 0, uac.trouble()
            if form == "attended":
                bye = ua.recv()
                assert bye and bye.startswith("BYE "), bye  # of the call that was replaced
                ua.send("SIP/2.0 200 OK\r\n" + "".join(f"{h}: {header(bye, h)}\r\n" for h in ("Via", "From", "To", "Call-ID", "CSeq")) + "Content-Length: 0\r\n\r\n")
                ua.close()
            assert wait_for(lambda: show(desk, "calls") == [], 5), show(desk, "calls")
        legs = 3 if form == "blind" else 4
        rows = wait_for(lambda: (lambda r: r if len(r) == legs * n and all(x["closed"] for x in r) else None)(show(desk, "cdr")), 8)
        assert rows, show(desk, "cdr")
        assert sum(r["cause"] == TRANSFERRED for r in rows) == n * (1 if form == "blind" else 2)
        assert all(r["cause"] == 16 for r in rows if r["extension"] != "4101")
    finally:
        for r in runs:
            r.stop()
