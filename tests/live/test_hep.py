"""Messages as the switch saw them, at a collector of HEPv3: decoded here after the protocol's document, without a line of ours."""
import json
import re
import socket
import struct
import time
import urllib.request

import pytest
from conftest import Daemon
from promparse import parse
from sipkit import Ua, add_generic, header, show, wait_for
from test_six_directions import Vphone

KEY = "capture-me-7"


def decode(packet):
    """HEP3: 'HEP3', total length, chunks of vendor, type, length (of the whole chunk), value."""
    assert packet[:4] == b"HEP3" and struct.unpack_from("!H", packet, 4) == (len(packet),)
    chunks, at = {}, 6
    while at < len(packet):
        vendor, kind, n = struct.unpack_from("!HHH", packet, at)
        assert vendor == 0 and n >= 6 and kind not in chunks
        chunks[kind] = packet[at + 6:at + n]
        at += n
    assert at == len(packet)
    family, proto = chunks[1][0], chunks[2][0]
    assert (family, len(chunks[1]), len(chunks[2])) in ((2, 1, 1), (10, 1, 1))
    af, a, b = (socket.AF_INET, 3, 4) if family == 2 else (socket.AF_INET6, 5, 6)
    src, dst = (f"{socket.inet_ntop(af, chunks[x])}:{struct.unpack('!H', chunks[p])[0]}" for x, p in ((a, 7), (b, 8)))
    assert chunks[11] == b"\x01"  # SIP
    return {"src": src, "dst": dst, "proto": {17: "udp", 6: "tcp"}[proto], "agent": struct.unpack("!I", chunks[12])[0], "key": chunks.get(14),
            "time": struct.unpack("!I", chunks[9])[0] + struct.unpack("!I", chunks[10])[0] / 1e6, "text": chunks[15].decode(),
            "call_id": chunks[17].decode(), "line": chunks[15].decode().split("\r\n")[0]}


class Collector:
    def __init__(self):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.s.bind(("127.0.0.1", 0))
        self.s.setblocking(False)
        self.at = "127.0.0.1:%d" % self.s.getsockname()[1]
        self.got = []

    def take(self):
        try:
            while True:
                self.got.append(decode(self.s.recv(65536)))
        except BlockingIOError:
            return self.got

    def close(self):
        self.s.close()


def brief(p):
    """What a message is: its method, or its status and of which method."""
    word = p["line"].split()
    return word[0] if word[2:] == ["SIP/2.0"] else f"{word[1]} {header(p['text'], 'CSeq').split()[1]}"


