"""What a phone does over HTTP, done by curl with --digest; and what the files give access to."""
import json
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ET

import pytest
from sipkit import Ua, curl, show

MAC, AGENT = "0004f2aabbcc", "FileTransport PolycomVVX-VVX_410-UA/5.4.2.6345 Type/Application"
PIN = "4071"


def get(daemon, path, user, *more):
    return curl("--digest", "-u", user, "-A", AGENT, *more, daemon.http + path)


def xml(answer):
    return ET.fromstring(answer.split("\r\n\r\n", 1)[1])


def attributes(answer):
    return {k: v for e in xml(answer).iter() for k, v in e.attrib.items()}


def bind(daemon, mac=MAC, ext="201"):
    """Extension and PIN at the phone: the attributes of its extension file."""
    daemon.cli("extension", "add", ext, "--name", "Ann", "--pin", PIN)
    code, master = get(daemon, f"/{mac}.cfg", f"{ext}:{PIN}")
    assert code == 200, master
    files = attributes(master)["CONFIG_FILES"]
    assert files == f"{mac}/Extension_{ext}.cfg"
    code, ext_file = get(daemon, "/" + files, f"{ext}:{PIN}")
    assert code == 200, ext_file
    return attributes(ext_file)


@pytest.mark.row("G34")
def test_extension_and_pin_bind_the_phone(daemon):
    got = bind(daemon)
    assert got["reg.1.address"] == got["reg.1.auth.userId"] == "201"
    assert (got["reg.1.server.1.address"], got["reg.1.server.1.port"]) == ("127.0.0.1", str(daemon.port_base))
    assert PIN not in got.values() and len(got["reg.1.auth.password"]) >= 16
    dev, = json.loads(daemon.cli("--json", "device", "list").stdout)
    assert (dev["mac"], dev["extension"], dev["model"]) == (MAC, "201", "VVX_410")


@pytest.mark.row("G36")
def test_factory_credentials_get_the_guest_files_and_nothing_else(daemon):
    code, master = get(daemon, f"/{MAC}.cfg", "PlcmSpIp:PlcmSpIp")
    assert code == 200 and attributes(master)["CONFIG_FILES"] == "guest.cfg"
    code, guest = get(daemon, "/guest.cfg", "PlcmSpIp:PlcmSpIp")
    got = attributes(guest)
    assert code == 200 and got["reg.1.address"] == "" and "#17" in got["reg.1.label"]
    assert not any("auth.password" in k for k in got)
    assert json.loads(daemon.cli("--json", "device", "list").stdout) == []
    got = bind(daemon)  # the other outcome: with user and password
    assert got["reg.1.address"] == "201"
    assert get(daemon, f"/{MAC}/Extension_201.cfg", "PlcmSpIp:PlcmSpIp")[0] == 404


@pytest.mark.row("G112", "Z55")
def test_the_secret_registers_and_the_pin_does_not(daemon):
    secret = bind(daemon)["reg.1.auth.password"]
    for word in (PIN, "201", "", secret[:-1]):
        ua = Ua(daemon, "201", word)
        assert ua.register() in (401, 403), word
        ua.close()
    assert show(daemon, "registrations") == []
    ua = Ua(daemon, "201", secret)
    assert ua.register() == 200
    reg, = show(daemon, "registrations")
    assert str(ua.port) in json.dumps(reg)
    daemon.cli("extension", "set", "201", "--pin", "5820")  # another PIN does not disturb the phone (Z55)
    assert ua.register() == 200
    assert get(daemon, f"/{MAC}.cfg", f"201:{PIN}")[0] == 401 and get(daemon, f"/{MAC}.cfg", "201:5820")[0] == 200
    ua.close()


def test_logs_are_taken_and_kept(daemon, tmp_path):
    bind(daemon)
    log = tmp_path / "boot.log"
    log.write_bytes(b"000012.345|so|4|00|Platform: Model=VVX 410\n" * 1000)
    code, out = get(daemon, f"/{MAC}-boot.log", f"201:{PIN}", "-T", log)
    assert code in (200, 201, 204), out
    kept = [p for p in (pathlib.Path(daemon.site) / "uploads").rglob("*") if p.is_file()]
    assert [p.read_bytes() for p in kept] == [log.read_bytes()] and kept[0].parent.name == MAC
    assert curl("-T", log, f"{daemon.http}/{MAC}-app.log")[0] == 401  # a stranger's is not


def test_head_has_the_length_and_no_body(daemon):
    bind(daemon)
    code, whole = get(daemon, f"/{MAC}.cfg", f"201:{PIN}")
    code_head, head = get(daemon, f"/{MAC}.cfg", f"201:{PIN}", "-I")
    length = len(whole.split("\r\n\r\n", 1)[1].encode())
    assert code == code_head == 200 and f"content-length: {length}\r\n" in head.lower()
    assert head.split("\r\n\r\n", 1)[1] == ""


def test_a_file_that_is_not_there(daemon):
    bind(daemon)
    assert get(daemon, "/no-such-file.txt", f"201:{PIN}")[0] == 404
    assert get(daemon, f"/{MAC}/Extension_202.cfg", f"201:{PIN}")[0] == 404


@pytest.mark.row("R19")
def test_digest_is_sha256_where_the_client_can(daemon):
    """RFC 7616: curl takes the first challenge, SHA-256; a phone is offered MD5 alone, as it knows no other."""
    daemon.cli("extension", "add", "201", "--name", "Ann", "--pin", PIN)
    url = daemon.http + f"/{MAC}.cfg"
    seen = subprocess.run(["curl", "-s", "-v", "--max-time", "10", "--digest", "-u", f"201:{PIN}", url], capture_output=True, timeout=20).stderr.decode()
    assert "algorithm=SHA-256" in re.search(r"(?m)^> Authorization: Digest .*201.*$", seen)[0], seen
    assert re.findall(r"(?m)^< HTTP/1.1 (\d+)", seen) == ["401", "200"], seen
    wrong = curl("--digest", "-u", "201:9999", url)
    assert wrong[0] == 401 and "SHA-256" in wrong[1]
    code, refused = curl("-A", AGENT, url)
    assert code == 401 and "algorithm=MD5" in refused and "SHA-256" not in refused
    assert get(daemon, f"/{MAC}.cfg", f"201:{PIN}")[0] == 200
