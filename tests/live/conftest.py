"""Live tests: the shipped daemon on loopback, in a folder of its own. Run by ./test, or
`/usr/bin/python3 -m pytest tests/live [--row G34]`. Which ledger rows a test stands for: @pytest.mark.row("G34", "V6")."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("STROWGER_BUILD", ROOT / "build"))


def free_port_base():
    """A base from which the ports that matter are free: the seven listeners and the first voice ports. All lie below 32768, from where
    the system gives ports to connections that go out."""
    bases = list(range(10500, 32000, 500))
    first = os.getpid() % len(bases)
    for base in bases[first:] + bases[:first]:
        socks = []
        try:
            for kind, offs in ((socket.SOCK_DGRAM, (0, 2, 100, 101, 130)), (socket.SOCK_STREAM, range(7))):
                for off in offs:
                    s = socket.socket(socket.AF_INET, kind)
                    socks.append(s)
                    if kind == socket.SOCK_STREAM:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the daemon does: what is closed is free
                    s.bind(("127.0.0.1", base + off))
            return base
        except OSError:
            continue
        finally:
            for s in socks:
                s.close()
    raise RuntimeError("no free ports")


class Daemon:
    """One strowgerd. start() waits for READY; stop() drains (SIGTERM) and returns the exit code; kill() is SIGKILL."""

    def __init__(self, site=None, port_base=None, args=()):
        self.tmp = None if site else tempfile.TemporaryDirectory(prefix="strowger-live-")
        self.site = pathlib.Path(site) if site else pathlib.Path(self.tmp.name) / "site"
        self.port_base = port_base or free_port_base()
        self.args = list(args)
        self.proc = None
        self.ready = {}
        self.log_path = self.site.parent / (self.site.name + ".log")

    sip = property(lambda self: ("127.0.0.1", self.port_base))
    http_port = property(lambda self: self.port_base + 3)
    http = property(lambda self: f"http://127.0.0.1:{self.http_port}")
    control = property(lambda self: str(self.site / "control.sock"))
    token = property(lambda self: (self.site / "api.token").read_text().strip())
    log = property(lambda self: self.log_path.read_text(errors="replace"))

    def command(self):
        return [str(BUILD / "strowgerd"), "--site", str(self.site), "--port-base", str(self.port_base), "--listen", "127.0.0.1",
                "--rtp-pairs", "16", "--workers", "1", *self.args]

    def start(self, timeout=10):
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=log)
        os.set_blocking(self.proc.stdout.fileno(), False)
        line, until = b"", time.monotonic() + timeout
        while not line.endswith(b"\n") and self.proc.poll() is None and time.monotonic() < until:
            line += self.proc.stdout.read() or b""
            time.sleep(0.01)
        if not line.startswith(b"READY "):
            self.kill()
            raise RuntimeError(f"not ready: {line!r}\n{self.log}")
        self.ready = dict(f.split("=", 1) for f in line.decode().split()[1:])
        return self

    def stop(self, timeout=10):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            return self.proc.wait(timeout)
        finally:
            self.kill()

    def kill(self):
        if self.proc:
            if self.proc.poll() is None:
                self.proc.kill()
            self.proc.wait()
            self.proc.stdout.close()

    def cli(self, *args, check=True):
        p = subprocess.run([str(BUILD / "strowger"), "--site", str(self.site), *map(str, args)], capture_output=True, text=True, timeout=30)
        if check and p.returncode != 0:
            raise AssertionError(f"strowger {args}: exit {p.returncode}\n{p.stdout}{p.stderr}")
        return p

    def clean(self):
        if self.proc and self.proc.poll() is None:
            self.kill()
        if self.tmp:
            self.tmp.cleanup()


@pytest.fixture
def daemon():
    """A running daemon for one test; it must still be alive at the end unless the test stopped it."""
    d = Daemon()
    try:
        d.start()
        yield d
        if d.proc.poll() is None:
            assert d.stop() == 0, d.log
        else:
            assert d.proc.returncode == 0, d.log
    finally:
        d.clean()


@pytest.fixture(scope="module")
def shared_daemon():
    """One running daemon for all tests of a file that do not change its site."""
    d = Daemon()
    try:
        d.start()
        yield d
        assert d.stop() == 0, d.log
    finally:
        d.clean()


def pytest_addoption(parser):
    parser.addoption("--row", help="only tests that declare this ledger row")
    parser.addoption("--results", help="file for one JSON line for each test")


def pytest_configure(config):
    config.addinivalue_line("markers", "row(*ids): ledger rows that the test stands for")


def rows_of(item):
    return [r for m in item.iter_markers("row") for r in m.args]


def pytest_collection_modifyitems(config, items):
    row = config.getoption("--row")
    if row:
        items[:] = [i for i in items if row in rows_of(i)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    path = item.config.getoption("--results")
    if not path or (report.when != "call" and report.passed) or (report.when == "teardown" and item.stash.get(REPORTED, False)):
        return
    item.stash[REPORTED] = True
    with open(path, "a") as f:
        f.write(json.dumps({"name": "live." + item.nodeid.split("/")[-1].replace(".py::", "."), "ok": report.passed, "rows": rows_of(item),
                            "detail": "" if report.passed else report.longreprtext}) + "\n")


REPORTED = pytest.StashKey()
