#!/usr/bin/env python3
"""Calls and changes against the shipped daemon while it is killed or its disk fails. A ledger on the client's side holds
what was answered and acknowledged; afterwards the store must hold the same (R4, R7, R9). By hand: one JSON line.

STROWGER_SECONDS, STROWGER_KILLS, STROWGER_CPS, STROWGER_TRANSPORT=udp|tcp, STROWGER_SEED."""
import hashlib
import json
import os
import pathlib
import random
import re
import select
import socket
import sqlite3
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import lib  # noqa: E402

SDP = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=load\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n"
       "a=rtpmap:101 telephone-event/8000\r\n")
SURE_S = 0.1  # what was answered this long before a kill must be in the store
RETRY_S = 0.5    # T1
GIVE_UP_S = 6
INTERRUPTED = 502


def md5(*parts):
    return hashlib.md5(":".join(parts).encode()).hexdigest()


class Msg:
    """The fields that a load looks at."""

    def __init__(self, raw):
        head, _, self.body = raw.partition("\r\n\r\n")
        lines = head.split("\r\n")
        self.first, self.fields = lines[0], [line.partition(":")[::2] for line in lines[1:]]
        self.status = int(self.first.split()[1]) if self.first.startswith("SIP/2.0 ") else 0
        self.method = "" if self.status else self.first.split()[0]

    def all(self, name):
        return [v.strip() for k, v in self.fields if k.strip().lower() == name]

    def get(self, name):
        return (self.all(name) or [""])[0]


class Pair:
    """Two extensions; the first calls the second, one call at a time."""

    def __init__(self, caller, callee):
        self.caller, self.callee = caller, callee  # (number, secret)
        self.state, self.cseq, self.called = "idle", 0, None


