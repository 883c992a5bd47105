"""RFC 4475: every torture message, as raw bytes over UDP from a stranger, to the running switch. What may come back stands in
tests/rfc4475.tsv with its reason; after each one the switch must still answer."""
import os
import pathlib

import pytest
from conftest import ROOT
from sipkit import Ua, header, status

VECTORS = pathlib.Path(os.environ.get("STROWGER_SHARED", ROOT.parent / "shared")) / "data" / "rfc4475"
ROWS = [line.split("\t") for line in (ROOT / "tests" / "rfc4475.tsv").read_text().splitlines() if line and line[0] != "#"]


@pytest.mark.row("R19")
def test_all_vectors_are_there():
    assert VECTORS.is_dir(), f"no folder {VECTORS}: put the RFC 4475 vectors there, or name the shared folder in STROWGER_SHARED"
    assert sorted(p.stem for p in VECTORS.glob("*.dat")) == sorted(r[0] for r in ROWS)


def answers(ua):
    """Statuses of everything that came before the answer to an OPTIONS sent afterwards."""
    probe = ua.call_id = "probe-after-" + os.urandom(6).hex()
    ua.send(ua.text("OPTIONS", "sip:127.0.0.1"))
    out = []
    for _ in range(20):
        got = ua.recv(1)
        if got is None:
            return out, False
        if header(got, "Call-ID") == probe and header(got, "CSeq").endswith("OPTIONS"):
            return out, True
        out.append(got)
    return out, False


@pytest.mark.row("R19")
@pytest.mark.parametrize("name,allowed", [(r[0], r[2]) for r in ROWS], ids=[r[0] for r in ROWS])
def test_vector(shared_daemon, name, allowed):
    path = VECTORS / f"{name}.dat"
    assert path.is_file(), f"no {path}: set STROWGER_SHARED to the folder that holds data/rfc4475"
    ua, raw = Ua(shared_daemon), path.read_bytes()
    try:
        ua.send(raw)
        got, alive = answers(ua)
        assert alive, f"no answer to OPTIONS after {name}\n{shared_daemon.log[-2000:]}"
        assert all(g.startswith("SIP/2.0 ") for g in got), got
        finals = [str(status(g)) for g in got if status(g) >= 200]
        want = allowed.split("|")
        assert finals or "none" in want, f"{name}: no answer, allowed {allowed}"
        assert all(f in want for f in finals), f"{name}: answered {finals}, allowed {allowed}\n{got}"
        assert len(set(finals)) <= 1 and (name != "dblreq" or len(finals) == 1), f"{name}: more than one answer: {finals}"
    finally:
        ua.close()
