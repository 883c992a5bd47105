"""/metrics: the text is what Prometheus reads, and its numbers are what happened."""
import pathlib
import re
import urllib.error
import urllib.request

import pytest
from conftest import ROOT
from promparse import parse
from sipkit import Ua, add_generic, wait_for
from test_log import call_echo


def scrape(d):
    with urllib.request.urlopen(f"http://127.0.0.1:{d.port_base + 5}/metrics", timeout=10) as r:
        assert r.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parse(r.read().decode())


def value(values, name, **labels):
    return values["strowger_" + name].get(tuple(sorted(labels.items())), 0)


@pytest.mark.parametrize("level", ["info", "error"])
def test_values_move_with_a_call(daemon, level):
    """Also where the log says nothing: what is counted does not hang on what is told."""
    daemon.cli("log", "level", level)
    cred = add_generic(daemon, 201)
    before, types = scrape(daemon)
    ua = Ua(daemon, cred["user"], cred["secret"])
    try:
        assert ua.register() == 200
        call_echo(daemon, ua)
        assert wait_for(lambda: value(scrape(daemon)[0], "records_total") == 1, 10)
        ua.send("nonsense\r\n\r\n")
        assert wait_for(lambda: value(scrape(daemon)[0], "sip_malformed_total") >= 1, 5)
        assert Ua(daemon, cred["user"], "wrong").register() != 200
    finally:
        ua.close()
    after, _ = scrape(daemon)
    for name, labels, by in (
            ("calls_total", {}, 1), ("calls_answered_total", {}, 1), ("registrations", {}, 1), ("registrations_total", {}, 1), ("extensions", {}, 0),
            ("sip_requests_total", {"direction": "in", "method": "REGISTER"}, 4), ("sip_requests_total", {"direction": "in", "method": "INVITE"}, 2),
            ("legs_ended_total", {"cause": "16"}, 1), ("call_answer_seconds_count", {}, 1), ("auth_refused_total", {}, 1), ("calls", {}, 0)):
        assert value(after, name, **labels) - value(before, name, **labels) == by, (name, labels)
    assert value(after, "sip_responses_total", direction="out", status="401") >= 2
    assert value(after, "cell_turn_seconds_count") > value(before, "cell_turn_seconds_count") and value(after, "cell_inputs_total") >= 6
    assert value(after, "limit_used", resource="registrations") == 1 < value(after, "limit_max", resource="registrations")
    assert value(after, "limit_max", resource="media_slots") == 16
    assert set(after["strowger_limit_used"]) == set(after["strowger_limit_max"])
    assert 1 << 20 < value(after, "resident_memory_bytes") < 1 << 32 and value(after, "store_commits_total") > 0
    documented = set(re.findall(r"`strowger_(\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    assert documented == {t.removeprefix("strowger_") for t in types}, "docs/metrics.md names each metric, and no other"


def test_there_is_nothing_else_and_it_is_for_loopback(daemon):
    for path, method, code in (("/", "GET", 404), ("/api/v1/status", "GET", 404), ("/metrics", "POST", 405)):
        with pytest.raises(urllib.error.HTTPError) as e:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{daemon.port_base + 5}{path}", method=method), timeout=10)
        assert e.value.code == code
    listening = [line.split()[1] for f in ("tcp", "tcp6") for line in pathlib.Path(f"/proc/net/{f}").read_text().splitlines()[1:]
                 if line.split()[1].endswith(f":{daemon.port_base + 5:04X}") and line.split()[3] == "0A"]
    assert listening == ["0100007F" + f":{daemon.port_base + 5:04X}"]