class Load(threading.Thread):
    """Both ends of all calls on one socket. Lives through the daemon's deaths: what is not answered is sent again, then given up."""

    def __init__(self, port, users, cps, tcp=False, rng=random):
        super().__init__(daemon=True)
        self.target, self.users, self.cps, self.tcp, self.rng = ("127.0.0.1", port), users, cps, tcp, rng
        self.pairs = [Pair(users[i], users[i + 1]) for i in range(0, len(users) - 1, 2)]
        self.calls, self.by_id = [], {}
        self.answered = []         # ledger: {"acked", "began", "a", "b", "ended"}
        self.trying_ms = []        # (when, milliseconds from INVITE to 100)
        self.failed = self.registered = 0
        self.ended, self.rings = False, threading.Event()
        self.wire, self.got = None, b""
        self.refusals = {}
        self.regs = {}
        self.open()

    # ---- transport ----

    def open(self):
        self.got = b""
        if not self.tcp:
            self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self.wire.bind(("127.0.0.1", 0))
        else:
            self.wire = None
            try:
                self.wire = socket.create_connection(self.target, 1)
            except OSError:
                return
        self.me = "127.0.0.1:%d" % self.wire.getsockname()[1]

    def put(self, text):
        try:
            if self.tcp:
                if self.wire:
                    self.wire.sendall(text.encode())
            else:
                self.wire.sendto(text.encode(), self.target)
        except OSError:
            self.lost()

    def lost(self):
        if self.tcp and self.wire:
            self.wire.close()
            self.wire = None

    def take(self):
        """The messages that came."""
        if not self.wire:
            time.sleep(0.005)
            return
        while select.select([self.wire], [], [], 0.003)[0]:
            try:
                data = self.wire.recv(65536)
            except OSError:
                data = b""
            if not self.tcp:
                yield data.decode(errors="replace")
                continue
            if not data:
                self.lost()
                return
            self.got += data
            while b"\r\n\r\n" in self.got:
                at = self.got.index(b"\r\n\r\n") + 4
                n = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", self.got[:at])
                end = at + (int(n[1]) if n else 0)
                if len(self.got) < end:
                    break
                raw, self.got = self.got[:end], self.got[end:]
                if raw.strip():
                    yield raw.decode(errors="replace")

    # ---- requests ----

    def request(self, method, uri, user, to, call_id, cseq, extra="", body=""):
        return (f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{'TCP' if self.tcp else 'UDP'} {self.me};branch=z9hG4bK{call_id[:16]}{method}{cseq};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:{user}@127.0.0.1>;tag=f{call_id[:8]}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
                f"Contact: <sip:{user}@{self.me}{';transport=tcp' if self.tcp else ''}>\r\n{extra}"
                + (f"Content-Type: application/sdp\r\n" if body else "") + f"Content-Length: {len(body)}\r\n\r\n{body}")

    def digest(self, m, user, secret, method, uri):
        chal = m.get("www-authenticate") or m.get("proxy-authenticate")
        realm, nonce = (re.search(rf'{k}="([^"]*)"', chal)[1] for k in ("realm", "nonce"))
        resp = md5(md5(user, realm, secret), nonce, "00000001", "cafe", "auth", md5(method, uri))
        name = "Authorization" if m.get("www-authenticate") else "Proxy-Authorization"
        return (f'{name}: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{resp}", algorithm=MD5, qop=auth, '
                f'nc=00000001, cnonce="cafe"\r\n')

    def register_all(self):
        """Begins the registration of every user; run() does the rest."""
        self.registered = 0
        self.regs = {}
        for user, secret in self.users:
            cid = "%032x" % random.getrandbits(128)
            r = self.regs[cid] = {"user": user, "secret": secret, "cseq": 1, "ok": False}
            self.send_register(r, cid, "")

    def send_register(self, r, cid, auth):
        r["raw"] = self.request("REGISTER", "sip:127.0.0.1", r["user"], f"<sip:{r['user']}@127.0.0.1>", cid, r["cseq"], "Expires: 3600\r\n" + auth)
        r["sent"] = time.monotonic()
        self.put(r["raw"])

    def send(self, p, raw):
        p.raw, p.sent = raw, time.monotonic()
        self.put(raw)

    def invite(self, p, auth=""):
        p.cseq += 1
        p.trying = None
        self.send(p, self.request("INVITE", p.uri, p.caller[0], f"<{p.uri}>", p.call_id, p.cseq, auth, SDP))

    def begin(self, p):
        p.call_id, p.uri = "%032x" % random.getrandbits(128), f"sip:{p.callee[0]}@127.0.0.1"
        p.state, p.began, p.challenges, p.called = "inviting", time.monotonic(), 0, None
        self.by_id[p.call_id] = p
        self.invite(p)

    def finish(self, p, ok, why=""):
        self.by_id.pop(p.call_id, None)
        p.state = "idle"
        if not ok:
            self.failed += 1
            self.refusals[why] = self.refusals.get(why, 0) + 1

    def bye(self, p):
        p.state = "leaving"
        p.cseq += 1
        p.bye_from = time.monotonic()
        self.send(p, self.request("BYE", p.contact, p.caller[0], p.to, p.call_id, p.cseq))

    # ---- what comes ----

    def on_register(self, m, cid):
        r = self.regs.get(cid)
        if not r or r["ok"] or int(m.get("cseq").split()[0]) != r["cseq"]:
            return
        if m.status == 401:
            r["cseq"] += 1
            self.send_register(r, cid, self.digest(m, r["user"], r["secret"], "REGISTER", "sip:127.0.0.1"))
        elif m.status == 200:
            r["ok"] = True
            self.registered += 1

    def on_response(self, m):
        cid, (cseq, method) = m.get("call-id"), m.get("cseq").split()[:2]
        if method == "REGISTER":
            self.on_register(m, cid)
            return
        p = self.by_id.get(cid)
        if not p:
            return
        now = time.monotonic()
        if method == "INVITE":
            if m.status == 100 and p.trying is None and p.state == "inviting" and int(cseq) == p.cseq:
                p.trying = now
                self.trying_ms.append((p.sent, (now - p.sent) * 1000))
            if m.status < 200:
                return
            if m.status >= 300:
                self.put(self.request("ACK", p.uri, p.caller[0], m.get("to"), cid, cseq))
                if p.state != "inviting" or int(cseq) != p.cseq:
                    return
                if m.status == 401 and p.challenges < 3:
                    p.challenges += 1
                    self.invite(p, self.digest(m, *p.caller, "INVITE", p.uri))
                else:
                    self.finish(p, False, str(m.status))
                return
            p.to, p.contact = m.get("to"), re.search(r"<([^>]*)>", m.get("contact"))[1]
            self.put(self.request("ACK", p.contact, p.caller[0], p.to, cid, cseq))
            if p.state == "inviting":
                p.state = "talking"
                p.row = {"acked": now, "began": p.began, "a": cid, "b": p.called, "ended": None}
                p.until = now + self.rng.choice((0, 0.05, 0.3, 1.0))
                self.answered.append(p.row)
        elif method == "BYE" and p.state == "leaving":
            if m.status == 200:
                p.row["ended"] = now
            self.finish(p, m.status == 200, "BYE %d" % m.status)

    def on_request(self, m):
        if m.method == "ACK":
            return
        if m.method == "INVITE":
            number = re.search(r"sip:([^@]*)@", m.first)[1]
            for p in self.pairs:
                if p.callee[0] == number:
                    p.called = m.get("call-id")
        for status in ("180 Ringing", "200 OK") if m.method == "INVITE" else ("200 OK",):
            sdp = SDP if m.method == "INVITE" and status == "200 OK" else ""
            to = m.get("to")
            self.put(f"SIP/2.0 {status}\r\n" + "".join(f"Via: {v}\r\n" for v in m.all("via")) + "".join(f"Record-Route: {v}\r\n" for v in m.all("record-route"))
                     + f"From: {m.get('from')}\r\nTo: {to if ';tag=' in to else to + ';tag=callee'}\r\nCall-ID: {m.get('call-id')}\r\nCSeq: {m.get('cseq')}\r\n"
                     f"Contact: <sip:load@{self.me}{';transport=tcp' if self.tcp else ''}>\r\n" + ("Content-Type: application/sdp\r\n" if sdp else "")
                     + f"Content-Length: {len(sdp)}\r\n\r\n{sdp}")

    def late(self, now):
        if self.tcp and not self.wire:
            for p in self.pairs:
                if p.state != "idle":
                    self.finish(p, False, "connection lost")
            self.open()
            if self.wire:
                self.register_all()
            return
        for cid, r in self.regs.items():
            if not r["ok"] and now - r["sent"] > RETRY_S:
                r["sent"] = now
                self.put(r["raw"])
        for p in self.pairs:
            if p.state == "talking" and now >= p.until:
                self.bye(p)
            elif p.state in ("inviting", "leaving") and now - (p.began if p.state == "inviting" else p.bye_from) > GIVE_UP_S:
                self.finish(p, False, p.state + " unanswered")
            elif p.state in ("inviting", "leaving") and now - p.sent > RETRY_S and not self.tcp:
                p.sent = now
                self.put(p.raw)

    def run(self):
        self.register_all()
        due, looked = None, 0
        while not self.ended or (any(p.state != "idle" for p in self.pairs) and time.monotonic() < self.ended + GIVE_UP_S + 1):
            for raw in self.take():
                m = Msg(raw)
                if m.status:
                    self.on_response(m)
                else:
                    self.on_request(m)
            now = time.monotonic()
            if now - looked > 0.01:
                looked = now
                self.late(now)
            if self.registered < len(self.users) or self.ended:
                due = None
                continue
            self.rings.set()
            due = due or now
            free = [p for p in self.pairs if p.state == "idle"]
            if now - due > 0.5:
                due = now  # nobody was free: what is behind is not made up for in one burst
            while due <= now and free:
                due += 1 / self.cps
                self.begin(free.pop(self.rng.randrange(len(free))))

    def end(self):
        self.ended = time.monotonic()
        self.join(GIVE_UP_S + 10)


