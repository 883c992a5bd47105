"""Two live virtual phones: hold from either side, cancel, reject, busy, no answer, test numbers, digits; seen on the phones."""
import json

import pytest
from conftest import Daemon
from sipkit import show, wait_for
from test_six_directions import Vphone


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("pair")
    d = Daemon().start()
    phones = []
    try:
        d.cli("extension", "add", "511", "--pin", "4071")
        d.cli("extension", "add", "522", "--pin", "5182", "--ring-s", "5")
        phones.append(Vphone(d, "VVX410", "0004f2051101", "511", "4071", tmp / "a"))
        phones.append(Vphone(d, "SPIP650", "0004f2052202", "522", "5182", tmp / "b"))
        assert wait_for(lambda: all(p.saw("registered", 0) for p in phones), 15)
        yield d, *phones
        for p in phones:
            p.end()
        assert show(d, "calls") == []
        assert d.stop() == 0, d.log
    finally:
        for p in phones:
            if p.p.poll() is None:
                p.p.kill()
                p.p.wait()
        d.clean()


def settle(pair, since, *phones):
    for p, n in zip(phones, since):
        assert wait_for(lambda: p.saw("ended", n) or p.p.poll() is not None, 25), p.events[n:]
        assert p.p.poll() is None, p.err.name
    assert wait_for(lambda: show(pair[0], "calls") == [], 10)
    return wait_for(lambda: (lambda r: r if all(x["closed"] for x in r) else None)(show(pair[0], "cdr")), 5)


@pytest.mark.row("G4", "V19", "V40")
def test_hold_from_either_side(pair):
    d, a, b = pair
    since = len(a.events), len(b.events)
    b.do("wait ringing 10", "answer", f"wait tone {a.hz} 5", "wait heldbypeer 5", "wait talking 5", f"wait tone {a.hz} 5", "hold", "wait held 5",
         "wait seconds 1", "resume", f"wait tone {a.hz} 5", "wait idle 10")
    a.do("dial 522", f"wait tone {b.hz} 10", "hold", "wait held 5", "wait seconds 1", "resume", f"wait tone {b.hz} 5", "wait heldbypeer 5", "wait talking 5",
         f"wait tone {b.hz} 5", "wait seconds 2", "hangup", "wait idle 5")
    rows = settle(pair, since, a, b)
    assert [r["cause"] for r in rows[:2]] == [16, 16]


@pytest.mark.row("V21")
def test_reject_cancel_no_answer(pair):
    d, a, b = pair
    before = len(show(d, "cdr"))
    for lines_b, lines_a, cause in (
            (["wait ringing 10", "reject", "wait idle 5"], ["dial 522", "wait status 603 10", "onhook", "wait idle 5"], 21),
            (["wait ringing 10", "wait idle 10"], ["dial 522", "wait ringback 5", "wait seconds 1", "hangup", "wait idle 5"], 487),
            (["wait ringing 10", "wait idle 15"], ["dial 522", "wait ringback 5", "wait status 480 12", "onhook", "wait idle 5"], 19)):
        since = len(a.events), len(b.events)
        b.do(*lines_b)
        a.do(*lines_a)
        rows = settle(pair, since, a, b)
        before += 2
        assert len(rows) == before
        assert rows[0]["cause"] == cause or rows[1]["cause"] == cause, json.dumps(rows[:2])


def test_numbers_that_the_switch_answers(pair):
    d, a, _ = pair
    for dial, hears in (("9197", 1004), ("9198", 440), ("9196", a.hz)):
        since = len(a.events)
        a.do(f"dial {dial}", "wait talking 5", f"wait tone {hears} 5", "hangup", "wait idle 5")
        settle(pair, (since,), a)
    since = len(a.events)
    a.do("dial 599", "wait status 404 5", "onhook", "wait idle 5")
    settle(pair, (since,), a)
