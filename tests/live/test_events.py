"""GET /api/v1/events with curl as the reader: what is told, in which order, what is not, and what happens to readers who come back,
lag or are too many."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from conftest import BUILD, Daemon
from promparse import parse
from sipkit import Ua, add_generic, show, wait_for
from test_defence import guess
from test_log import call_echo

MAX_STREAMS = 32  # strowgerd_events.h


class Reader:
    """curl -N; events as (id, type, data); comments are counted."""

    def __init__(self, d, types=None, last=None, control=False, token=True):
        self.events, self.comments, self.lines = [], 0, []
        args = ["curl", "-sSN", "--no-progress-meter"]
        if control:
            args += ["--unix-socket", d.control]
        elif token:
            args += ["-H", f"Authorization: Bearer {d.token}"]
        if last:
            args += ["-H", f"Last-Event-ID: {last}"]
        self.p = subprocess.Popen(args + [("http://localhost" if control else d.http) + "/api/v1/events" + (f"?types={types}" if types else "")],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        now = {}
        for line in self.p.stdout:
            self.lines.append(line)
            line = line.rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
            elif not line and "data" in now:
                self.events.append((now["id"], now["event"], json.loads(now["data"])))
                now = {}
            elif line:
                k, v = line.split(": ", 1)
                now[k] = v

    def types(self):
        return [e[1] for e in self.events]

    def up(self):
        assert wait_for(lambda: any(s.startswith("retry:") for s in self.lines), 10), self.lines
        return self

    def close(self):
        if self.p.poll() is None:
            self.p.kill()
        self.p.wait()


def number(event_id):
    epoch, seq = re.fullmatch(r"(\d+)-(\d+)", event_id).groups()
    return int(epoch), int(seq)


def metric(d, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{d.port_base + 5}/metrics", timeout=10) as r:
        return parse(r.read().decode())[0]["strowger_" + name][()]


def get(d, path, token=None, last=None):
    rq = urllib.request.Request(d.http + path, headers={**({"Authorization": f"Bearer {token}"} if token else {}), **({"Last-Event-ID": last} if last else {})})
    return urllib.request.urlopen(rq, timeout=10)


def status_of(d, path, token=None):
    try:
        with get(d, path, token) as r:
            return r.status, r.headers
    except urllib.error.HTTPError as e:
        return e.code, e.headers


@pytest.mark.row("R25")
def test_what_happens_is_told_in_order(daemon):
    cred = add_generic(daemon, 201)
    call_ids = []
    ua = Ua(daemon, cred["user"], cred["secret"])
    readers = [Reader(daemon).up(), Reader(daemon, types="call", control=True).up(), Reader(daemon, types="register.lost,config").up()]
    try:
        assert ua.register() == 200
        call_echo(daemon, ua)
        call_ids.append(wait_for(lambda: show(daemon, "cdr"), 10)[0]["call"])
        assert wait_for(lambda: "call.ended" in readers[1].types(), 10)
        daemon.cli("extension", "add", "202")
        assert ua.register(expires=0) == 200
        thief = Ua(daemon, addr="127.0.0.9")
        for i in range(20):  # a search for users
            assert guess(thief, f"{700 + i}") == 401
        thief.close()
        assert wait_for(lambda: "ban.made" in readers[0].types(), 10), (readers[0].types(), daemon.log[-1500:])
        daemon.cli("ban", "release", "127.0.0.9")
        want = ["register.made", "call.answered", "call.ended", "config.changed", "register.lost", "ban.made", "ban.released"]
        assert wait_for(lambda: readers[0].types() == want, 10), readers[0].events
        data = {t: v for _, t, v in readers[0].events}
        assert data["register.made"]["extension"] == "201" and data["register.made"]["source"] == f"127.0.0.1:{ua.port}"
        assert data["call.answered"]["call"] == data["call.ended"]["call"] == call_ids[0] and data["call.ended"]["leg"] == 0
        assert (data["call.ended"]["caller"], data["call.ended"]["dialled"], data["call.ended"]["cause"]) == ("201", "9196", 16)
        assert data["config.changed"]["what"] == "extension" and data["config.changed"]["by"] == "control"
        assert data["ban.made"]["source"] == data["ban.released"]["source"] == "127.0.0.9"
        assert wait_for(lambda: readers[2].types() == ["config.changed", "register.lost"], 5)
        assert readers[1].types() == ["call.answered", "call.ended"]
        ids = [number(e[0]) for e in readers[0].events]
        assert ids == sorted(set(ids)) and [e[0] for e in readers[1].events] == [e[0] for e in readers[0].events[1:3]]
        assert cred["secret"] not in "".join(readers[0].lines)
    finally:
        ua.close()
        for r in readers:
            r.close()


def test_who_may_read(daemon):
    assert status_of(daemon, "/api/v1/events")[0] == 401
    assert status_of(daemon, "/api/v1/events", "nonsense")[0] in (401, 429)
    assert status_of(daemon, "/api/v1/events?types=" + "x" * 200, daemon.token)[0] == 422
    with get(daemon, "/api/v1/events", daemon.token) as r:
        assert r.status == 200 and r.headers["Content-Type"] == "text/event-stream" and r.headers["Cache-Control"] == "no-store"


def test_who_comes_back_goes_on_or_hears_of_a_gap():
    d = Daemon().start()
    readers = []
    try:
        first = Reader(d).up()
        readers.append(first)
        for n in range(201, 205):
            d.cli("extension", "add", n)
        assert wait_for(lambda: len(first.events) == 4, 10)
        first.close()
        d.cli("extension", "add", "205")  # nobody reads just now
        again = Reader(d, last=first.events[1][0]).up()
        readers.append(again)
        assert wait_for(lambda: len(again.events) == 3, 10)
        assert [e[0] for e in again.events[:2]] == [e[0] for e in first.events[2:]] and again.types() == ["config.changed"] * 3
        strange = Reader(d, last="7-77777").up()
        readers.append(strange)
        assert wait_for(lambda: len(strange.events) == 6, 10) and strange.types() == ["gap"] + ["config.changed"] * 5
        last = again.events[-1][0]
        d.kill()
        d.start()
        assert wait_for(lambda: again.p.poll() is not None, 10)
        fresh = Reader(d).up()
        readers.append(fresh)
        for n in range(301, 301 + number(last)[1]):  # as many as before: the number alone does not say which start it was
            d.cli("extension", "add", n)
        assert wait_for(lambda: len(fresh.events) == number(last)[1], 10)
        later = Reader(d, last=last).up()
        readers.append(later)
        assert wait_for(lambda: len(later.events) == 1 + len(fresh.events), 10) and later.types() == ["gap"] + fresh.types()
        assert number(later.events[1][0]) > number(last), "numbers rise over a restart"
        assert d.stop() == 0, d.log
        assert wait_for(lambda: later.p.poll() is not None, 10), "a daemon that ends ends its streams"
    finally:
        for r in readers:
            r.close()
        d.clean()


def test_readers_are_bounded_and_cost_nothing_when_there_are_none(daemon):
    made = metric(daemon, "events_total")
    daemon.cli("extension", "add", "201")
    assert metric(daemon, "events_total") == made and metric(daemon, "event_streams") == 0
    readers = [Reader(daemon, control=n % 2).up() for n in range(MAX_STREAMS)]
    try:
        assert metric(daemon, "event_streams") == MAX_STREAMS
        code, headers = status_of(daemon, "/api/v1/events", daemon.token)
        assert code == 503 and headers["Retry-After"] == "5"
        daemon.cli("extension", "add", "202")
        assert wait_for(lambda: all(r.types() == ["config.changed"] for r in readers), 10)
        assert metric(daemon, "events_total") == made + 1
        readers[0].close()
        # a reader that went is noticed when it is written to
        assert wait_for(lambda: daemon.cli("settings", "set", "ring_s=60") and metric(daemon, "event_streams") == MAX_STREAMS - 1, 20, 0.2)
        assert status_of(daemon, "/api/v1/status", daemon.token)[0] == 200
    finally:
        for r in readers:
            r.close()


def test_a_reader_that_does_not_read_is_cut_and_slows_nobody(daemon):
    """It takes nothing: what waits for it is bounded by the socket's buffers and the events kept; the others have all of them."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", daemon.http_port))
    slow.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {daemon.token}\r\n\r\n".encode())
    reader = Reader(daemon, types="register").up()
    cred = add_generic(daemon, 201)
    daemon.cli("settings", "set", "trusted_sources=127.0.0.1")  # who unregisters is a stranger, who may send little
    ua = Ua(daemon, cred["user"], cred["secret"])
    try:
        assert wait_for(lambda: metric(daemon, "event_streams") == 2, 5)
        rounds, until = 0, time.monotonic() + 90  # cut for its lag, or after HTTP_IDLE_S without progress
        while rounds % 50 or (metric(daemon, "event_streams") == 2 and time.monotonic() < until):
            assert ua.register() == 200 and ua.register(expires=0) == 200
            rounds += 1
        assert metric(daemon, "event_streams") == 1, "not cut"
        assert wait_for(lambda: len(reader.events) == 2 * rounds, 20), (len(reader.events), rounds)
        assert [number(e[0])[1] for e in reader.events] == sorted({number(e[0])[1] for e in reader.events})
    finally:
        ua.close()
        reader.close()
        slow.close()


