"""The process itself: what it gives up, what the service manager hears, what the binary is made of."""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest
from conftest import BUILD, ROOT, Daemon
from sipkit import Ua, add_generic

SANITIZED = b"__sanitizer" in (BUILD / "strowgerd").read_bytes() or b"__tsan_init" in (BUILD / "strowgerd").read_bytes()


def status_of(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def threads_of(pid):
    return [status_of(f"{pid}/task/{t}") for t in os.listdir(f"/proc/{pid}/task")]


def test_every_thread_runs_behind_the_filter(daemon):
    threads = threads_of(daemon.proc.pid)
    assert len(threads) > 5 and {t["Seccomp"] for t in threads} == {"0" if SANITIZED else "2"}
    assert {t["NoNewPrivs"] for t in threads} == {"0" if SANITIZED else "1"}
    cred = add_generic(daemon, 201)  # writes, commits, logs and answers go on behind it
    ua = Ua(daemon, cred["user"], cred["secret"])
    try:
        assert ua.register() == 200
    finally:
        ua.close()


def test_debuggers_may_switch_it_off():
    d = Daemon(args=["--no-seccomp"])
    try:
        d.start()
        assert status_of(d.proc.pid)["Seccomp"] in ("0", status_of("self")["Seccomp"])
        assert d.stop() == 0
    finally:
        d.clean()


def test_root_becomes_another_user_and_keeps_nothing():
    assert os.geteuid() == 0, "this test is run as root"
    tmp = tempfile.mkdtemp(prefix="strowger-user-")
    os.chmod(tmp, 0o755)
    d = Daemon(site=f"{tmp}/site", args=["--user", "nobody"])
    try:
        d.start()
        nobody = pwd.getpwnam("nobody")
        for t in threads_of(d.proc.pid):
            assert t["Uid"].split() == [str(nobody.pw_uid)] * 4 and t["Gid"].split() == [str(nobody.pw_gid)] * 4, t["Name"]
            assert [int(t[c], 16) for c in ("CapEff", "CapPrm", "CapInh", "CapAmb")] == [0] * 4 and t["Groups"].split() == []
        assert all(p.stat().st_uid == nobody.pw_uid for p in pathlib.Path(d.site).iterdir())
        assert d.cli("show", "status").returncode == 0
        assert d.stop() == 0, d.log
        p = subprocess.run([str(BUILD / "strowgerd"), "--site", f"{tmp}/site", "--user", "no-such-user-here"], capture_output=True, text=True)
        assert p.returncode == 1 and "adduser" in p.stderr
        os.mkdir(f"{tmp}/roots", 0o700)
        p = subprocess.run([str(BUILD / "strowgerd"), "--site", f"{tmp}/roots", "--user", "nobody"], capture_output=True, text=True)
        assert p.returncode == 1 and "chown" in p.stderr
    finally:
        d.clean()
        shutil.rmtree(tmp)


@pytest.mark.row("G10")
def test_the_ports_that_phones_ask(tmp_path):
    """80 and 443, as root becomes another user: the right to bind them is kept, and nothing else; the doctor finds them by itself."""
    tmp = tempfile.mkdtemp(prefix="strowger-ports-")
    os.chmod(tmp, 0o755)
    d = Daemon(site=f"{tmp}/site", args=["--user", "nobody", "--listen", "127.80.0.1", "--port", "http=80", "--port", "https=443"])
    try:
        command = [a for a in d.command() if a != "127.0.0.1"]
        command.remove("--listen")
        d.command = lambda: command
        d.start()
        assert d.ready["http"] == "http://127.80.0.1:80"
        for t in threads_of(d.proc.pid):
            assert [int(t[c], 16) for c in ("CapEff", "CapPrm", "CapInh", "CapAmb")] == [1 << 10, 1 << 10, 0, 0]
        p = d.cli("--json", "doctor", "--host", "127.80.0.1", check=False)
        found = {f["what"]: f["result"] for f in json.loads(p.stdout)}
        assert found["HTTP 80"] == found["HTTPS 443"] == found[f"SIP UDP {d.port_base}"] == "ok", found
        p = subprocess.run(["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "https://127.80.0.1/000000000000.cfg"], capture_output=True, text=True)
        assert p.stdout in ("401", "404"), p.stdout
        assert d.stop() == 0, d.log
        for args, why in ((["--port", "ftp=21"], "NAME=N"), (["--port", "http=9090"], "http=9090 and metrics=9090"), (["--port", "rtp=5000"], "RTP ports")):
            p = subprocess.run([str(BUILD / "strowgerd"), "--site", f"{tmp}/none", *args], capture_output=True, text=True)
            assert p.returncode == 2 and why in p.stderr, p.stderr
        assert not pathlib.Path(f"{tmp}/none").exists()
    finally:
        d.clean()
        shutil.rmtree(tmp)


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_hears_of_the_start_the_watchdog_and_the_end(tmp_path, abstract, monkeypatch):
    name = f"\0strowger-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(name)
    sock.settimeout(10)
    monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    d = Daemon()
    try:
        d.start()
        assert sock.recv(100) == b"READY=1"
        assert sock.recv(100) == b"WATCHDOG=1" and sock.recv(100) == b"WATCHDOG=1"
        d.proc.send_signal(signal.SIGTERM)
        said = [sock.recv(100)]
        while said[-1] != b"STOPPING=1":
            said.append(sock.recv(100))
        assert d.proc.wait(10) == 0
    finally:
        d.clean()
        sock.close()


def test_the_unit_is_tight():
    text = (ROOT / "packaging/strowgerd.service").read_text().replace("@bindir@", "/usr/bin")
    with tempfile.TemporaryDirectory() as tmp:
        unit = pathlib.Path(tmp) / "strowgerd.service"
        unit.write_text(text)
        p = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True, timeout=30)
    level = re.search(r"Overall exposure level for strowgerd.service: ([0-9.]+)", p.stdout)
    assert level and float(level[1]) < 2.0, p.stdout[-2000:] + p.stderr
    assert re.findall(r"^CapabilityBoundingSet=(.*)$", text, re.M) == ["CAP_NET_BIND_SERVICE"] and "Type=notify" in text and "WatchdogSec=" in text


def test_the_binary_is_hardened():
    def readelf(*a):
        return subprocess.run(["readelf", "-W", *a, str(BUILD / "strowgerd")], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Type:\s+DYN", readelf("-h")), "position independent"
    assert "GNU_RELRO" in readelf("-l") and re.search(r"GNU_STACK\s.*\sRW\s", readelf("-l"))
    assert "BIND_NOW" in readelf("-d") or re.search(r"FLAGS_1.*NOW", readelf("-d"))
    names = readelf("--dyn-syms")
    assert "__stack_chk_fail" in names
    if not SANITIZED:
        assert "__snprintf_chk" in names or "__memcpy_chk" in names or "__vsnprintf_chk" in names, "_FORTIFY_SOURCE"
