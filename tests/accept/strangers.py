"""Points of ./accept about strangers: a flood of unknown users beside calls and calls for help (R22, R23), and that an unknown
user and a wrong password look and last the same (Z45)."""
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import types
import uuid

import lib
import under_fire

sys.path.insert(0, str(lib.ROOT / "tests/live"))
from sipkit import Ua, header, status  # noqa: E402

SDP = under_fire.SDP
FLOODER = "127.0.0.77"


class Help(threading.Thread):
    """Calls for help: by turns of a registered phone, which must reach the target, and of a stranger at the flood's own address,
    who must be answered (asked who it is). made, got, milliseconds."""

    def __init__(self, d, port, each_s):
        super().__init__(daemon=True)
        there = types.SimpleNamespace(sip=("127.0.0.1", port))
        self.each_s, self.ended = each_s, False
        self.made, self.got, self.ms = {"phone": 0, "stranger": 0}, {"phone": 0, "stranger": 0}, []
        creds = {}
        for n in ("2990", "2991"):
            d.api("POST", "extensions", {"number": n})
            creds[n] = d.api("POST", "devices", {"extension": n, "kind": "generic"})
        self.target, self.phone, self.stranger = Ua(there, "2990", creds["2990"]["secret"]), Ua(there, "2991", creds["2991"]["secret"]), Ua(there, "nobody", "", FLOODER)
        d.api("PATCH", "settings", {"emergency_numbers": "911", "emergency_target": "2990"})
        if self.target.register(3600) != 200 or self.phone.register(3600) != 200:
            raise RuntimeError("the phones for help could not register")

    def answer(self):
        """The target's one socket: busy here, which ends the call with one answer; that it rang is what counts."""
        until, seen = time.monotonic() + 2, False
        while time.monotonic() < until and not seen:
            m = self.target.recv(max(0.01, until - time.monotonic()))
            if m and m.startswith("INVITE "):
                seen = True
                head = "".join(line + "\r\n" for line in m.split("\r\n\r\n")[0].split("\r\n") if re.match(r"(?i)(via|from|call-id|cseq)\s*:", line))
                self.target.send(f"SIP/2.0 486 Busy Here\r\n{head}To: {header(m, 'To')};tag=target\r\nContent-Length: 0\r\n\r\n")
        return seen

    def ask(self, ua, extra=""):
        ua.send(ua.text("INVITE", "sip:911@127.0.0.1", extra="Content-Type: application/sdp\r\n" + extra, body=SDP))

    def ack(self, ua, got):
        cseq = header(got, "CSeq").split()[0]
        ua.send(f"ACK sip:911@127.0.0.1 SIP/2.0\r\nVia: {header(got, 'Via')}\r\nMax-Forwards: 70\r\nFrom: {header(got, 'From')}\r\nTo: {header(got, 'To')}\r\n"
                f"Call-ID: {header(got, 'Call-ID')}\r\nCSeq: {cseq} ACK\r\nContent-Length: 0\r\n\r\n")

    def once(self, ua, who):
        ua.call_id, began = uuid.uuid4().hex, time.monotonic()
        self.made[who] += 1
        self.ask(ua)
        got = ua.final(ua.call_id, 2)
        if not got:
            return
        self.ack(ua, got)
        if who == "phone":
            if status(got) in (401, 407):
                self.ask(ua, ua.digest(got, "INVITE", "sip:911@127.0.0.1"))
            if not self.answer():
                return
            self.ms.append((time.monotonic() - began) * 1000)
            got = ua.final(ua.call_id, 2)
            if got:
                self.ack(ua, got)
        self.got[who] += 1

    def run(self):
        while not self.ended:
            self.once(self.phone, "phone")
            self.once(self.stranger, "stranger")
            time.sleep(self.each_s)

    def end(self):
        self.ended = True
        self.join(20)


def flooded(port, seconds, rate, cps, seed=1):
    """Calls beside the flood. The load has phones of its own at 127.0.0.1; the flood comes from another address."""
    f = under_fire.Field(port, cps, pairs=max(8, int(cps)), seed=seed, changes_each_s=0.4)
    flood = None
    try:
        help_ = Help(f.d, port, 0.1)
        help_.start()
        time.sleep(max(2, seconds / 4))
        began, cpu = time.monotonic(), lib.cpu_seconds(f.d.proc.pid)
        flood = subprocess.Popen([str(lib.BUILD / "flood"), f"127.0.0.1:{port}", FLOODER, str(rate), str(seconds), "100000"], stdout=subprocess.PIPE, text=True)
        sent = json.loads(flood.communicate(timeout=seconds + 30)[0])
        over = time.monotonic()
        cpu = (lib.cpu_seconds(f.d.proc.pid) - cpu) / (over - began)
        help_.end()
        r = f.end()

        def setup(a, b):
            return under_fire.p99([(c["acked"] - c["began"]) * 1000 for c in f.load.answered if a <= c["began"] <= b])

        r.update(flood=sent, setup_p99_ms=setup(began, over), setup_p99_before_ms=setup(0, began), answered_during=sum(began <= c["began"] <= over for c in f.load.answered),
                 help_made=help_.made, help_got=help_.got, help_p99_ms=under_fire.p99(help_.ms), cpu=round(cpu, 2))
        return r
    finally:
        if flood and flood.poll() is None:
            flood.kill()
            flood.wait()
        f.close()


