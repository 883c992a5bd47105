"""Reliable provisional responses, UPDATE and session timers, with sipp as both ends."""
import contextlib
import sqlite3

import pytest
from sipkit import add_generic, show, wait_for
from sipprun import Sipp, auth, injection
from test_baresip import free_ports


@contextlib.contextmanager
def pair(daemon, tmp_path, uas, uac):
    """One call from one sipp to another; both must see what their scenario says."""
    a, b = add_generic(daemon, 4101), add_generic(daemon, 4102)
    uas_port, uac_port = free_ports(2)
    remote = "%s:%d" % daemon.sip
    runs = []

    def sipp(name, scenario, port, *args, **kw):
        runs.append(Sipp(tmp_path / name, scenario, "127.0.0.1", port, *args, **kw))
        return runs[-1]

    try:
        first = sipp("first", "register.xml", uas_port, "-inf", injection(tmp_path / "first.csv", [(b["user"], auth(b))]), "-m", 1, remote=remote)
        assert first.wait(20) == 0, first.trouble()
        callee = sipp("uas", uas, uas_port, "-m", 1)
        caller = sipp("uac", uac, uac_port, "-inf", injection(tmp_path / "call.csv", [(a["user"], b["user"], auth(a))]), "-m", 1, remote=remote)
        yield callee, caller
    finally:
        for r in runs:
            r.stop()


def records(daemon):
    with contextlib.closing(sqlite3.connect(f"file:{daemon.site}/strowger.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT leg_no, cause FROM cdr WHERE closed = 1 ORDER BY leg_no").fetchall()


def ends(daemon, callee, caller, causes):
    assert caller.wait(40) == 0, caller.trouble() + callee.trouble()
    assert callee.wait(40) == 0, callee.trouble()
    assert wait_for(lambda: show(daemon, "calls") == [])
    assert wait_for(lambda: records(daemon) == causes), records(daemon)


@pytest.mark.row("R17", "R20")
def test_reliable_18x_of_a_called_party(daemon, tmp_path):
    daemon.cli("settings", "set", "reliable_provisional=yes")
    with pair(daemon, tmp_path, "uas_100rel.xml", "uac_100rel.xml") as (callee, caller):
        ends(daemon, callee, caller, [(0, 16), (1, 16)])
    assert any("180" in k for k in caller.received_again()), "an unacknowledged 180 was not repeated"
    assert not any("PRACK" in k for k in callee.received_again())


@pytest.mark.row("R17")
def test_the_switch_refreshes_until_nobody_answers(daemon, tmp_path):
    daemon.cli("settings", "set", "session_min_s=4", "session_timer_s=4")
    with pair(daemon, tmp_path, "uas_timer.xml", "uac_timer.xml") as (callee, caller):
        ends(daemon, callee, caller, [(0, 41), (1, 102)])
