"""A phone behind NAT (G12): three namespaces, the middle one masquerades. It registers over UDP, TCP and TLS, is called, calls,
and both hear each other; the way to it stays open because it is asked to come back before the router forgets it."""
import os
import subprocess

import pytest
from conftest import Daemon
from sipkit import show, wait_for
from test_six_directions import Vphone

SERVER, ROUTER_OUT, ROUTER_IN, PHONE = "198.18.7.1", "198.18.7.2", "192.168.7.1", "192.168.7.2"
NAT = f"""table ip nat {{
  chain post {{ type nat hook postrouting priority 100; oifname "out" masquerade random; }}
  chain pre {{ type filter hook forward priority 0; policy accept; iifname "out" ct state new drop; }}
}}
"""


def sh(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True, **kw)


class In:
    """Commands inside one namespace."""

    def __init__(self, name):
        self.name, self.pre = name, ["nsenter", f"--net=/run/netns/{name}"]

    def sh(self, *args, **kw):
        return sh(*self.pre, *args, **kw)


class NatDaemon(Daemon):
    ns = None
    http = property(lambda self: f"http://{SERVER}:{self.http_port}")

    def command(self):
        cmd = super().command()
        cmd[cmd.index("127.0.0.1")] = SERVER
        return [*self.ns.pre, *cmd]


class NsPhone(Vphone):
    """A vphone whose process runs in a namespace, with an address of its own."""

    def __init__(self, ns, addr, *args):
        popen = subprocess.Popen
        subprocess.Popen = lambda cmd, **kw: popen([*ns.pre, *cmd, "--ip", addr], **kw)
        try:
            super().__init__(*args)
        finally:
            subprocess.Popen = popen


@pytest.fixture
def nat():
    server, router, home = (In(f"stn{os.getpid()}{c}") for c in "srh")
    d = NatDaemon(port_base=16060)
    d.ns = server
    try:
        for n in (server, router, home):
            sh("ip", "netns", "add", n.name)
            n.sh("ip", "link", "set", "lo", "up")
        router.sh("ip", "link", "add", "out", "type", "veth", "peer", "name", "eth0", "netns", server.name)
        router.sh("ip", "link", "add", "in", "type", "veth", "peer", "name", "eth0", "netns", home.name)
        for n, dev, addr in ((server, "eth0", SERVER), (router, "out", ROUTER_OUT), (router, "in", ROUTER_IN), (home, "eth0", PHONE)):
            n.sh("ip", "addr", "add", f"{addr}/24", "dev", dev)
            n.sh("ip", "link", "set", dev, "up")
        home.sh("ip", "route", "add", "default", "via", ROUTER_IN)
        router.sh("sysctl", "-qw", "net.ipv4.ip_forward=1")
        router.sh("nft", "-f", "-", input=NAT)
        d.start()
        yield d, server, home
        assert d.stop() == 0, d.log
    finally:
        d.clean()
        for n in (server, router, home):
            subprocess.run(["ip", "netns", "del", n.name], capture_output=True)


@pytest.mark.row("G12")
def test_a_phone_behind_nat(nat, tmp_path):
    d, server, home = nat
    d.cli("extension", "add", "611", "--pin", "4071")
    phones = [NsPhone(server, SERVER, d, "VVX410", "0004f2061111", "611", "4071", tmp_path / "out", "--sip-port", "5070", "--rtp-base", "40000")]
    out = phones[0]
    try:
        for i, transport in enumerate(("udp", "tcp", "tls")):
            ext = f"62{i}"
            d.cli("extension", "add", ext, "--pin", "5182")
            # its own mapping, as a phone that was moved here: the switch learns it from the REGISTER
            inside = NsPhone(home, PHONE, d, "VVX410", f"0004f206222{i}", ext, "5182", tmp_path / transport, "--transport", transport,
                             "--sip-port", str(5080 + i), "--rtp-base", str(41000 + 100 * i))
            phones.append(inside)
            assert wait_for(lambda: inside.saw("registered", 0), 15), (transport, inside.events)
            row = [r for r in show(d, "registrations") if r["extension"] == ext][0]
            assert PHONE in row["contact"] and row["source"].startswith(ROUTER_OUT), row
            if transport == "udp":
                assert row["expires_s"] <= 60, row  # comes again while the router still knows it
            for a, b in ((out, inside), (inside, out)):
                na, nb = len(a.events), len(b.events)
                b.do("wait ringing 10", "answer", "wait talking 5", f"wait tone {a.hz} 5", "wait idle 10")
                a.do(f"dial {b.ext}", "wait talking 10", f"wait tone {b.hz} 5", "wait seconds 1", "hangup", "wait idle 5")
                for p, n in ((a, na), (b, nb)):
                    assert wait_for(lambda: p.saw("ended", n) or p.p.poll() is not None, 20), (transport, p.events[n:])
        for p in phones:
            p.end()
    finally:
        for p in phones:
            if p.p.poll() is None:
                p.p.kill()
                p.p.wait()
