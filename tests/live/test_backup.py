"""Backup while calls are made, restore, equal ledger (R31)."""
import hashlib
import json
import os
import shutil
import sqlite3

import pytest
from conftest import Daemon
from sipkit import Ua, add_generic, status, wait_for


def rows(db, sql):
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as c:
        return c.execute(sql).fetchall()


@pytest.mark.row("R31")
def test_backup_under_work_and_restore(tmp_path):
    d = Daemon(site=tmp_path / "site").start()
    try:
        creds = add_generic(d, "301")
        phone = Ua(d, creds["user"], creds["secret"])
        assert phone.register() == 200
        for i in range(20):
            d.cli("extension", "add", str(400 + i), "--pin", "8264")
        backup = tmp_path / "b"
        out = d.cli("backup", "create", backup)
        assert "site.key" in out.stdout
        assert not (backup / "site.key").exists()
        kept = rows(backup / "strowger.db", "SELECT number, revision, pin_sealed FROM extension ORDER BY number")
        assert len(kept) == 21 and len(rows(backup / "registrations.db", "SELECT * FROM binding")) <= 1
        newest = json.loads(d.cli("--json", "audit", "list", "1").stdout)[0]
        assert (newest["what"], newest["entity"], newest["changes"]) == ("backup", "site", {"to": str(backup), "keys": False})
        again = d.cli("backup", "create", backup, check=False)
        assert again.returncode == 1 and "there already" in again.stderr
        d.cli("backup", "verify", backup)
        refused = d.cli("backup", "restore", backup, check=False)
        assert refused.returncode == 1 and "running" in refused.stderr
        # what comes after the backup is not in it
        d.cli("extension", "remove", "405")
        d.cli("extension", "add", "999")
        assert d.stop() == 0
        d.cli("backup", "restore", backup)
        d.start()
        told = json.loads(d.cli("--json", "audit", "list", "--entity", "site").stdout)
        assert [r["what"] for r in told] == ["restore"] and told[0]["changes"]["from"] == str(backup) and told[0]["actor"].startswith("shell:")
        assert json.loads(d.cli("--json", "audit", "verify").stdout)["whole"]
        assert sorted(e["number"] for e in json.loads(d.cli("--json", "extension", "list").stdout)) == sorted(k[0] for k in kept)
        assert rows(d.site / "strowger.db", "SELECT number, revision, pin_sealed FROM extension ORDER BY number") == kept
        assert phone.register() == 200  # its secret still opens
        assert d.stop() == 0
        assert list(d.site.glob("before-restore-*/strowger.db"))
        # a backup that was touched is refused, and nothing is changed
        with open(backup / "strowger.db", "r+b") as f:
            f.seek(5000)
            f.write(b"x")
        bad = d.cli("backup", "restore", backup, check=False)
        assert bad.returncode == 1 and "not what was backed up" in bad.stderr
        assert len(rows(d.site / "strowger.db", "SELECT 1 FROM extension")) == 21
    finally:
        d.clean()


@pytest.mark.row("R31")
def test_backup_with_keys_moves_a_site(tmp_path):
    d = Daemon(site=tmp_path / "site").start()
    try:
        creds = add_generic(d, "301")
        d.cli("backup", "create", tmp_path / "b", "--with-keys")
        d.cli("backup", "create", tmp_path / "nokeys")
        d.stop()
        shutil.rmtree(d.site)
        refused = d.cli("backup", "restore", tmp_path / "nokeys", check=False)
        assert refused.returncode == 1 and "site.key" in refused.stderr
        d.cli("backup", "restore", tmp_path / "b")
        d.start()
        assert Ua(d, creds["user"], creds["secret"]).register() == 200
        assert d.stop() == 0
    finally:
        d.clean()


def seal(backup):
    """The manifest as if the backup had been made like this."""
    m = json.loads((backup / "MANIFEST.json").read_text())
    for name in m["files"]:
        mem = (backup / name).read_bytes()
        m["files"][name] = {"sha256": hashlib.sha256(mem).hexdigest(), "bytes": len(mem)}
    (backup / "MANIFEST.json").write_text(json.dumps(m))


def edit(db, sql):
    with sqlite3.connect(db) as c:
        c.executescript(sql)
    c.close()


@pytest.mark.row("R31")
def test_backup_of_another_version(tmp_path):
    d = Daemon(site=tmp_path / "site").start()
    try:
        add_generic(d, "301")
        d.cli("backup", "create", tmp_path / "newer")
        d.cli("extension", "add", "302")
        d.stop()
        shutil.copytree(tmp_path / "newer", tmp_path / "older")
        edit(tmp_path / "newer/strowger.db", "INSERT INTO migrations VALUES ('records', 99, 0)")
        seal(tmp_path / "newer")
        p = d.cli("backup", "restore", tmp_path / "newer", check=False)
        assert p.returncode == 1 and "newer" in p.stderr and ".99" in p.stderr and "nothing was changed" in p.stderr
        assert len(rows(d.site / "strowger.db", "SELECT 1 FROM extension")) == 2 and not list(d.site.glob("before-restore-*"))
        # one of an older version becomes one of this; the registrations of long ago in it are none
        edit(tmp_path / "older/strowger.db", "DROP TRIGGER audit_keeps; DROP TRIGGER audit_stays; DELETE FROM audit; DELETE FROM sqlite_sequence WHERE name = 'audit';"
             "DELETE FROM migrations WHERE part = 'records' AND version > 2; INSERT OR IGNORE INTO migrations VALUES ('records', 2, 0)")
        edit(tmp_path / "older/registrations.db", "UPDATE clock SET boot = 'of another machine', wall_ms = wall_ms - 90 * 86400000;"
             "INSERT INTO binding (extension, contact, instance, device_id, transport, remote, local, expires_ms, registered_ms, call_id, user_agent, path) "
             "SELECT '301', 'sip:301@127.0.0.1', '', 1, 0, '127.0.0.1:5060', '127.0.0.1:5060', wall_ms + 3600000, wall_ms, '', '', '' FROM clock")
        seal(tmp_path / "older")
        if os.geteuid() == 0:  # root restores, somebody else's daemon is to work with it
            os.chown(d.site, 65534, 65534)
        d.cli("backup", "restore", tmp_path / "older")
        assert {p.stat().st_uid for p in d.site.rglob("*")} == {d.site.stat().st_uid}
        d.start()
        assert [e["number"] for e in json.loads(d.cli("--json", "extension", "list").stdout)] == ["301"]
        assert json.loads(d.cli("--json", "show", "registrations").stdout) == []
        assert json.loads(d.cli("--json", "audit", "verify").stdout)["whole"]
        assert [r["what"] for r in json.loads(d.cli("--json", "audit", "list").stdout)] == ["restore"]
        assert d.stop() == 0
    finally:
        d.clean()
