"""Backup while calls are made, restore, equal ledger (R31)."""
import json
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
