"""Calls across a network that loses 5 % each way: two namespaces, a veth pair, nftables. STROWGER_CALLS makes it longer."""
import os
import subprocess

import pytest
from conftest import Daemon
from sipkit import add_generic, show, wait_for
from sipprun import Sipp, auth, injection

CALLS = int(os.environ.get("STROWGER_CALLS", "50"))
HERE, THERE = "10.99.0.1", "10.99.0.2"
RULES = """table inet loss {
  chain in { type filter hook input priority 0; meta l4proto udp numgen random mod 100 < 5 drop; }
}
"""


def sh(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True, **kw)


class NetnsDaemon(Daemon):
    """The daemon inside a namespace; its control socket is a file, so the command works from outside."""
    netns = ""

    def command(self):
        cmd = super().command()
        cmd[cmd.index("127.0.0.1")] = HERE
        return ["nsenter", f"--net=/run/netns/{self.netns}", *cmd]


@pytest.fixture
def lossy():
    """(daemon in one namespace, name of the other); both drop 5 % of the UDP packets that come in."""
    ours, theirs = f"stl{os.getpid()}a", f"stl{os.getpid()}b"
    d = NetnsDaemon(port_base=15060, args=["--rtp-pairs", "200"])
    d.netns = ours
    try:
        for ns in (ours, theirs):
            sh("ip", "netns", "add", ns)
            sh("nsenter", f"--net=/run/netns/{ns}", "ip", "link", "set", "lo", "up")
        sh("nsenter", f"--net=/run/netns/{ours}", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", theirs)
        for ns, dev, addr in ((ours, "v0", HERE), (theirs, "v1", THERE)):
            sh("nsenter", f"--net=/run/netns/{ns}", "ip", "addr", "add", f"{addr}/24", "dev", dev)
            sh("nsenter", f"--net=/run/netns/{ns}", "ip", "link", "set", dev, "up")
        d.start()
        for ns in (ours, theirs):
            sh("nsenter", f"--net=/run/netns/{ns}", "nft", "-f", "-", input=RULES)
        yield d, theirs
        assert d.stop() == 0, d.log
    finally:
        d.clean()
        for ns in (ours, theirs):
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)


@pytest.mark.row("R16")
def test_calls_survive_loss(lossy, tmp_path):
    daemon, there = lossy
    a, b = add_generic(daemon, 4001), add_generic(daemon, 4002)
    remote, runs = f"{HERE}:{daemon.port_base}", []

    def sipp(name, scenario, port, *args, **kw):
        runs.append(Sipp(tmp_path / name, scenario, THERE, port, *args, netns=there, **kw))
        return runs[-1]

    try:
        regs = injection(tmp_path / "regs.csv", [(b["user"], auth(b))])
        # From the port that will answer: the switch calls a phone back where it registered from.
        first = sipp("regs", "register.xml", 5072, "-inf", regs, "-m", 1, remote=remote)
        assert first.wait(40) == 0, first.trouble()
        uas = sipp("uas", "uas.xml", 5072, "-trace_msg")
        calls = injection(tmp_path / "calls.csv", [(a["user"], b["user"], auth(a))])
        uac = sipp("uac", "uac.xml", 5074, "-inf", calls, "-m", CALLS, "-r", 20, remote=remote)
        code = uac.wait(60 + CALLS // 5)
        assert code == 0, uac.trouble()
        s = uac.stats()
        assert (s["SuccessfulCall(C)"], s["FailedCall(C)"]) == (CALLS, 0), s
        assert wait_for(lambda: show(daemon, "calls") == [], 40, 0.3), show(daemon, "calls")
        assert uas.proc.poll() is None
        # The loss was there: somebody had to send again, and the switch too.
        assert show(daemon, "status")["retransmits"] > 0
        assert wait_for(lambda: show(daemon, "status")["media_slots_used"] == 0, 5), show(daemon, "status")
    finally:
        for r in runs:
            r.stop()
