#!/usr/bin/env python3
"""Differential test of the SIP parser: the same messages to ours, libre, sofia-sip, osip2 and to a reading written from the grammar
(rfc.py). Every disagreement must fall into a class of classes.tsv, each with its vector and the sentence that decides; one that falls
into none fails. compare.py [--messages N] [--seed S] [--show CLASS]; exit 0 when all are classified."""
import argparse
import collections
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import corpus  # noqa: E402
import rfc  # noqa: E402

BUILD = pathlib.Path(os.environ.get("STROWGER_BUILD", HERE.parents[1] / "build"))
PEERS = ("libre", "sofia", "osip2")
NO_CASE = re.compile(r"\.(scheme|host|transport)$")
NUMERIC = {"ruri.port", "from.port", "to.port", "contact.port", "via.port", "cseq", "expires", "maxf", "body", "status"}
MOST_DEATHS = 5000


def ask(program, messages):
    """One answer for each message; a message that ends the program is answered "crash" and the program started again."""
    out, deaths = [], 0
    while len(out) < len(messages):
        with tempfile.TemporaryFile() as f:
            for m in messages[len(out):]:
                f.write(struct.pack(">I", len(m)) + m)
            f.seek(0)
            p = subprocess.run([BUILD / program], stdin=f, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        got = p.stdout.decode("latin-1").split("\n")[:-1]
        out += got
        if len(out) < len(messages):
            deaths += 1
            if deaths > MOST_DEATHS:
                sys.exit(f"{program} died {deaths} times")
            out.append("crash")
    return out


def unescape(v):
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), v)


def parse_answer(line):
    verdict, *rest = line.split("\t")
    return verdict, dict((k, unescape(v)) for k, v in (r.split("=", 1) for r in rest))


def same_form(key, v, peer=None):
    """A value as it is compared: what the RFC calls equal is equal."""
    if v is None:
        return None
    if NO_CASE.search(key):
        v = v.lower()
        if v.startswith("[") and v.endswith("]"):
            v = v[1:-1]
    if key.endswith(".user") and peer != "osip2":  # which has them decoded already
        v = re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), v)
    if key in NUMERIC and v.isascii() and v.isdigit():
        v = str(int(v))
    return v


def hash12(name):
    """The number by which libre knows a header: 12 bits of Jenkins' one-at-a-time hash of its name."""
    h = 0
    for c in name.lower().encode("latin-1"):
        h = (h + c) * 1025 & 0xffffffff
        h ^= h >> 6
    h = h * 9 & 0xffffffff
    h ^= h >> 11
    return h * 32769 & 0xfff


class Case:
    """What a predicate sees: one disagreement of one peer about one message."""

    def __init__(self, raw, peer, field, ours, theirs, reading, why, their_why, theirs_all):
        self.names = dict(raw=raw, peer=peer, field=field, ours=ours, theirs=theirs, bad=reading.bad, odd=reading.odd, why=why, their_why=their_why,
                          h=reading.h, f=reading.f, all=theirs_all, any_bad=lambda *p: any(b.startswith(p) for b in reading.bad), re=re, len=len, any=any, bool=bool, str=str, int=int, max=max, hash12=hash12, lenient=self.lenient)

    def lenient(self):
        """Is what ours says just what the lenient reading says (rfc.LENIENT)?"""
        n = self.names
        r = rfc.Reading(n["raw"], lenient=True)
        if n["field"] == "verdict":
            return r.verdict() == n["ours"]
        return r.verdict() == "accept" and same_form(n["field"], r.f.get(n["field"])) == n["ours"]


def disagreements(raw, ours_line, peer_lines):
    """Every (peer, field, ours, theirs) that differs, as Cases."""
    reading = rfc.Reading(raw)
    verdict, ours = parse_answer(ours_line)
    why = ours.pop("why", "")
    for peer, line in peer_lines + [("rfc", None)]:
        if line is None:
            theirs_verdict, theirs = reading.verdict(), dict(reading.f)
            theirs.pop("response", None)
        else:
            theirs_verdict, theirs = parse_answer(line)
        their_why = theirs.pop("why", "")
        if verdict != theirs_verdict:
            yield Case(raw, peer, "verdict", verdict, theirs_verdict, reading, why, their_why, theirs)
        elif verdict == "accept":
            parts = ("scheme", "user", "host", "port", "uri")
            told = set()  # when a URI or the list around it is read otherwise, its parts are no findings of their own
            for key in sorted(set(ours) | set(theirs), key=lambda k: (k != "contacts", k.partition(".")[0], parts.index(k.partition(".")[2]) if k.partition(".")[2] in parts else -1)):
                if key.partition(".")[0] in told and key.partition(".")[2] in parts:
                    continue
                a, b = same_form(key, ours.get(key)), same_form(key, theirs.get(key), peer)
                if a != b:
                    if key == "contacts" or key.endswith(".scheme"):
                        told.add("contact" if key == "contacts" else key.partition(".")[0])
                    yield Case(raw, peer, key, a, b, reading, why, their_why, theirs)


