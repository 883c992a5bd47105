"""Point of ./accept: everything at once. One daemon on a small file system, the ledger's calls and changes, sipp's 100 calls and
200 registrations a second beside them; kills at random moments while the clock stands wrong and strangers flood; in between a
disk that stalls, fails and is full (no kill then: what cannot be written cannot outlive one). All moments from the seed.

STROWGER_SECONDS (60), STROWGER_KILLS (20), STROWGER_CPS (20), STROWGER_TRANSPORT=udp|tcp of the ledger, STROWGER_SEED,
STROWGER_SIPP_CALLS (100), STROWGER_SIPP_REGISTERS (200) a second over UDP. Root: the disk is mounted."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import lib
import strangers
import under_fire
from under_fire import say

sys.path.insert(0, str(lib.ROOT / "tests/live"))
from sipprun import Sipp, auth, injection  # noqa: E402
from test_baresip import free_ports  # noqa: E402

DISK = ("stall 5", "fail EIO", "full", "fail ENOSPC")
CLOCK = (3600, 30 * 86400, -3600, 0, -30 * 86400, 0)


def sipp_load(d, port, tmp, seconds, calls, registers):
    """Extensions of their own for sipp; -> its runs."""
    def add(first):
        out = []
        for n in range(first, first + 20):
            d.api("POST", "extensions", {"number": str(n)})
            out.append(dict(d.api("POST", "devices", {"extension": str(n), "kind": "generic"}), user=str(n)))
        return out

    callers, callees, others = add(4100), add(4200), add(4300)
    uas_port, uac_port, reg_port = free_ports()
    remote, tmp = f"127.0.0.1:{port}", pathlib.Path(tmp)
    first = Sipp(tmp / "first", "register.xml", "127.0.0.1", uas_port, "-inf", injection(tmp / "first.csv", [(c["user"], auth(c)) for c in callees]),
                 "-m", 20, "-r", 100, remote=remote)
    if first.wait(20) != 0:
        raise RuntimeError("sipp could not register: " + str(first.trouble()))
    rows = injection(tmp / "calls.csv", [(a["user"], b["user"], auth(a)) for a, b in zip(callers, callees)])
    regs = injection(tmp / "regs.csv", [(c["user"], auth(c)) for c in others])
    return [Sipp(tmp / "uas", "uas.xml", "127.0.0.1", uas_port),
            Sipp(tmp / "uac", "uac.xml", "127.0.0.1", uac_port, "-inf", rows, "-r", calls, "-l", 2000, "-m", int(calls * seconds), "-recv_timeout", 8000, remote=remote),
            Sipp(tmp / "registers", "register.xml", "127.0.0.1", reg_port, "-inf", regs, "-r", registers, "-l", 2000, "-m", int(registers * seconds),
                 "-recv_timeout", 8000, remote=remote)]


def filled(site, seconds):
    with open(site + "/ballast", "wb", 0) as b:
        try:
            while True:
                b.write(b"\0" * 4096)
        except OSError:
            pass
    time.sleep(seconds)
    os.unlink(site + "/ballast")


def storm(port, seconds, count, cps, transport, seed, calls, registers, told=lambda text: None):
    mounted = []

    def prepare(d):
        if os.geteuid() == 0:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={192 + int(seconds * 2)}m,mode=700", "tmpfs", d.site], check=True)
            mounted.append(d.site)
        under_fire.shimmed(d)
        d.wall = d.site + ".wall"
        d.env.update(LD_PRELOAD=f"{d.env['LD_PRELOAD']}:{lib.BUILD / 'wall_shift.so'}", STROWGER_WALL_FILE=d.wall)

    f, runs, flood = None, [], None
    try:
        f = under_fire.Field(port, cps, transport, pairs=max(8, int(cps)), seed=seed, changes_each_s=0.4, prepare=prepare)
        with tempfile.TemporaryDirectory(prefix="strowger-sipp-") as tmp:
            runs = sipp_load(f.d, port, tmp, seconds, calls, registers)
            done = {"flood_packets": 0, "clock": 0, "disk": 0}
            disk_each = max(1, count // len(DISK))
            for i in range(count):
                time.sleep(f.rng.uniform(0.5, 1.5) * seconds * 0.7 / count)
                if i % 3 == 0:
                    say(f.d.wall, str(CLOCK[done["clock"] % len(CLOCK)]))
                    done["clock"] += 1
                if i % 5 == 1:
                    if flood:
                        done["flood_packets"] += json.loads(flood.communicate(timeout=60)[0])["sent"]
                    flood = subprocess.Popen([str(lib.BUILD / "flood"), f"127.0.0.1:{port}", strangers.FLOODER, "20000", "5", "100000"],
                                             stdout=subprocess.PIPE, text=True)
                    time.sleep(f.rng.uniform(0.1, 1))
                f.kill()
                if i % disk_each == disk_each - 1:
                    fault = DISK[done["disk"] % len(DISK)]
                    done["disk"] += 1
                    time.sleep(1)
                    if fault != "full":
                        say(f.d.control_file, fault)
                        time.sleep(5)
                        say(f.d.control_file, "off")
                    elif mounted:
                        filled(f.d.site, 5)
                    time.sleep(5)  # what waited is written
                told(f"kill {i + 1} of {count}, {len(f.load.answered)} calls of the ledger answered, {done}")
            if flood:
                done["flood_packets"] += json.loads(flood.communicate(timeout=60)[0])["sent"]
            say(f.d.wall, "0")
            time.sleep(2)
            ledger = f.end()
            for run in runs[1:]:
                run.stop()
            sipp = {r.dir.name: {k: v for k, v in r.stats().items() if k != "row"} for r in runs[1:]}
            return dict(ledger, **done, sipp=sipp)
    finally:
        for run in runs:
            run.stop()
        if flood and flood.poll() is None:
            flood.kill()
            flood.wait()
        if f:
            f.d.stop()
        for site in mounted:
            subprocess.run(["umount", "-l", site], check=False)
        if f:
            f.close()
            for path in (f.d.control_file, f.d.wall):
                pathlib.Path(path).unlink(missing_ok=True)


def point():
    env = os.environ.get
    transport, count = env("STROWGER_TRANSPORT", "udp"), int(env("STROWGER_KILLS", "20"))
    r = storm(30000, float(env("STROWGER_SECONDS", "60")), count, float(env("STROWGER_CPS", "20")), transport, int(env("STROWGER_SEED", "1")),
              int(env("STROWGER_SIPP_CALLS", "100")), int(env("STROWGER_SIPP_REGISTERS", "200")), lambda text: print(text, file=sys.stderr, flush=True))
    back = sorted(ms for ms in r["first_call_ms"] if ms is not None)
    r["first_call_ms"] = {"none": r["first_call_ms"].count(None), "median": back[len(back) // 2] if back else None, "most": back[-1] if back else None}
    usable = not r["first_call_ms"]["none"] and back and (transport == "tcp" or back[-1] <= 1000)
    worked = all(v["SuccessfulCall(C)"] > 0 for v in r["sipp"].values()) and r["flood_packets"] > 0 and r["clock"] > 0 and r["disk"] > 0
    return bool(under_fire.sound(r) and r["kills"] == count and r["sure"] > count and usable and worked), json.dumps(r)

