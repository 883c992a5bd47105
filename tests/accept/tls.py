"""Points of ./accept about TLS."""
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/live"))
MANY = int(os.environ.get("STROWGER_TLS", "10000"))


def rss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def ask(loads, verb):
    """The same to both processes at once; their answers."""
    for p in loads:
        p.stdin.write(verb + "\n")
        p.stdin.flush()
    return [json.loads(p.stdout.readline()) for p in loads]


def tls_10000():
    """10,000 connections held; kill -9 and start: all back within 30 s, by their tickets (R3); abrupt ends leave nothing (R26)."""
    from conftest import Daemon
    d, loads = Daemon().start(), []
    try:
        ca, half = d.site / "tls/ca.crt", MANY // 2
        loads = [subprocess.Popen([sys.executable, str(ROOT / "tests/accept/tls_load.py"), str(d.port_base + 1), str(ca), str(half), str(i * half)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for i in (0, 1)]
        bare_rss, bare_fds = rss_kib(d.proc.pid), fds(d.proc.pid)
        first = ask(loads, "up")
        if sum(a["up"] for a in first) != 2 * half or fds(d.proc.pid) < 2 * half:
            return False, f"not all up: {first}, {fds(d.proc.pid)} descriptors"
        each = (rss_kib(d.proc.pid) - bare_rss) / (2 * half)
        d.kill()
        began = time.monotonic()
        d.start()
        started = time.monotonic() - began
        again = ask(loads, "up")
        took = time.monotonic() - began
        resumed = sum(a["resumed"] for a in again)
        held = fds(d.proc.pid)
        rounds = []
        for _ in range(2):
            ask(loads, "reset")
            until = time.monotonic() + 10
            while fds(d.proc.pid) > bare_fds and time.monotonic() < until:
                time.sleep(0.1)
            rounds.append((fds(d.proc.pid), rss_kib(d.proc.pid)))
            if len(rounds) == 1:
                ask(loads, "up")
        ok = sum(a["up"] for a in again) == 2 * half and took <= 30 and held >= 2 * half and all(f <= bare_fds for f, _ in rounds) and \
            rounds[1][1] <= rounds[0][1] * 1.1 + 4096 and d.stop() == 0
        return ok, (f"{2 * half} up in {max(a['seconds'] for a in first):.1f} s, {each:.1f} KiB each; after kill -9 ready in {started:.2f} s, all back "
                    f"{took:.1f} s after it, {resumed} resumed; after two times {2 * half} resets {rounds[1][0]} descriptors (idle: {bare_fds}), "
                    f"RSS {rounds[0][1]} then {rounds[1][1]} KiB (idle: {bare_rss})")
    finally:
        for p in loads:
            p.kill()
            p.wait()
        d.clean()


POINTS = {"tls-10000": tls_10000}