class Changes(threading.Thread):
    """Extensions added, by turns over the API and the command line; which were acknowledged, which refused how."""

    def __init__(self, daemon, first=6000, each_s=0.05):
        super().__init__(daemon=True)
        self.d, self.next, self.each_s = daemon, first, each_s
        self.acknowledged, self.refused, self.ended = [], [], False

    def one(self, number, by_hand):
        if by_hand:
            p = subprocess.run([str(lib.BUILD / "strowger"), "--site", self.d.site, "extension", "add", number], capture_output=True, text=True, timeout=30)
            return 200 if p.returncode == 0 else 0, p.stderr
        conn = lib.Unix(os.path.join(self.d.site, "control.sock"))
        try:
            conn.request("POST", "/api/v1/extensions", json.dumps({"number": number}), {"Content-Type": "application/json"})
            r = conn.getresponse()
            return r.status, r.read().decode()
        except Exception as e:  # the daemon is dead or dies: nothing was acknowledged
            return 0, str(e)
        finally:
            conn.close()

    def run(self):
        while not self.ended:
            number = str(self.next)
            self.next += 1
            status, said = self.one(number, self.next % 8 == 0)
            if 200 <= status < 300:
                self.acknowledged.append((time.monotonic(), number))
            else:
                self.refused.append((time.monotonic(), status, said))
            time.sleep(self.each_s)

    def end(self):
        self.ended = True
        self.join(60)


