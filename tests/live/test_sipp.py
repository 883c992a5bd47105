"""sipp: calls with digest on INVITE, beside a storm of registrations."""
import contextlib
import os
import sqlite3

import pytest
from conftest import Daemon
from sipkit import add_generic, show, wait_for
from sipprun import Sipp, auth, injection
from test_baresip import free_ports

N, RATE, SECONDS, REG_RATE = 20, 100, int(os.environ.get("STROWGER_SECONDS", "5")), 200  # ./accept: 60 s


@pytest.fixture
def big():
    d = Daemon(args=["--rtp-pairs", "200"]).start()
    try:
        yield d
        assert d.stop() == 0, d.log
    finally:
        d.clean()


def test_calls_beside_registrations(big, tmp_path):
    callers = [add_generic(big, 4100 + i) for i in range(N)]
    callees = [add_generic(big, 4200 + i) for i in range(N)]
    others = [add_generic(big, 4300 + i) for i in range(N)]
    uas_port, uac_port, reg_port = free_ports()
    remote = "%s:%d" % big.sip
    runs = []

    def sipp(name, scenario, port, *args, **kw):
        runs.append(Sipp(tmp_path / name, scenario, "127.0.0.1", port, *args, **kw))
        return runs[-1]

    try:
        regs = injection(tmp_path / "regs.csv", [(c["user"], auth(c)) for c in others])
        # From the port that will answer: the switch calls a phone back where it registered from.
        first = sipp("first", "register.xml", uas_port, "-inf", injection(tmp_path / "first.csv", [(c["user"], auth(c)) for c in callees]),
                     "-m", N, "-r", 100, remote=remote)
        assert first.wait(20) == 0, first.trouble()
        uas = sipp("uas", "uas.xml", uas_port)
        calls = injection(tmp_path / "calls.csv", [(a["user"], b["user"], auth(a)) for a, b in zip(callers, callees)])
        storm = sipp("storm", "register.xml", reg_port, "-inf", regs, "-m", REG_RATE * SECONDS, "-r", REG_RATE, remote=remote)
        uac = sipp("uac", "uac.xml", uac_port, "-inf", calls, "-m", RATE * SECONDS, "-r", RATE, remote=remote)
        assert uac.wait(SECONDS + 20) == 0, uac.trouble()
        assert storm.wait(20) == 0, storm.trouble()
        for run, n in ((uac, RATE * SECONDS), (storm, REG_RATE * SECONDS)):
            s = run.stats()
            assert (s["SuccessfulCall(C)"], s["FailedCall(C)"]) == (n, 0), s
        for run in (uac, storm):
            assert run.received_again() == {}
        assert show(big, "status")["retransmits"] == 0
        assert wait_for(lambda: show(big, "calls") == [])
        rows = wait_for(lambda: (lambda r: r if len(r) == 2 * RATE * SECONDS and all(x["closed"] for x in r) else None)(all_records(big)))
        assert rows, len(all_records(big))
        assert all(r["cause"] == 16 for r in rows) and len({r["id"] for r in rows}) == len(rows)
    finally:
        for r in runs:
            r.stop()


def all_records(daemon):
    with contextlib.closing(sqlite3.connect(f"file:{daemon.site}/strowger.db?mode=ro", uri=True)) as db:
        return [dict(zip(("id", "cause", "closed"), r)) for r in db.execute("SELECT id, cause, closed FROM cdr")]
