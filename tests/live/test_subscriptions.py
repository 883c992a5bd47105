"""Subscriptions by bytes (RFC 6665): a message lamp, an administrator's change, a killed daemon, and going on as if nothing had been."""
import re
import time
import uuid

import pytest
from sipkit import Ua, add_generic, header, show, status, wait_for


class Watcher(Ua):
    """Subscribes, answers each NOTIFY with 200 and keeps it."""

    def subscribe(self, event, name, expires=600):
        self.call_id, self.tag, self.got = uuid.uuid4().hex, None, []
        uri, extra = f"sip:{name}@127.0.0.1", f"Event: {event}\r\nExpires: {expires}\r\n"
        got = self.ask("SUBSCRIBE", uri, extra=extra)
        assert got and status(got) == 401, got
        got = self.ask("SUBSCRIBE", uri, extra=extra + self.digest(got, "SUBSCRIBE", uri))
        assert got and status(got) == 200, got
        self.tag = re.search(r"tag=([^;\r]+)", header(got, "To"))[1]
        self.event, self.uri = event, uri
        return got

    def refresh(self, expires=600):
        raw = self.text("SUBSCRIBE", self.uri, extra=f"Event: {self.event}\r\nExpires: {expires}\r\n")
        self.send(raw.replace(f"To: <{self.uri}>", f"To: <{self.uri}>;tag={self.tag}"))
        until = time.monotonic() + 5
        while time.monotonic() < until:
            got = self.recv(max(0.01, until - time.monotonic()))
            if got and got.startswith("SIP/2.0"):
                return got
            if got:
                self.take(got)
        return None

    def take(self, msg):
        assert msg.startswith("NOTIFY "), msg
        lines = [h for h in msg.split("\r\n\r\n")[0].split("\r\n")[1:] if re.match(r"(?i)(via|from|to|call-id|cseq):", h)]
        self.send("SIP/2.0 200 OK\r\n" + "\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n")
        if not self.got or self.got[-1] != msg:
            self.got.append(msg)
        return msg

    def notify(self, timeout=5):
        msg = self.recv(timeout)
        assert msg, "no NOTIFY came\n" + self.daemon.log[-3000:]
        return self.take(msg)


def cseq(msg):
    return int(header(msg, "CSeq").split()[0])


def version(msg):
    return int(re.search(r"version=(\d+)", msg)[1])


@pytest.mark.row("R5")
def test_lamp_by_the_command_line(daemon):
    cred = add_generic(daemon, 201)
    ua = Watcher(daemon, cred["user"], cred["secret"])
    try:
        assert int(header(ua.subscribe("message-summary", "201"), "Expires")) > 500
        assert "Messages-Waiting: no" in ua.notify()
        daemon.cli("feature", "run", "mwi", "set", "201", "2", "1")
        assert "Voice-Message: 2/1 (0/0)" in ua.notify()
        rows = show(daemon, "subscriptions")
        assert [(r["extension"], r["event"], r["resource"]) for r in rows] == [("201", "message-summary", "201")]
        assert daemon.cli("feature", "run", "mwi", "set", "999", "1", "1", check=False).returncode != 0
        assert daemon.cli("feature", "run", "nothing", "at", "all", check=False).returncode != 0
        assert int(header(ua.refresh(0), "Expires")) == 0
        assert "terminated" in header(ua.notify(), "Subscription-State")
        assert show(daemon, "subscriptions") == []
    finally:
        ua.close()


@pytest.mark.row("R5")
def test_goes_on_after_kill(daemon):
    """kill -9 at whatever moment: the next start sends full states by itself, with CSeq and version rising."""
    cred = add_generic(daemon, 201)
    daemon.cli("settings", "set", "test_events=yes")
    ua = Watcher(daemon, cred["user"], cred["secret"])
    try:
        ua.subscribe("x-strowger-test", "desk")
        last = ua.notify()
        for i in range(5):
            daemon.cli("feature", "run", "watchtest", "set", "desk", 40)
            last = ua.notify()
        time.sleep(0.6)  # written behind: 20 ms and the store's window of 300
        for pause in (0.0, 0.2, 0.8):  # also right after the start, before it has written anything
            time.sleep(pause)
            daemon.kill()
            daemon.start()
            new = ua.notify()
            assert "state=full" in new and header(new, "Call-ID") == ua.call_id
            assert cseq(new) > cseq(last) and version(new) > version(last), (last, new)
            last = new
        assert status(ua.refresh()) == 200  # in the dialog of before
        last = ua.notify()
        daemon.cli("feature", "run", "watchtest", "set", "desk", 50)
        new = ua.notify()
        assert cseq(new) == cseq(last) + 1 and version(new) == version(last) + 1
        assert wait_for(lambda: show(daemon, "subscriptions")[0]["version"] == version(new))
    finally:
        ua.close()
