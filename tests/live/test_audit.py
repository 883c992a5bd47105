"""The audit over the API and the command line: who changed what, and whether the record is whole."""
import json
import sqlite3
import urllib.request


def get(daemon, path):
    rq = urllib.request.Request(daemon.http + path, headers={"Authorization": "Bearer " + daemon.token})
    with urllib.request.urlopen(rq, timeout=5) as r:
        return json.load(r)


def test_changes_are_told_and_a_broken_row_is_named(daemon):
    daemon.cli("extension", "add", "201", "--pin", "4071", "--name", "Ann")
    daemon.cli("extension", "set", "201", "--name", "Bea")
    rq = urllib.request.Request(daemon.http + "/api/v1/extensions/201", method="PATCH", data=b'{"ring_s": 30, "pin": "9274"}',
                                headers={"Authorization": "Bearer " + daemon.token, "If-Match": "*"})
    urllib.request.urlopen(rq, timeout=5).close()
    rows = get(daemon, "/api/v1/audit?entity=extension&key=201")
    assert [(r["what"], r["source"], r["revision"]) for r in rows] == [("set", "127.0.0.1", 3), ("set", "", 2), ("add", "", 1)]
    assert rows[0]["changes"] == {"ring_s": {"old": 0, "new": 30}, "pin": "changed"}
    assert rows[1]["changes"] == {"name": {"old": "Ann", "new": "Bea"}} and rows[1]["actor"] == "control"
    assert get(daemon, "/api/v1/audit?limit=1")[0]["id"] == rows[0]["id"]
    assert '"old":"Ann"' in daemon.cli("audit", "list", "--entity", "extension").stdout
    assert daemon.cli("audit", "verify").stdout.startswith("whole: ")
    head = json.loads(daemon.cli("--json", "audit", "verify").stdout)["head"]
    daemon.stop()
    daemon.start()
    assert "event=audit.head" in daemon.log and f"hash={head}" in daemon.log  # an older copy of the file would not have it
    daemon.stop()
    with sqlite3.connect(daemon.site / "strowger.db") as db:
        db.execute("DROP TRIGGER audit_stays")
        db.execute("UPDATE audit SET actor = 'somebody' WHERE id = ?", (rows[1]["id"],))
    db.close()
    daemon.start()
    p = daemon.cli("audit", "verify", check=False)
    assert p.returncode == 1 and f"broken at row {rows[1]['id']}" in p.stderr


def test_verbs_are_told(daemon):
    daemon.cli("extension", "add", "201", "--pin", "4071")
    daemon.cli("feature", "run", "mwi", "set", "201", "2", "1")
    rows = get(daemon, "/api/v1/audit?entity=feature")
    assert [(r["what"], r["key"], r["actor"], r["changes"]) for r in rows] == [("run", "mwi", "control", {"args": "set 201 2 1"})]
    assert daemon.cli("ban", "release", "192.0.2.66", check=False).returncode != 0  # it is not held: nothing was done
    assert get(daemon, "/api/v1/audit?entity=ban") == []
    assert daemon.cli("audit", "verify").stdout.startswith("whole: ")
