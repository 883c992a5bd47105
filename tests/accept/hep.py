"""./accept hep: Kamailio's sipcapture, which knows nothing of us, reads what the switch sends to a HEPv3 collector: every message, by whom."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "live"))
KAMAILIO, REGISTRATIONS = "/usr/sbin/kamailio", 100


def children_gone(p):
    p.terminate()
    p.wait(10)


def judge():
    if not os.path.exists(KAMAILIO):
        return False, "kamailio is missing: tools/setup.sh bench"
    from conftest import Daemon
    from sipkit import Ua, add_generic
    d = Daemon()
    port = d.port_base + 60
    with tempfile.TemporaryDirectory(prefix="strowger-hep-") as tmp:
        cfg = pathlib.Path(tmp, "kamailio.cfg")
        cfg.write_text((HERE / "hep.cfg").read_text().replace("@PORT@", str(port)).replace("@FOLDER@", tmp))
        pathlib.Path(tmp, "version").write_text("table_name(string) table_version(int)\n")
        log = pathlib.Path(tmp, "log")
        k = subprocess.Popen([KAMAILIO, "-f", str(cfg), "-DD", "-E", "-Y", tmp, "-P", tmp + "/pid"], stdout=subprocess.DEVNULL, stderr=open(log, "w"))
        try:
            d.start()
            cred = add_generic(d, 201)
            d.cli("settings", "set", f"hep_collector=127.0.0.1:{port}", "hep_key=a-key")
            time.sleep(2)
            ua = Ua(d, cred["user"], cred["secret"])
            want = []
            for _ in range(REGISTRATIONS):
                assert ua.register() == 200
                us, switch = f"127.0.0.1:{ua.port}", f"127.0.0.1:{d.port_base}"
                want += [("REGISTER", ua.call_id, us), ("401", ua.call_id, switch), ("REGISTER", ua.call_id, us), ("200", ua.call_id, switch)]
            ua.close()
            for _ in range(100):
                got = [tuple(m) for m in re.findall(r"HEP (\S+) (\S+) (\S+)$", log.read_text(), re.M)]
                if len(got) >= len(want):
                    break
                time.sleep(0.1)
            return sorted(got) == sorted(want), f"kamailio read {len(got)} of {len(want)} messages, each from whom it was"
        finally:
            d.stop()
            d.clean()
            children_gone(k)
