"""Peers of the benches: Debian packages, started by us on loopback, ended by us."""
import os
import pathlib
import subprocess
import tempfile
import time

from lib import cpu_seconds, sip_load

HERE = pathlib.Path(__file__).resolve().parent


def children(pid):
    out = []
    for p in pathlib.Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                f = (p / "stat").read_text().rsplit(")", 1)[1].split()
                if int(f[1]) == pid:
                    out.append(int(p.name))
            except OSError:
                pass
    return out


def kamailio(users):
    """CPU us of a registration (401 + digest, usrloc in memory) of all Kamailio processes, or None when it is not there."""
    if not os.path.exists("/usr/sbin/kamailio"):
        return None
    with tempfile.TemporaryDirectory() as d:
        # auth against a fixed table: the passwords stand in an htable file, as the cheapest way Kamailio has
        cfg = (HERE / "kamailio.cfg").read_text()
        rows = "".join(f'\t$sht(pw=>{u}) = "{s}";\n' for u, s in (line.split() for line in open(users)))
        path = os.path.join(d, "kamailio.cfg")
        pathlib.Path(path).write_text(cfg.replace("#USERS#", rows))
        p = subprocess.Popen(["/usr/sbin/kamailio", "-f", path, "-DD", "-E", "-m", "64", "-M", "16", "-Y", d, "-P", os.path.join(d, "pid")],
                             stdout=subprocess.DEVNULL, stderr=open(os.path.join(d, "log"), "w"))
        try:
            time.sleep(2.5)
            if p.poll() is not None:
                raise RuntimeError("kamailio: " + pathlib.Path(d, "log").read_text()[-600:])
            pids = [p.pid] + children(p.pid)
            before = sum(cpu_seconds(x) for x in pids)
            _, r, _ = sip_load("register", "127.0.0.1:19800", users, 20000, 64, p.pid)
            if r["failed"]:
                raise RuntimeError(f"kamailio: {r['failed']} of {r['ops']} registrations failed")
            return (sum(cpu_seconds(x) for x in pids) - before) / r["ops"] * 1e6
        finally:
            p.terminate()
            p.wait(10)
