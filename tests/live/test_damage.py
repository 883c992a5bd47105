"""A damaged database: the switch starts all the same, from the last good copy, and says so (R32). STROWGER_FLIPS: how many times (20;
./accept uses 1,000)."""
import json
import os
import pathlib
import random
import shutil
import tempfile

import pytest
from conftest import Daemon
from sipkit import wait_for

FLIPS = int(os.environ.get("STROWGER_FLIPS", "20"))


def numbers(d):
    return sorted(e["number"] for e in json.loads(d.cli("--json", "extension", "list").stdout))


@pytest.mark.row("R32")
def test_flipped_bytes():
    d, rng = Daemon().start(), random.Random(7)
    try:
        want = [str(300 + i) for i in range(40)]
        for n in want:
            d.cli("extension", "add", n, "--pin", "4071", "--name", f"Person {n}")
        assert wait_for(lambda: (d.site / "good/1.db").exists(), 10)
        assert d.stop() == 0  # the last changes are copied at the end
        whole = pathlib.Path(tempfile.mkdtemp(prefix="strowger-whole-"))
        shutil.copytree(d.site, whole, dirs_exist_ok=True)
        recovered = 0
        for i in range(FLIPS):
            shutil.rmtree(d.site)
            shutil.copytree(whole, d.site)
            db = bytearray((d.site / "strowger.db").read_bytes())
            kind = i % 5
            if kind == 0:
                db = db[:rng.randrange(len(db))]
            elif kind == 1:
                at = rng.randrange(len(db) // 4096) * 4096
                db[at:at + 4096] = bytes(rng.randrange(256) for _ in range(4096))
            else:
                for _ in range(rng.choice((1, 16, 200))):
                    db[rng.randrange(len(db))] ^= 1 << rng.randrange(8)
            (d.site / "strowger.db").write_bytes(db)
            before = d.log.count("event=store.recovered")
            d.start()
            got = numbers(d)
            assert len(got) == len(want) and len(set(got) ^ set(want)) <= 2, (i, kind, got)  # one flipped digit may pass for a number
            if d.log.count("event=store.recovered") > before:
                recovered += 1
                assert got == want and list(d.site.glob("strowger.db.damaged-*"))
                told = json.loads(d.cli("--json", "audit", "verify").stdout)  # the audit goes on, and says what it lost
                assert told["whole"] and told["cuts"] == 1, told
            d.cli("extension", "add", "999")  # and it can be worked with
            d.kill()
        print(f"{FLIPS} times damaged, {recovered} times from the good copy")
        assert recovered >= FLIPS // 4
        shutil.rmtree(whole)
    finally:
        d.clean()


@pytest.mark.row("R32")
def test_no_good_copy_is_said(tmp_path):
    d = Daemon(site=tmp_path / "site").start()
    d.stop()
    shutil.rmtree(d.site / "good", ignore_errors=True)
    (d.site / "strowger.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(RuntimeError):
        d.start()
    assert "strowger.db" in d.log and "restore it from a backup" in d.log
    assert (d.site / "strowger.db").read_bytes().startswith(b"not a database")  # untouched
