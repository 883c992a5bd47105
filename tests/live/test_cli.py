"""The command line against a live daemon: what people and scripts rely on."""
import json
import subprocess

import pytest
from conftest import BUILD


@pytest.mark.row("G107", "G113")
def test_extension_life(daemon):
    daemon.cli("extension", "add", "201", "--pin", "4071", "--name", "Ada")
    shown = json.loads(daemon.cli("--json", "extension", "list").stdout)
    assert [(e["number"], e["name"], e["enabled"], e["sip_device"], e["has_pin"]) for e in shown] == [("201", "Ada", True, True, True)]
    assert "4071" not in json.dumps(shown) and "sealed" not in json.dumps(shown)
    daemon.cli("extension", "set", "201", "--name", "Ada L", "--sip-device", "no")
    one = json.loads(daemon.cli("--json", "show", "extensions").stdout)[0]
    assert (one["name"], one["sip_device"]) == ("Ada L", False)
    daemon.cli("extension", "remove", "201")
    assert json.loads(daemon.cli("--json", "show", "extensions").stdout) == []
    assert "4071" not in daemon.log


@pytest.mark.row("G110")
def test_phone_list_has_the_columns(daemon):
    daemon.cli("extension", "add", "209", "--pin", "3859")
    cred = json.loads(daemon.cli("--json", "device", "add", "209", "--generic").stdout)
    assert (cred["user"], cred["realm"]) == ("209", "strowger") and len(cred["secret"]) >= 16
    head, row = daemon.cli("show", "phones").stdout.splitlines()
    assert head.split()[:5] == ["number", "status", "type", "model", "firmware"]
    assert row.split()[:3] == ["209", "INACTIVE", "SIP"]
    assert cred["secret"] not in daemon.log


@pytest.mark.parametrize("words,code,says", [
    (["frobnicate"], 2, "unknown command"), (["extension", "add", "2x1", "--pin", "4071"], 1, "number"),
    (["extension", "add", "201", "--pin", "1234"], 1, "guess"), (["extension", "set", "999", "--name", "x"], 5, "no such"),
    (["device", "add", "888", "--generic"], 5, "extension add"), (["settings", "set", "ring_s=1"], 1, "ring_s"),
    (["show", "cdr", "many"], 2, "usage"), (["extension", "add", "201", "--colour", "red"], 2, "--colour")])
def test_refusals_say_what_and_how(shared_daemon, words, code, says):
    p = shared_daemon.cli(*words, check=False)
    assert p.returncode == code, p.stderr
    assert says in p.stderr, p.stderr


def test_no_daemon(tmp_path):
    p = subprocess.run([str(BUILD / "strowger"), "--site", str(tmp_path), "show", "calls"], capture_output=True, text=True)
    assert p.returncode == 4 and "./run" in p.stderr


def test_completion(tmp_path):
    p = subprocess.run([str(BUILD / "strowger"), "completion", "bash"], capture_output=True, text=True, check=True)
    (tmp_path / "c").write_text(p.stdout + '\nCOMP_WORDS=(strowger show re); COMP_CWORD=2; _strowger; echo "${COMPREPLY[@]}"\n')
    assert subprocess.run(["bash", tmp_path / "c"], capture_output=True, text=True).stdout.strip() == "registrations"
