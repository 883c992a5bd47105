"""The wall clock is put wrong by a month, while the switch is away and while it runs: nobody has to register again (R15)."""
import sqlite3

import pytest
from conftest import BUILD, Daemon
from sipkit import Ua, add_generic, header, show, status, wait_for

MONTH = 30 * 86400


class Shifted(Daemon):
    def command(self):
        return ["env", f"LD_PRELOAD={BUILD / 'wall_shift.so'}", f"STROWGER_WALL_FILE={self.site.parent / 'wall'}", *super().command()]

    def shift(self, seconds):
        new = self.site.parent / "wall.new"
        new.write_text(str(seconds))
        new.rename(self.site.parent / "wall")


def stored(d):
    with sqlite3.connect(d.site / "registrations.db") as db:
        rows = db.execute("SELECT extension, expires_ms FROM binding").fetchall()
    db.close()
    return rows


@pytest.mark.row("R15", "R4")
@pytest.mark.parametrize("by", [MONTH, -MONTH])
def test_registered_though_the_clock_jumped(by):
    d = Shifted()
    d.start()
    uas = []
    try:
        for ext in (201, 202):
            cred = add_generic(d, ext)
            uas.append(Ua(d, cred["user"], cred["secret"]))
        assert uas[0].register(3600) == 200
        assert wait_for(lambda: len(stored(d)) == 1)
        before = stored(d)[0][1]
        d.kill()
        d.shift(by)  # while it is away
        d.start()
        assert [r["extension"] for r in show(d, "registrations")] == ["201"]
        assert abs(stored(d)[0][1] - before - by * 1000) < 60000 and "event=store.clock_moved" in d.log
        d.shift(0)  # while it runs; what is written now says when its own times end
        assert uas[1].register(3600) == 200
        assert wait_for(lambda: len(stored(d)) == 2)
        d.kill()
        d.start()
        assert sorted(r["extension"] for r in show(d, "registrations")) == ["201", "202"]
        assert all(abs(expires - before) < 3 * 3600000 for _, expires in stored(d))
        assert uas[0].register(3600) == 200  # its nonce is of a life before, its registration is not
        assert d.stop() == 0
    finally:
        for ua in uas:
            ua.close()
        d.clean()


def calls(d):
    with sqlite3.connect(f"file:{d.site}/strowger.db?mode=ro", uri=True) as db:
        rows = db.execute("SELECT closed, cause, start_ms, answer_ms, end_ms, talk_ms FROM cdr").fetchall()
    db.close()
    return rows


def alive_ms(d):
    with sqlite3.connect(f"file:{d.site}/registrations.db?mode=ro", uri=True) as db:
        row = db.execute("SELECT wall_ms FROM life").fetchone()
    db.close()
    return row[0] if row else 0


@pytest.mark.row("R15", "R7")
def test_cut_off_call_though_the_clock_jumped():
    """It talked for seconds, not for the month that the clock went ahead in the middle of it."""
    d = Shifted()
    d.start()
    cred = add_generic(d, 201)
    ua = Ua(d, cred["user"], cred["secret"])
    try:
        uri = "sip:9196@127.0.0.1"
        sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
        extra = "Content-Type: application/sdp\r\n"
        got = ua.ask("INVITE", uri, extra=extra, body=sdp)
        got = ua.ask("INVITE", uri, extra=extra + ua.digest(got, "INVITE", uri), body=sdp)
        assert status(got) == 200
        assert wait_for(lambda: alive_ms(d) and any(r[3] for r in calls(d)))
        before = alive_ms(d)
        d.shift(MONTH)
        assert wait_for(lambda: alive_ms(d) > before + MONTH * 900)
        assert wait_for(lambda: calls(d)[0][2] > before + MONTH * 900)  # its beginning moved with it
        d.kill()
        d.start()
        rows = calls(d)
        assert len(rows) == 1 and rows[0][:2] == (1, 502)
        assert 0 <= rows[0][5] < 600000 and rows[0][4] - rows[0][3] == rows[0][5], rows
        assert d.stop() == 0
    finally:
        ua.close()
        d.clean()
