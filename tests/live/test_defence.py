"""Strangers: searches for users are blocked at the edge, released by the administrator; a flood from one source leaves phones alone;
calls for help get through from everywhere."""
import json
import socket
import sqlite3
import threading
import time

import pytest
from conftest import Daemon
from sipkit import Ua, add_generic, status, wait_for


def guess(ua, user):
    """REGISTER with a digest that fits nobody; the status, or None when nothing comes."""
    ua.user = user
    uri, to = "sip:127.0.0.1", f"sip:{user}@127.0.0.1"
    got = ua.ask("REGISTER", uri, to=to)
    if not got:
        return None
    got = ua.ask("REGISTER", uri, to=to, extra=ua.digest(got, "REGISTER", uri))
    return got and status(got)


@pytest.mark.row("Z45")
def test_a_search_for_users_is_blocked_and_released(daemon):
    creds = add_generic(daemon, "301")
    thief, phone = Ua(daemon, addr="127.0.0.66"), Ua(daemon, creds["user"], creds["secret"])
    assert phone.register() == 200
    for i in range(20):
        assert guess(thief, f"{700 + i}") == 401
    thief.user = "x"
    assert not thief.alive(1)  # not even OPTIONS
    assert phone.alive() and phone.register() == 200
    bans = json.loads(daemon.cli("--json", "ban", "list").stdout)
    assert [b["source"] for b in bans] == ["127.0.0.66"] and 3500 < bans[0]["seconds"] <= 3600
    help_ = thief.ask("INVITE", "sip:911@127.0.0.1", extra="Content-Type: application/sdp\r\n", body="v=0\r\n")
    assert help_ and status(help_) == 401  # heard, and asked who it is
    daemon.cli("ban", "release", "127.0.0.66")
    assert wait_for(lambda: thief.alive(0.5), 5)
    assert daemon.cli("ban", "release", "127.0.0.66", check=False).returncode == 5
    assert "event=ban.blocked source=127.0.0.66" in daemon.log


def kept_bans(daemon):
    with sqlite3.connect(daemon.site / "registrations.db") as db:
        n = db.execute("SELECT count(*) FROM ban").fetchone()[0]
    db.close()
    return n


@pytest.mark.row("Z45")
def test_a_ban_outlives_a_restart(daemon):
    thief = Ua(daemon, addr="127.0.0.66")
    for i in range(20):
        assert guess(thief, f"{700 + i}") == 401
    thief.user = "x"
    assert wait_for(lambda: kept_bans(daemon) == 1, 10)
    daemon.kill()
    daemon.start()
    assert not thief.alive(1)
    bans = json.loads(daemon.cli("--json", "ban", "list").stdout)
    assert [b["source"] for b in bans] == ["127.0.0.66"] and 3400 < bans[0]["seconds"] <= 3600
    daemon.cli("ban", "release", "127.0.0.66")
    assert wait_for(lambda: kept_bans(daemon) == 0, 10)
    daemon.kill()
    daemon.start()
    assert wait_for(lambda: thief.alive(0.5), 5) and json.loads(daemon.cli("--json", "ban", "list").stdout) == []


@pytest.mark.row("Z45")
def test_lists_of_networks(daemon):
    bad = daemon.cli("settings", "set", "blocked_sources=127.0.0.0/8,phones", check=False)
    assert bad.returncode != 0 and "192.0.2.7" in bad.stdout + bad.stderr
    daemon.cli("settings", "set", "blocked_sources=127.0.0.70/31", "trusted_sources=127.0.0.80")
    blocked, trusted, other = (Ua(daemon, addr=a) for a in ("127.0.0.71", "127.0.0.80", "127.0.0.72"))
    assert wait_for(lambda: not blocked.alive(0.5), 5)
    assert other.alive()
    for i in range(25):
        assert guess(trusted, f"{700 + i}") == 401
    assert trusted.alive()


@pytest.mark.row("R22", "R23")
def test_a_flood_leaves_phones_alone(daemon):
    creds = add_generic(daemon, "301")
    phone = Ua(daemon, creds["user"], creds["secret"])
    assert phone.register() == 200
    stop, sent = threading.Event(), [0]

    def flood():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.99", 0))
        port, until = s.getsockname()[1], time.monotonic() + 6
        while not stop.is_set() and time.monotonic() < until:
            for _ in range(50):
                sent[0] += 1
                s.sendto(f"REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.99:{port};branch=z9hG4bKf{sent[0]}\r\nFrom: <sip:{sent[0]}@x>;tag=1\r\n"
                         f"To: <sip:{sent[0]}@x>\r\nCall-ID: f{sent[0]}\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode(), daemon.sip)
            time.sleep(0.002)
        s.close()

    t = threading.Thread(target=flood)
    t.start()
    try:
        answered = sum(phone.alive(1.0) for _ in range(20))
        assert phone.register() == 200
        time.sleep(1)
    finally:
        stop.set()
        t.join()
    assert sent[0] > 2000
    assert answered == 20
    c = json.loads(daemon.cli("--json", "show", "status").stdout)
    assert c["transactions"] < 1000, c