class Classes:
    def __init__(self, path):
        self.rows = []
        for n, line in enumerate(path.read_text().splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            cols = line.split("\t")
            if len(cols) != 6:
                sys.exit(f"{path.name}:{n}: {len(cols)} columns instead of 6")
            name, peers, predicate, vector, decides, right = cols
            must, _, may = peers.partition("+")
            self.rows.append({"id": name, "peers": set(must.split(",")), "may": set(filter(None, may.split(","))), "when": compile(predicate, f"{path.name}:{n}", "eval"), "vector": vector,
                              "decides": decides, "right": right})
        if len({r["id"] for r in self.rows}) != len(self.rows):
            sys.exit("a class is named twice")

    def of(self, case):
        for r in self.rows:
            if case.names["peer"] in r["peers"] | r["may"] and eval(r["when"], dict(case.names, __builtins__={})):
                return r["id"]
        return None


def run(messages, classes, show=None):
    """(count for each class, unclassified cases)."""
    answers = {p: ask(f"diff_{p}", messages) for p in ("ours",) + PEERS}
    seen, unknown = collections.Counter(), []
    if "crash" in answers["ours"]:
        sys.exit(f"our parser died of {messages[answers['ours'].index('crash')]!r}")
    for i, raw in enumerate(messages):
        for c in disagreements(raw, answers["ours"][i], [(p, answers[p][i]) for p in PEERS]):
            name = classes.of(c)
            if name is None:
                unknown.append(c)
            else:
                seen[name, c.names["peer"]] += 1
                if show == name:
                    n = c.names
                    print(n["peer"], n["field"], "ours", n["ours"], n["why"], "theirs", n["theirs"], n["their_why"], sorted(n["bad"]), sorted(n["odd"]), raw, sep=" | ")
    return seen, unknown


def vector_faults(classes):
    """Each class must still be shown by its vector, by every peer of the class; (id, what is wrong or "") for each."""
    raws = [r["vector"].encode().decode("unicode_escape").encode("latin-1") for r in classes.rows]
    answers = {p: ask(f"diff_{p}", raws) for p in ("ours",) + PEERS}
    for i, r in enumerate(classes.rows):
        seen = {c.names["peer"] for c in disagreements(raws[i], answers["ours"][i], [(p, answers[p][i]) for p in PEERS]) if classes.of(c) == r["id"]}
        if not r["vector"] or r["right"] not in ("ours", "rfc", "both", "sofia") or not re.match(r"RFC \d+", r["decides"]):
            yield r["id"], "a class wants a vector, the RFC sentence that decides, and who is right (ours, rfc, both or a peer)"
        else:
            yield r["id"], "" if r["peers"] <= seen <= r["peers"] | r["may"] else f"shown by {sorted(seen)} instead of {sorted(r['peers'])}"


def tell_unknown(unknown, most, brief):
    def key(c):
        n = c.names
        return (n["peer"], n["field"], n["why"], n["their_why"], n["theirs"] if n["field"] == "verdict" else "", " ".join(sorted(n["bad"])))
    groups = collections.defaultdict(list)
    for c in unknown:
        groups[key(c)].append(c.names)
    for k, cs in sorted(groups.items(), key=lambda g: -len(g[1]))[:most]:
        print(len(cs), k)
        if not brief:
            print("    ours", cs[0]["ours"], "theirs", cs[0]["theirs"], sorted(cs[0]["odd"]), cs[0]["raw"])


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--messages", type=int, default=4000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--show", help="print the disagreements of this class")
    ap.add_argument("--unknown", type=int, default=10, help="how many kinds of unclassified ones to print")
    ap.add_argument("--brief", action="store_true", help="unclassified ones without their messages")
    a = ap.parse_args()
    classes = Classes(HERE / "classes.tsv")
    bad = 0
    for name, fault in vector_faults(classes):
        bad += bool(fault)
        print(f"{'not ok' if fault else 'ok'}\tdifferential.{name}\tR19" + (f"\n    {fault}" if fault else ""))
    total, unknown = collections.Counter(), []
    for at in range(0, a.messages, 20000):
        seen, more = run(list(corpus.messages(a.seed + at, min(20000, a.messages - at))), classes, a.show)
        total += seen
        unknown += more
    tell_unknown(unknown, a.unknown, a.brief)
    print(f"{'not ok' if unknown else 'ok'}\tdifferential.corpus\tR19 R20")
    print(f"messages={a.messages} disagreements={sum(total.values()) + len(unknown)} classes={len({k[0] for k in total})} unclassified={len(unknown)}")
    sys.exit(1 if unknown or bad else 0)


if __name__ == "__main__":
    main()
