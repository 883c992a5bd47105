#!/usr/bin/env python3
"""./accept: each point runs what a person would run and prints `ok POINT figure` or `FAIL POINT figure`."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import hep  # noqa: E402: beside this file
import strangers  # noqa: E402
import tls  # noqa: E402
import world  # noqa: E402
os.chdir(ROOT)


def sh(cmd, timeout=1800, env=None):
    p = subprocess.run(cmd, shell=isinstance(cmd, str), capture_output=True, text=True, errors="replace", timeout=timeout,
                       env=dict(os.environ, **(env or {})))
    return p.returncode, p.stdout, p.stderr


def pytest(files, **env):
    missing = [f for f in files if not pathlib.Path("tests/live", f).exists()]
    if missing:
        return False, "missing: " + " ".join(missing)
    rc, out, _ = sh(["/usr/bin/python3", "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"] + ["tests/live/" + f for f in files], env=env)
    return rc == 0, out.strip().splitlines()[-1]


def last_json(text):
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    return {}


def fresh():
    """A minimal debootstrap system: clone, ./run, READY, the second ./run READY in under 5 s, ./test."""
    root = pathlib.Path(os.environ.get("STROWGER_FRESH", "/var/tmp/strowger-fresh"))
    if not (root / "bin/bash").exists():
        rc, _, err = sh(["debootstrap", "--variant=minbase", "--include=git,sudo,ca-certificates", "bookworm", str(root)])
        if rc:
            return False, "debootstrap: " + err[-200:]
    sh(f"rm -rf {root}/root/strowger && git clone -q {ROOT} {root}/root/strowger && mount --bind /proc {root}/proc; mount --bind /dev {root}/dev;"
       f"cp /etc/apt/sources.list {root}/etc/apt/ 2>/dev/null; cp -r /etc/apt/sources.list.d/debian.sources {root}/etc/apt/sources.list.d/ 2>/dev/null;"
       f"cp /etc/resolv.conf {root}/etc/resolv.conf")
    shared = ROOT.parent / "shared"
    if shared.exists():
        sh(f"rm -rf {root}/root/shared && cp -r {shared} {root}/root/shared")
    try:
        times = []
        for _ in (1, 2):
            t = time.monotonic()
            p = subprocess.Popen(["chroot", str(root), "/bin/bash", "-c", "cd /root/strowger && exec ./run --port-base 31000 --listen 127.0.0.1"],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            ok = any(line.startswith("READY") for line in p.stdout)
            times.append(time.monotonic() - t)
            p.terminate()
            p.stdout.read()
            if p.wait(30) != 0 or not ok:
                return False, f"./run: ready={ok} exit={p.returncode}"
        rc, out, _ = sh(["chroot", str(root), "/bin/bash", "-c", "cd /root/strowger && ./test"], 3000)
        return rc == 0 and times[1] < 5, f"first READY {times[0]:.0f} s, second {times[1]:.1f} s, ./test: {out.strip().splitlines()[-1] if out.strip() else 'nothing'}"
    finally:
        sh(f"umount {root}/proc {root}/dev")


def office(*extra):
    rc, out, err = sh(["build/sim", "--phones", "1000", "--hours", "24", "--seed", "7", *extra])
    return rc, last_json(out)


def office_day():
    """1,000 phones, 24 hours, seed 7: under 60 s, 0 violations, 0 lost, over 15,000 calls, the same hash twice."""
    rc, a = office()
    _, b = office()
    ok = rc == 0 and a.get("violations") == 0 and a.get("lost") == 0 and a.get("calls", 0) > 15000 and a["hash"] == b.get("hash") and a["wall_s"] < 60
    return ok, f"calls={a.get('calls')} lost={a.get('lost')} violations={a.get('violations')} wall_s={a.get('wall_s')} same_hash={a.get('hash') == b.get('hash')}"


def office_loss():
    """The same day with 5 % loss: 0 lost."""
    rc, a = office("--loss", "0.05")
    return rc == 0 and a.get("lost") == 0, f"calls={a.get('calls')} lost={a.get('lost')} violations={a.get('violations')} wall_s={a.get('wall_s')}"


def sabotage():
    """At least 15 planted defects, each gives violations."""
    _, out, _ = sh(["build/sim", "--list-sabotage"])
    names = [line.split()[0] for line in out.splitlines() if line.strip()]
    missed = []
    for n in names:
        _, o, _ = sh(["build/sim", "--phones", "100", "--hours", "8", "--seed", "3", "--sabotage", n])
        if not last_json(o).get("violations"):
            missed.append(n)
    return len(names) >= 15 and not missed, f"{len(names)} defects, not caught: {' '.join(missed) or 'none'}"


def replay():
    """A live recording of 100 calls gives the same outputs again."""
    from lib import Daemon, sip_load
    rec = "/tmp/strowger-accept.rec"
    pathlib.Path(rec).unlink(missing_ok=True)
    d = Daemon(29000, "--record", rec)
    try:
        d.start()
        users = d.users(20)
        _, r, _ = sip_load("call", d.sip, users, 100, 8, d.proc.pid, 50)
        d.stop()
    finally:
        d.close()
    rc, out, err = sh(["build/sim", "--replay", rec])
    v = last_json(out)
    return rc == 0 and v.get("equal") is True and r["failed"] == 0, f"calls={r['ops']} failed={r['failed']} {json.dumps(v)} {err[-200:] if rc else ''}"


def budget():
    """design.md section 6: registration <= 15 us, call <= 80 us, relay <= 4 us."""
    limits, seen, ok = {"registration": 15, "call": 80, "relay": 4}, [], True
    for name, most in limits.items():
        _, out, _ = sh(["/usr/bin/python3", "benchmarks/run.py", name], 120)
        v = last_json(out)
        us = v.get("cpu_us_per_op")
        ok = ok and us is not None and us <= most
        seen.append(f"{name}={us} us (budget {most}, {v.get('peer')}: {v.get('peer_cpu_us_per_op')})")
    return ok, "; ".join(seen)


def differential():
    """120,000 messages through ours, libre, sofia-sip, osip2 and the grammar: every disagreement falls into a class."""
    rc, out, err = sh(["python3", "tests/differential/compare.py", "--messages", "120000", "--seed", "1000"], 3000)
    return rc == 0, (out.strip().splitlines() or [err[-200:]])[-1]


def out_of_memory():
    """R29: each allocation of a call through cell and service fails once, every one of them."""
    rc, out, _ = sh(["build/tests_alloc_fail_test"], env={"STROWGER_SWEEP": "1"})
    return rc == 0, f"{out.count('ok' + chr(9))} parts"


def torture():
    """RFC 4475 and 5118 over UDP, TCP byte by byte and TLS; OPTIONS answered within 100 ms between any two."""
    rc, out, err = sh(["/usr/bin/python3", "-m", "pytest", "-q", "-rP", "--no-header", "-p", "no:cacheprovider", "tests/live/test_torture.py"], 1800,
                      {"STROWGER_OPTIONS_MS": "100"})
    told = [line for line in out.splitlines() if line.startswith("slowest OPTIONS")]
    return rc == 0, "; ".join(told + out.strip().splitlines()[-1:])


def fuzz_all():
    """Every fuzz target, STROWGER_FUZZ_MINUTES CPU-minutes each (default 5), no finding."""
    minutes = os.environ.get("STROWGER_FUZZ_MINUTES", "5")
    rc, out, err = sh(["./fuzz", "--minutes", minutes], 100000)
    bad = [line for line in out.splitlines() if not line.endswith(" 0 crashes")]
    return rc == 0, f"{len(out.splitlines())} targets, {minutes} min each" + ("; " + "; ".join(bad + [err[-300:]]) if rc else "")


def fuzz():
    """The message, URI, SDP and auth fuzzers, 10 CPU-minutes each, no finding."""
    rc, out, err = sh(["./fuzz", "--minutes", "10", "sip_msg_msg_fuzz", "sip_msg_uri_fuzz", "sip_sdp_sdp_fuzz", "sip_auth_auth_fuzz"], 3000)
    return rc == 0, "; ".join(out.strip().splitlines()[-4:])


def under_fire():
    """Killed again and again under sipp's load, floods and a wrong clock, between faults of the disk: every answered call and change is there."""
    import storm
    return storm.point()


