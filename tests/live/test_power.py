"""Power cuts (R7, R4): of all that the switch wrote only what it synced is there afterwards, and any sectors of the rest. What was
acknowledged or could be read back before the cut must be there. STROWGER_CUTS: how many (10)."""
import json
import os
import random
import shutil
import sqlite3
import threading
import urllib.request
import uuid

import pytest
from conftest import BUILD, Daemon
from sipkit import Ua, add_generic, show, status, wait_for

CUTS, SECTOR = int(os.environ.get("STROWGER_CUTS", "10")), 512


class Cut(Daemon):
    disk = property(lambda self: self.site.parent / "disk")

    def command(self):
        self.disk.mkdir(exist_ok=True)
        return ["env", f"LD_PRELOAD={BUILD / 'power_cut.so'}", f"STROWGER_CUT_SITE={self.site}", f"STROWGER_CUT_DISK={self.disk}", *super().command()]

    def cut(self, rng, torn):
        """torn: of what was not synced each sector may be there; else nothing of it is."""
        self.kill()
        for new in [p for p in self.site.rglob("*") if torn and p.is_file() and not p.name.endswith("-shm")]:
            old = self.disk / new.relative_to(self.site)
            have, want = old.read_bytes() if old.exists() else b"", new.read_bytes()
            if have == want or not old.parent.exists() or (not old.exists() and rng.random() < 0.5):
                continue
            mixed = bytearray(have.ljust(len(want), b"\0")[:max(len(have), len(want))])
            for at in range(0, len(want), SECTOR):
                if rng.random() < 0.5:
                    mixed[at:at + SECTOR] = want[at:at + SECTOR]
            old.write_bytes(mixed)
        shutil.rmtree(self.site)
        shutil.copytree(self.disk, self.site)
        for p in [self.site, *self.site.rglob("*")]:
            p.chmod(0o700 if p.is_dir() else 0o600)


class Ledger:
    """What the switch said is done: extensions it acknowledged, records and registrations that could be read."""

    def __init__(self):
        self.extensions, self.calls, self.stop = [], set(), threading.Event()

    def change(self, d, first):
        for n in range(first, first + 10000):
            rq = urllib.request.Request(d.http + "/api/v1/extensions", method="POST", data=json.dumps({"number": str(n), "name": "n"}).encode(),
                                        headers={"Authorization": "Bearer " + d.token})
            try:
                with urllib.request.urlopen(rq, timeout=60) as r:
                    if r.status != 201:
                        return
            except OSError:  # cut off in the middle: it may be there or not
                return
            self.extensions.append(str(n))
            if self.stop.is_set():
                return

    def call(self, ua):
        uri, ua.call_id = "sip:999@127.0.0.1", uuid.uuid4().hex
        got = ua.ask("INVITE", uri)
        got = ua.ask("INVITE", uri, extra=ua.digest(got, "INVITE", uri))
        assert status(got) == 404, got
        ua.call_id = uuid.uuid4().hex  # nobody acknowledges that answer: it may come again


def size(d):
    return (d.disk / "strowger.db").stat().st_size


def records(d):
    with sqlite3.connect(f"file:{d.site}/strowger.db?mode=ro", uri=True) as db:
        rows = {r[0] for r in db.execute("SELECT id FROM cdr")}
    db.close()
    return rows


def registered(d):
    with sqlite3.connect(f"file:{d.site}/registrations.db?mode=ro", uri=True) as db:
        rows = {r[0] for r in db.execute("SELECT contact FROM binding")}
    db.close()
    return rows


@pytest.mark.row("R7", "R4")
def test_what_was_said_to_be_done_outlives_power_cuts():
    d, rng, led, seen, sizes = Cut(), random.Random(11), Ledger(), set(), [4096]
    ua = None
    try:
        d.start()
        cred = add_generic(d, 201)
        for i in range(CUTS):
            if ua:
                assert ua.register(0) == 200
                ua.close()
            ua = Ua(d, cred["user"], cred["secret"])
            assert ua.register(3600) == 200
            threads = [threading.Thread(target=led.change, args=(d, 100000 + 20000 * i + 10000 * k)) for k in range(2)]
            for t in threads:
                t.start()
            before = records(d)
            for _ in range(rng.randrange(1, 4)):
                led.call(ua)
            assert wait_for(lambda: records(d) - before, 60)
            assert wait_for(lambda: any(f":{ua.port}" in c for c in registered(d)), 60)
            led.calls |= records(d)
            seen = registered(d)
            if i % 5 == 4:  # into the moment in which the log has gone into the database, and begins anew
                assert wait_for(lambda: size(d) > sizes[-1], 180)
            sizes.append(size(d))
            d.cut(rng, torn=i % 2 == 1)
            for t in threads:
                t.join()
            d.start()
            have = {e["number"] for e in json.loads(d.cli("--json", "extension", "list").stdout)}
            assert not set(led.extensions) - have, (i, sorted(set(led.extensions) - have))
            assert not led.calls - records(d), (i, led.calls - records(d))
            assert not seen - registered(d) and show(d, "registrations"), i
            assert json.loads(d.cli("--json", "audit", "verify").stdout)["whole"], i
            assert "event=store.recovered" not in d.log and "set_aside" not in d.log, i
        print(f"{CUTS} cuts, {len(set(sizes)) - 1} checkpoints: {len(led.extensions)} changes, {len(led.calls)} records, all there")
        assert len(led.extensions) > CUTS and len(led.calls) >= CUTS
        assert d.stop() == 0
    finally:
        led.stop.set()
        if ua:
            ua.close()
        d.clean()
