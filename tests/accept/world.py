"""Points of ./accept that damage the world: a bad network, crashes with a torn disk, a damaged database, memory that runs out."""
import subprocess
import json


def _sim(*args):
    p = subprocess.run(["build/sim", *args], capture_output=True, text=True, timeout=1800)
    for line in reversed(p.stdout.splitlines()):
        if line.startswith("{"):
            return p.returncode, json.loads(line)
    return p.returncode or 1, {}


def bad_network():
    """R17: 20 % loss, 300 ms jitter, doubles and disorder: 99.5 % of the calls of a day complete, no violation."""
    _, a = _sim("--phones", "1000", "--hours", "24", "--seed", "17", "--loss", "0.2", "--jitter-ms", "300", "--dup", "0.02", "--reorder", "0.05")
    calls, lost = a.get("calls", 0), a.get("lost", 1 << 30)
    return a.get("violations") == 0 and calls > 1000 and lost <= calls * 0.005, f"calls={calls} lost={lost} violations={a.get('violations')}"


def sim_crashes():
    """A day with a crash of the switch and a torn disk each 7 minutes, twice: no violation, same hash."""
    args = ("--phones", "300", "--hours", "24", "--seed", "7", "--crash-every", "7")
    (rc, a), (_, b) = _sim(*args), _sim(*args)
    return rc == 0 and a.get("violations") == 0 and a.get("hash") == b.get("hash"), \
        f"calls={a.get('calls')} crashes={a.get('crashes')} violations={a.get('violations')} same_hash={a.get('hash') == b.get('hash')}"


def loss():
    """R16: 5 % loss each way, at least 10,000 calls, every one set up and torn down, no violation."""
    _, a = _sim("--phones", "1000", "--hours", "24", "--seed", "16", "--loss", "0.05")
    calls, lost = a.get("calls", 0), a.get("lost", 1 << 30)
    return a.get("violations") == 0 and calls >= 10000 and lost == 0, f"calls={calls} lost={lost} violations={a.get('violations')}"