def faults():
    """Kills alone, then each fault of the disk alone, with the wait for 100 in it (R7, R9-R11)."""
    import under_fire as fire
    return fire.point()


def sanitizers():
    """The live tests with the daemon built for ASan and UBSan, then for TSan: no finding in any report."""
    found = []
    for kind, variable in (("san", "ASAN_OPTIONS"), ("tsan", "TSAN_OPTIONS")):
        rc, _, err = sh(["tools/build.sh", kind, "strowgerd", "strowger", "vphone"])
        if rc:
            return False, f"build {kind}: {err[-200:]}"
        with tempfile.TemporaryDirectory(prefix="strowger-reports-") as tmp:
            options = f"log_path={tmp}/report" + (":detect_leaks=1" if kind == "san" else ":halt_on_error=0:exitcode=0")
            rc, out, _ = sh(["/usr/bin/python3", "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "tests/live"], 3000,
                            {"STROWGER_BUILD": str(ROOT / f"build-{kind}"), variable: options})
            reports = [p.read_text(errors="replace") for p in pathlib.Path(tmp).iterdir()]
        found.append((rc == 0 and not reports, f"{kind}: {(out.strip().splitlines() or ['nothing'])[-1]}, {len(reports)} reports"))
        for text in reports[:3]:
            print(text[:3000], file=sys.stderr)
    return all(ok for ok, _ in found), "; ".join(f for _, f in found)


POINTS = {
    **tls.POINTS,
    **strangers.POINTS,
    "fresh": fresh,
    "six-directions": lambda: pytest(["test_six_directions.py"], STROWGER_SECONDS="30"),
    "baresip": lambda: pytest(["test_baresip.py"]),
    "sipp-load": lambda: pytest(["test_sipp.py"], STROWGER_SECONDS="60"),
    "office-day": office_day,
    "office-loss": office_loss,
    "sabotage": sabotage,
    "replay": replay,
    "loss-live": lambda: pytest(["test_loss.py"], STROWGER_CALLS="1000"),
    "loss": world.loss,
    "bad-network": world.bad_network,
    "sim-crashes": world.sim_crashes,
    "hep": hep.judge,
    "damage": lambda: pytest(["test_damage.py"], STROWGER_FLIPS="1000"),
    "out-of-memory": out_of_memory,
    "torture": torture,
    "differential": differential,
    "fuzz": fuzz,
    "fuzz-all": fuzz_all,
    "sanitizers": sanitizers,
    "budget": budget,
    "under-fire": under_fire,
    "faults": faults,
    "bad-input": lambda: pytest(["test_bad_input.py", "test_provision.py"]),
}


def main():
    names = [n for n in sys.argv[1:] if n not in ("switch-core", "--list")] or list(POINTS)
    if "--list" in sys.argv:
        print("\n".join(POINTS))
        return
    bad = 0
    for n in names:
        if n not in POINTS:
            sys.exit(f"accept: no point named {n}; there are: {' '.join(POINTS)}")
        t = time.monotonic()
        try:
            ok, figure = POINTS[n]()
        except Exception as e:
            ok, figure = False, f"{type(e).__name__}: {e}"
        bad += not ok
        print(f"{'ok' if ok else 'FAIL'} {n} {figure} ({time.monotonic() - t:.0f} s)", flush=True)
    sys.exit(1 if bad else 0)


main()