def compare(site, answered, kills):
    """The ledger against the table cdr. A call is due when no kill came close to its answer: shortly after it (not committed
    yet) or shortly before (the answer of the dead daemon was read late). An INVITE sent again to the new daemon is a new call
    there, so that a Call-ID may also have a row of the try that the kill cut off: never answered, closed as interrupted."""
    db = sqlite3.connect(f"file:{site}/strowger.db?mode=ro", uri=True, timeout=10)
    rows = db.execute("SELECT sip_call_id, leg_no, closed, cause, answer_ms FROM cdr").fetchall()
    db.close()
    of = {}
    for r in rows:
        of.setdefault(r[0], []).append(r)

    def near(t):
        return any(abs(t - k) <= SURE_S for k in kills)

    sure = [c for c in answered if not near(c["acked"])]
    count = dict.fromkeys(("missing", "duplicate", "open", "misclosed", "retried"), 0)
    detail = []  # of the missing: milliseconds since the last kill and to the next one
    for c in sure:
        for leg in (c["a"], c["b"]):
            got = [r for r in of.get(leg, []) if r[4]]
            if not got:
                count["missing"] += 1
                detail.append([round((c["acked"] - max((k for k in kills if k < c["acked"]), default=c["acked"])) * 1000),
                               round((min((k for k in kills if k > c["acked"]), default=c["acked"]) - c["acked"]) * 1000)])
            elif c["ended"] and not near(c["ended"]) and got[0][3] == INTERRUPTED:
                count["misclosed"] += 1
    for same in of.values():
        for leg_no in {r[1] for r in same}:
            mine = [r for r in same if r[1] == leg_no]
            kept = [r for r in mine if r[4] or r[3] != INTERRUPTED]
            count["duplicate"] += max(0, len(kept) - 1)
            count["retried"] += len(mine) - max(1, len(kept))
    count["open"] = sum(not r[2] for r in rows)
    r = {"answered": len(answered), "sure": len(sure), "rows": len(rows), "interrupted": sum(r[3] == INTERRUPTED for r in rows), **count}
    return dict(r, missing_detail=detail) if detail else r


class Field:
    """A daemon with users, the load on it and the changes."""

    def __init__(self, port, cps, transport="udp", pairs=16, seed=1, changes_each_s=0.05, prepare=None):
        self.rng = random.Random(seed)
        self.d = lib.Daemon(port, "--rtp-pairs", "64", "--workers", "1")
        self.kills, self.starts, self.load, self.changes = [], [], None, None
        try:
            if prepare:
                prepare(self.d)
            self.d.start()
            with open(self.d.users(pairs * 2)) as f:
                users = [tuple(line.split()) for line in f]
            self.load = Load(port, users, cps, transport == "tcp", self.rng)
            self.changes = Changes(self.d, each_s=changes_each_s)
            self.load.start()
            if not self.load.rings.wait(20):
                raise RuntimeError("the users could not register")
            self.changes.start()
            time.sleep(1.5)  # the registrations' batch: R4 is about phones registered before
        except BaseException:
            self.close()
            raise

    def kill(self):
        """SIGKILL, and at once a new daemon on the same site."""
        self.kills.append(time.monotonic())
        self.d.proc.kill()
        self.d.proc.wait()
        self.starts.append(time.monotonic())
        self.d.start()

    def end(self):
        """Everything stops; what the store holds, against the ledger."""
        self.load.end()
        self.changes.end()
        time.sleep(0.5)
        p = subprocess.run([str(lib.BUILD / "strowger"), "--site", self.d.site, "--json", "extension", "list"], capture_output=True, text=True, timeout=60)
        there = {e["number"] for e in json.loads(p.stdout)} if p.returncode == 0 else set()
        self.d.stop()
        r = {"kills": len(self.kills)}
        r.update(compare(self.d.site, self.load.answered, self.kills))
        r["changes"] = len(self.changes.acknowledged)
        r["changes_missing"] = sum(n not in there for _, n in self.changes.acknowledged)
        r["changes_refused"] = len(self.changes.refused)
        back = [min((c["acked"] - s for c in self.load.answered if c["began"] >= s), default=None) for s in self.starts]
        r["first_call_ms"] = [None if b is None else round(b * 1000) for b in back]
        r["calls_failed"] = self.load.failed
        r["failures"] = self.load.refusals
        return r

    def close(self):
        if self.load:
            self.load.ended = self.load.ended or time.monotonic()
        if self.changes:
            self.changes.ended = True
        self.d.close()


def sound(r):
    return not any(r[k] for k in ("missing", "open", "misclosed", "duplicate", "changes_missing"))


def kills(port, seconds, count, cps, transport="udp", seed=1):
    # few changes: each one commits at once, and the rows of calls that wait with it
    f = Field(port, cps, transport, pairs=max(8, int(cps)), seed=seed, changes_each_s=0.4)
    try:
        for i in range(count):
            time.sleep(f.rng.uniform(0.5, 1.5) * seconds / (count + 1))
            f.kill()
        time.sleep(seconds / (count + 1) + 1)
        return f.end()
    finally:
        f.close()