def sent(d):
    with urllib.request.urlopen(f"http://127.0.0.1:{d.port_base + 5}/metrics", timeout=10) as r:
        v = parse(r.read().decode())[0]
    return v["strowger_hep_sent_total"][()], v["strowger_hep_dropped_total"][()]


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_a_call_is_followed(transport, tmp_path):
    d, phones, c = Daemon().start(), [], Collector()
    try:
        began = time.time()
        d.cli("settings", "set", f"phone_transport={transport}", f"hep_collector={c.at}", "hep_agent_id=2001", f"hep_key={KEY}")
        d.cli("extension", "add", "511", "--pin", "4071")
        d.cli("extension", "add", "522", "--pin", "5182")
        more = ["--ca", str(d.site / "tls" / "ca.crt")] if transport == "tls" else []
        phones = [Vphone(d, "VVX410", "0004f2051111", "511", "4071", tmp_path / "a", *more),
                  Vphone(d, "SPIP650", "0004f2052222", "522", "5182", tmp_path / "b", *more)]
        assert wait_for(lambda: all(p.saw("registered", 0) for p in phones), 15)
        a, b = phones
        b.do("wait ringing 10", "answer", "wait talking 5", "wait idle 10")
        a.do("dial 522", "wait talking 10", "hangup", "wait idle 5")
        assert wait_for(lambda: all(p.saw("ended", 0) for p in phones), 25), (a.events, b.events)
        rows = wait_for(lambda: (lambda r: r if len(r) == 2 and all(x["closed"] for x in r) else None)(show(d, "cdr")), 10)
        for p in phones:
            p.end()
        assert wait_for(lambda: sent(d) == (len(c.take()), 0), 10), (sent(d), len(c.got))
        switch = f"127.0.0.1:{d.port_base + (1 if transport == 'tls' else 0)}"
        for p in c.got:
            assert (p["src"] == switch) != (p["dst"] == switch), p
            assert p["proto"] == ("tcp" if transport == "tls" else "udp") and p["agent"] == 2001 and p["key"] == KEY.encode()
            assert began - 1 < p["time"] < time.time() + 1 and p["call_id"] == header(p["text"], "Call-ID")
        assert [p["time"] for p in c.got] == sorted(p["time"] for p in c.got)
        of = {int(r["extension"] == "522"): [p for p in c.got if p["call_id"] == r["sip_call_id"]] for r in rows}
        remote = {int(r["extension"] == "522"): r["remote"].split("/")[0] for r in rows}
        ways = {n: {("in" if p["dst"] == switch else "out", brief(p)) for p in of[n]} for n in of}
        for n in of:
            assert {p["src"] for p in of[n]} == {p["dst"] for p in of[n]} == {switch, remote[n]}
        assert ways[0] >= {("in", "INVITE"), ("out", "100 INVITE"), ("out", "180 INVITE"), ("out", "200 INVITE"), ("in", "ACK"), ("in", "BYE"), ("out", "200 BYE")}
        assert ways[1] >= {("out", "INVITE"), ("in", "180 INVITE"), ("in", "200 INVITE"), ("out", "ACK"), ("out", "BYE"), ("in", "200 BYE")}
        auth = [p["text"] for p in c.got if "Authorization:" in p["text"]]
        assert auth and all(re.search(r"Authorization: Digest \*+\r\n", t) for t in auth) and not any("response=" in p["text"] for p in c.got)
        shown = d.cli("settings", "show").stdout + d.cli("--json", "audit", "list").stdout + d.log
        assert KEY not in shown
        assert d.stop() == 0, d.log
    finally:
        for p in phones:
            if p.p.poll() is None:
                p.p.kill()
                p.p.wait()
        c.close()
        d.clean()


def test_the_setting_changes_while_it_runs_and_outlives_a_start(daemon):
    first, second = Collector(), Collector()
    ua = Ua(daemon, "x", "")
    try:
        assert ua.alive(5)
        for wrong in ("collector", "127.0.0.1", "127.0.0.1:0", "2001:db8::1:9060", "192.0.2.7:70000"):
            assert daemon.cli("settings", "set", f"hep_collector={wrong}", check=False).returncode == 1
        assert daemon.cli("settings", "set", "hep_key=" + "k" * 33, check=False).returncode == 1
        daemon.cli("settings", "set", f"hep_collector={first.at}")
        assert ua.alive(5) and wait_for(lambda: len(first.take()) == 2, 5)
        assert [brief(p) for p in first.got] == ["OPTIONS", "200 OPTIONS"] and first.got[0]["key"] is None
        daemon.cli("settings", "set", f"hep_collector={second.at}", f"hep_key={KEY}", "hep_agent_id=9")
        assert ua.alive(5) and wait_for(lambda: len(second.take()) == 2, 5)
        assert {(p["key"], p["agent"]) for p in second.got} == {(KEY.encode(), 9)}
        assert json.loads(daemon.cli("--json", "settings", "show").stdout)["has_hep_key"] is True
        daemon.kill()  # the key is opened again at the start
        daemon.start()
        assert ua.alive(5) and wait_for(lambda: len(second.take()) == 4, 5)
        assert second.got[-1]["key"] == KEY.encode()
        daemon.cli("settings", "set", "hep_collector=", "hep_key=")
        assert ua.alive(5)
        assert sent(daemon) == (2, 0) and len(first.take()) == 2 and len(second.take()) == 4
        assert json.loads(daemon.cli("--json", "settings", "show").stdout)["has_hep_key"] is False
    finally:
        for x in (first, second, ua):
            x.close()


def test_a_collector_that_is_away_holds_nobody_up(daemon):
    """Nobody listens there (port 9: the kernel answers with ICMP): calls go on as before."""
    daemon.cli("settings", "set", "hep_collector=127.0.0.1:9")
    cred = add_generic(daemon, 201)
    ua = Ua(daemon, cred["user"], cred["secret"])
    try:
        for _ in range(20):
            assert ua.register() == 200 and ua.alive(5)
        assert sum(sent(daemon)) >= 100
    finally:
        ua.close()