def flood():
    """20,000 packets/s of 100,000 unknown users from one source: set-up p99 under 250 ms, every call for help gets through."""
    env = os.environ.get
    seconds = float(env("STROWGER_SECONDS", "20"))
    r = flooded(30000, seconds, 20000, float(env("STROWGER_CPS", "30")), int(env("STROWGER_SEED", "1")))
    ok = under_fire.sound(r) and r["calls_failed"] == 0 and r["answered_during"] > seconds and r["setup_p99_ms"] < 250 and r["help_made"] == r["help_got"] and \
        r["help_made"]["phone"] > seconds and r["flood"]["per_s"] >= 18000 and r["flood"]["users"] >= min(100000, 18000 * seconds)
    return ok, json.dumps(r)


def names(message):
    """The header names of an answer in order, Allow and the like with their values, what is new each time without."""
    lines = message.split("\r\n\r\n")[0].split("\r\n")
    out = [lines[0]]
    for line in lines[1:]:
        name, _, value = line.partition(":")
        value = re.sub(r'"[^"]*"', '""', value) if "authenticate" in name.lower() else value
        out.append(f"{name}:{value}" if name.lower() not in ("via", "from", "to", "call-id", "cseq", "date") else name)
    return out


def tries(ua, method, user, secret, uri, body):
    """One try with a digest: microseconds from the second request to its answer, and that answer."""
    ua.user, ua.secret, ua.call_id = user, secret, uuid.uuid4().hex
    extra, to = ("Content-Type: application/sdp\r\n" if body else ""), f"sip:{user}@127.0.0.1" if method == "REGISTER" else uri

    def ack(got):
        if method == "INVITE":
            ua.send(f"ACK {uri} SIP/2.0\r\nVia: {header(got, 'Via')}\r\nMax-Forwards: 70\r\nFrom: {header(got, 'From')}\r\nTo: {header(got, 'To')}\r\n"
                    f"Call-ID: {ua.call_id}\r\nCSeq: {header(got, 'CSeq').split()[0]} ACK\r\nContent-Length: 0\r\n\r\n")

    got = ua.ask(method, uri, to=to, extra=extra, body=body)
    ack(got)
    raw = ua.text(method, uri, to=to, extra=extra + ua.digest(got, method, uri), body=body)
    began = time.perf_counter_ns()
    ua.send(raw)
    got = ua.final(ua.call_id)
    took = (time.perf_counter_ns() - began) / 1000
    ack(got)
    return took, got


def timing():
    """Unknown user and wrong password by turns, 2,000 of each: medians under 5 % apart, the same headers. REGISTER and INVITE over UDP."""
    count = int(os.environ.get("STROWGER_TRIES", "2000"))
    told, ok = [], True
    with lib.Daemon(30000, "--rtp-pairs", "64", "--workers", "1") as d:
        d.users(4)
        d.api("PATCH", "settings", {"trusted_sources": "127.0.0.0/8"})  # else the tries would be shut out, as they should
        time.sleep(0.5)
        ua = Ua(types.SimpleNamespace(sip=("127.0.0.1", 30000)))
        for method, uri, body in (("REGISTER", "sip:127.0.0.1", ""), ("INVITE", "sip:2002@127.0.0.1", SDP)):
            took, shape = {"2001": [], "7001": []}, {"2001": set(), "7001": set()}
            for i in range(count + 20):
                for user in (("2001", "7001"), ("7001", "2001"))[i % 2]:
                    us, got = tries(ua, method, user, "wrong", uri, body)
                    if i >= 20:  # warm
                        took[user].append(us)
                        shape[user].add(tuple(names(got)))
            known, unknown = (statistics.median(took[u]) for u in ("2001", "7001"))
            apart, same = abs(known - unknown) / max(known, unknown) * 100, shape["2001"] == shape["7001"] and len(shape["2001"]) == 1
            ok = ok and apart < 5 and same
            told.append(f"{method}: wrong password {known:.0f} us, unknown user {unknown:.0f} us, {apart:.1f} % apart, headers {'equal' if same else f'differ: {shape}'}")
        ua.close()
    return ok, "; ".join(told)


POINTS = {"flood": flood, "timing": timing}