def say(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


def shimmed(d):
    """The daemon's disk obeys a control file."""
    d.control_file = d.site + ".fault"
    say(d.control_file, "off")
    d.env = dict(os.environ, LD_PRELOAD=str(lib.BUILD / "io_fault.so"), STROWGER_FAULT_DIR=d.site + "/", STROWGER_FAULT_FILE=d.control_file)


def p99(values):
    return round(sorted(values)[int(len(values) * 0.99)], 1) if values else None


def disk(port, text, fault_s, cps, seed=1):
    """The disk stalls or fails for a while: calls go on, their rows come once, changes wait or are refused with 5xx and work again."""
    f = Field(port, cps, pairs=max(8, int(cps)), seed=seed, prepare=shimmed)
    try:
        time.sleep(1)
        began = time.monotonic()
        say(f.d.control_file, text)
        time.sleep(fault_s)
        say(f.d.control_file, "off")
        freed = time.monotonic()
        time.sleep(4)  # the cell's first retries
        r = f.end()
        r["fault"] = text
        during = [c for c in f.load.answered if began + 0.2 < c["began"] and c["acked"] < freed]
        r["answered_during"] = len(during)
        r["trying_p99_ms"] = p99([ms for at, ms in f.load.trying_ms if began <= at <= freed])
        r["refused_during"] = sorted({s for at, s, _ in f.changes.refused if began <= at <= freed + 0.5})
        r["said"] = next((said[:300] for at, s, said in f.changes.refused if s >= 500), "")
        r["accepted_after"] = sum(at > freed + 0.5 for at, _ in f.changes.acknowledged)
        return r
    finally:
        f.close()
        pathlib.Path(f.d.control_file).unlink(missing_ok=True)


def full(port, fault_s, cps, seed=1):
    """The site on a file system of 24 MB that fills up and is freed. Needs root for the mount."""
    def small(d):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", d.site], check=True)

    f = None
    site = []
    try:
        f = Field(port, cps, pairs=max(8, int(cps)), seed=seed, prepare=lambda d: (site.append(d.site), small(d)))
        began = time.monotonic()
        with open(f.d.site + "/ballast", "wb", 0) as b:
            try:
                while True:
                    b.write(b"\0" * 4096)
            except OSError:
                pass
        time.sleep(fault_s)
        os.unlink(f.d.site + "/ballast")
        freed = time.monotonic()
        time.sleep(6)
        r = f.end()
        r["fault"] = "full"
        r["answered_during"] = sum(began < c["began"] and c["acked"] < freed for c in f.load.answered)
        r["trying_p99_ms"] = p99([ms for at, ms in f.load.trying_ms if began <= at <= freed])
        r["refused_during"] = sorted({s for at, s, _ in f.changes.refused if began <= at <= freed + 0.5})
        r["said"] = next((said[:300] for at, s, said in f.changes.refused if s >= 500), "")
        r["accepted_after"] = sum(at > freed + 0.5 for at, _ in f.changes.acknowledged)
        return r
    finally:
        if f:
            f.d.stop()
        if site:
            subprocess.run(["umount", "-l", site[0]], check=False)
        if f:
            f.close()


def point():
    """For ./accept: kills, then the faults of the disk."""
    env = os.environ.get
    seconds, count, cps = float(env("STROWGER_SECONDS", "60")), int(env("STROWGER_KILLS", "20")), float(env("STROWGER_CPS", "30"))
    seed = int(env("STROWGER_SEED", "1"))
    k = kills(30000, seconds, count, cps, env("STROWGER_TRANSPORT", "udp"), seed)
    slow = [ms for ms in k["first_call_ms"] if ms is None or ms > 1000]
    ok = sound(k) and k["kills"] == count and (env("STROWGER_TRANSPORT") == "tcp" or not slow)
    told = ["kills " + json.dumps(k)]
    faults = [disk(30000, "stall 5", 5, cps, seed), disk(30000, "fail EIO", 5, cps, seed), disk(30000, "fail ENOSPC", 5, cps, seed)]
    if os.geteuid() == 0:
        faults.append(full(30000, 5, cps, seed))
    for r in faults:
        refused = r["fault"].startswith("stall") or (r["refused_during"] and all(500 <= s <= 599 for s in r["refused_during"] if s))
        ok = ok and sound(r) and r["answered_during"] > 0 and r["accepted_after"] > 0 and bool(refused)
        told.append(r["fault"] + " " + json.dumps(r))
    return ok, "; ".join(told)


if __name__ == "__main__":
    good, figure = point()
    print(figure.replace("; ", "\n"))
    sys.exit(0 if good else 1)
