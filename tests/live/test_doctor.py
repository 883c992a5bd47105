"""strowger doctor: every listener from a phone's address, and what the host lacks (G10)."""
import json
import os

import pytest


def doctor(daemon, *args):
    p = daemon.cli("--json", "doctor", *args, check=False)
    return p.returncode, {f["what"]: f for f in json.loads(p.stdout)}


@pytest.mark.row("G10")
def test_listeners_and_host(daemon):
    base = daemon.port_base
    code, found = doctor(daemon, "--from", "127.0.0.2")
    ports = [f"SIP UDP {base}", f"SIP TCP {base}", f"SIP service UDP {base + 2}", f"SIP service TCP {base + 2}", f"SIP TLS {base + 1}",
             f"HTTP {base + 3}", f"HTTPS {base + 4}"]
    assert [found[p]["result"] for p in ports] == ["ok"] * len(ports), found
    assert code == 0 and not [f for f in found.values() if f["result"] == "FAIL"], found
    assert str(base + 2) in found["firewall, udp"]["found"] and found["site.key"]["found"] == "mode 600"
    # a key that others may read, and a switch that is gone
    os.chmod(daemon.site / "api.token", 0o644)
    code, found = doctor(daemon)
    assert code == 1 and found["api.token"]["result"] == "FAIL" and "chmod 600" in found["api.token"]["mend"]
    daemon.stop()
    code, found = doctor(daemon)
    assert code == 1 and {found[p]["result"] for p in ports} == {"FAIL"} and found["control socket"]["result"] == "FAIL"
    assert all(f["mend"] for f in found.values() if f["result"] != "ok")