def test_an_error_is_an_alarm(tmp_path):
    (tmp_path / "logs").mkdir()
    d = Daemon(args=["--log-file", str(tmp_path / "logs" / "log")])
    try:
        d.start()
        r = Reader(d, types="alarm").up()
        (tmp_path / "logs").rename(tmp_path / "elsewhere")
        os.kill(d.proc.pid, signal.SIGHUP)  # the log cannot be opened anew
        assert wait_for(lambda: r.events, 10)
        assert r.types() == ["alarm"] and r.events[0][2]["event"] == "log.not_reopened" and "why" in r.events[0][2]
        r.close()
        assert d.stop() == 0
    finally:
        d.clean()


def test_the_command_line(daemon):
    jobs = [subprocess.Popen([str(BUILD / "strowger"), "--site", str(daemon.site), "events", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for more in ([], ["--types", "config", "--json"])]
    try:
        assert wait_for(lambda: metric(daemon, "event_streams") == 2, 10)
        daemon.cli("extension", "add", "201")
        words = jobs[0].stdout.readline().split()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", words[0]) and words[1] == "config.changed" and "what=extension" in words
        got = json.loads(jobs[1].stdout.readline())
        assert got["type"] == "config.changed" and got["data"]["by"] == "control" and number(got["id"])
        os.kill(daemon.proc.pid, signal.SIGTERM)
        assert daemon.proc.wait(15) == 0
        for j in jobs:
            assert j.wait(10) == 4 and "ended" in j.stderr.read()
    finally:
        for j in jobs:
            if j.poll() is None:
                j.kill()
            j.wait()
            j.stdout.close()
            j.stderr.close()
    assert daemon.cli("events", "--typo", check=False).returncode == 2


def test_over_tls_and_certificates_renewed(daemon):
    """SIGHUP serves HTTPS anew: its streams end, those over HTTP go on."""
    args = ["curl", "-sSN", "--no-progress-meter", "--cacert", str(daemon.site / "tls" / "ca.crt"), "-H", f"Authorization: Bearer {daemon.token}",
            f"https://127.0.0.1:{daemon.port_base + 4}/api/v1/events"]
    plain = Reader(daemon).up()
    p = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline().startswith("retry:"), p.stderr.read()
        daemon.cli("extension", "add", "201")
        assert [p.stdout.readline() for _ in range(3)][2].startswith("event: config.changed")
        os.kill(daemon.proc.pid, signal.SIGHUP)
        assert p.wait(15) is not None
        daemon.cli("extension", "add", "202")
        assert wait_for(lambda: len(plain.events) == 2, 10)
        assert wait_for(lambda: subprocess.run([*args[:-1], "--max-time", "2", args[-1]], capture_output=True, text=True).stdout.startswith("retry:"), 15)
    finally:
        plain.close()
        if p.poll() is None:
            p.kill()
        p.wait()
        p.stdout.close()
        p.stderr.close()
