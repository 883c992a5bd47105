"""No secret is in anything that the switch writes for others to read: every log form at debug with all messages traced, the
metrics. Whatever the site knows and must not tell is looked for, as text, hexadecimal and base64."""
import base64
import hashlib
import re
import socket
import sqlite3
import ssl
import threading
import urllib.request

import pytest
from conftest import Daemon
from sipkit import Ua, add_generic, curl, header, show
from test_provision import MAC, PIN, bind, get


def forms(secret):
    """As bytes that a log could hold: itself, its digits both ways, base64."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    return {raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"=")}


def private_lines(site):
    """The lines of every private key, the token of the API, the key that nonces and PINs are made with."""
    for path in site.rglob("*"):
        if not path.is_file():
            continue
        text = path.read_bytes()
        for pem in re.findall(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", text, re.S):
            yield from (line.strip() for line in pem.split(b"\n") if len(line.strip()) >= 32)
        if path.suffix == ".token":
            yield text.strip()
        if path.name == "site.key":
            yield text


def blobs(site):
    """What the columns that are named like a secret hold."""
    for path in site.glob("*.db"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
                for column in [c[1] for c in db.execute(f"PRAGMA table_info('{table}')")]:
                    if re.search(r"secret|ha1|pin|token|private|password|nonce|salt|hash_key", column, re.I):
                        yield from (v for (v,) in db.execute(f"SELECT \"{column}\" FROM \"{table}\"") if isinstance(v, (str, bytes)) and len(v) >= 8)
        db.close()


class Journal(threading.Thread):
    def __init__(self, path):
        super().__init__(daemon=True)
        self.s, self.got, self.ended = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), [], False
        self.s.bind(str(path))
        self.s.settimeout(0.2)

    def run(self):
        while not self.ended:
            try:
                self.got.append(self.s.recv(1 << 18))
            except socket.timeout:
                pass

    def text(self):
        self.ended = True
        self.join()
        self.s.close()
        return b"\n".join(self.got)


def busy_day(d):
    """Everything that handles a secret: phones and strangers, right and wrong, SIP, HTTP, API and command line. -> the secrets."""
    known = {PIN}
    config = bind(d)
    known.add(config["reg.1.auth.password"])
    cred = add_generic(d, "301")
    known.add(cred["secret"])
    own = "my own secret 77"
    d.cli("extension", "add", "302", "--pin", "90417")
    d.cli("device", "add", "302", "--generic", "--secret", own, check=False)
    known |= {own, "90417"}
    ua, wrong = Ua(d, cred["user"], cred["secret"]), Ua(d, cred["user"], "a wrong password")
    phone = Ua(d, "201", config["reg.1.auth.password"])
    assert ua.register() == 200 and phone.register() == 200 and wrong.register() in (401, 403)
    realm = re.search(r'realm="([^"]*)"', header(wrong.answer, "WWW-Authenticate"))[1]
    for u in (ua, phone):
        for algorithm in (hashlib.md5, hashlib.sha256):
            known.add(algorithm(f"{u.user}:{realm}:{u.secret}".encode()).hexdigest())
    got = ua.ask("INVITE", "sip:9196@127.0.0.1", extra="Content-Type: application/sdp\r\n", body="v=0\r\n")
    digest = ua.digest(got, "INVITE", "sip:9196@127.0.0.1")
    known.add(re.search(r'response="(\w+)"', digest)[1])
    assert ua.ask("INVITE", "sip:9196@127.0.0.1", extra=digest + "Content-Type: application/sdp\r\n", body="v=0\r\n")
    with socket.create_connection(("127.0.0.1", d.port_base + 1), 10) as s, ssl._create_unverified_context().wrap_socket(s):
        pass
    for user in (f"201:{PIN}", "201:5555", "PlcmSpIp:PlcmSpIp", "nobody:5555"):
        get(d, f"/{MAC}.cfg", user)
    for token in (d.token, "wrong-token-1234567"):
        curl("-H", f"Authorization: Bearer {token}", d.http + "/api/v1/extensions")
        known.add(token)
    show(d, "registrations")
    known.add("a wrong password")
    return known


@pytest.mark.row("Z45")
@pytest.mark.parametrize("form", ["stderr", "file", "journal"])
def test_no_secret_is_told(tmp_path, form):
    journal = Journal(tmp_path / "journal") if form == "journal" else None
    if journal:
        journal.start()
    more = {"stderr": [], "file": ["--log-file", str(tmp_path / "log")], "journal": [f"--log-journal={tmp_path / 'journal'}"]}[form]
    d = Daemon(args=["--log-level", "debug", *more])
    try:
        d.start()
        d.cli("log", "peer", "127.0.0.1", "debug", "--for", "1h")
        secrets = busy_day(d)
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{d.port_base + 5}/metrics", timeout=10).read()
        assert b"strowger_" in metrics
        d.kill()  # restored secrets, too
        d.start()
        assert Ua(d).alive()
        secrets |= set(private_lines(d.site)) | set(blobs(d.site))
        assert d.stop() == 0
        told = d.log_path.read_bytes() + metrics
        if form == "file":
            told += (tmp_path / "log").read_bytes()
        if journal:
            told += journal.text()
        assert b"REGISTER sip:127.0.0.1" in told and b"auth.refused" in told  # it did write all that
        found = [(s, f) for s in secrets if s for f in forms(s) if f and len(f) > 3 and f in told]
        # "4071" alone may be part of a number or a time
        found = [(s, f) for s, f in found if len(f) >= 8 or re.search(rb"(?<![0-9a-fA-F.:])" + re.escape(f) + rb"(?![0-9a-fA-F])", told)]
        assert not found, found
        assert len(secrets) > 15
    finally:
        d.clean()
