"""IPv6: SIP over UDP, TCP and TLS, provisioning and voice on ::1; two phones call each other."""
import pytest
from conftest import Daemon
from sipkit import curl, show, wait_for
from test_six_directions import Vphone


class Daemon6(Daemon):
    http = property(lambda self: f"http://[::1]:{self.http_port}")

    def command(self):
        cmd = super().command()
        cmd[cmd.index("127.0.0.1")] = "::1"
        return cmd


@pytest.mark.row("G10")
def test_phones_call_over_ipv6(tmp_path):
    d, phones = Daemon6().start(), []
    try:
        assert d.ready["sip"] == f"[::1]:{d.port_base}"
        assert curl(d.http + "/000000000000.cfg")[0] == 401
        assert curl("--cacert", d.site / "tls/ca.crt", f"https://[::1]:{d.port_base + 4}/000000000000.cfg")[0] == 401
        for i, transport in enumerate(("udp", "tcp", "tls")):
            ext = f"63{i}"
            d.cli("extension", "add", ext, "--pin", "5182")
            phones.append(Vphone(d, "VVX410", f"0004f206333{i}", ext, "5182", tmp_path / transport, "--transport", transport, "--ip", "::1",
                                 "--sip-port", str(d.port_base + 200 + 10 * i), "--rtp-base", str(d.port_base + 300 + 100 * i)))
        assert wait_for(lambda: all(p.saw("registered", 0) for p in phones), 15), [p.events for p in phones]
        assert all("@[::1]:" in r["contact"] for r in show(d, "registrations"))
        for a, b in ((phones[0], phones[1]), (phones[1], phones[2]), (phones[2], phones[0])):
            na, nb = len(a.events), len(b.events)
            b.do("wait ringing 10", "answer", "wait talking 5", f"wait tone {a.hz} 5", "wait idle 10")
            a.do(f"dial {b.ext}", "wait talking 10", f"wait tone {b.hz} 5", "wait seconds 1", "hangup", "wait idle 5")
            for p, n in ((a, na), (b, nb)):
                assert wait_for(lambda: p.saw("ended", n) or p.p.poll() is not None, 20), p.events[n:]
        for p in phones:
            p.end()
        assert d.stop() == 0, d.log
    finally:
        for p in phones:
            if p.p.poll() is None:
                p.p.kill()
                p.p.wait()
        d.clean()
