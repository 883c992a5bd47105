#!/usr/bin/env python3
"""Developer's tool of the differential test: makes the vectors of classes.tsv. For each class that has none it looks through the corpus
for a message in which every peer of the class shows it, and cuts away what is not needed. reduce.py [--messages N] [--again CLASS]"""
import argparse
import collections
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import compare  # noqa: E402
import corpus  # noqa: E402


def shown(messages, classes):
    """For each message the set of (class or None, peer)."""
    answers = {p: compare.ask(f"diff_{p}", messages) for p in ("ours",) + compare.PEERS}
    out = []
    for i, raw in enumerate(messages):
        out.append({(classes.of(c), c.names["peer"]) for c in compare.disagreements(raw, answers["ours"][i], [(p, answers[p][i]) for p in compare.PEERS])})
    return out


def pieces(raw):
    """Shorter messages: without a line, with a plain one in its place, with less of a list. Nothing finer: it would slide into another fault."""
    ls, tail = corpus.split(raw)
    plain = {b"via": b"Via: SIP/2.0/UDP a;branch=z9hG4bK1", b"from": b"From: <sip:a@b>;tag=1", b"to": b"To: <sip:c@d>", b"call-id": b"Call-ID: 1",
             b"cseq": b"CSeq: 1 " + ls[0].split(b" ")[0]}
    body = tail.partition(b"\r\n\r\n")[2]
    if len(body) > 2:
        yield raw[:len(raw) - len(body)]
        yield raw[:len(raw) - len(body) + 2]
    if ls[0] != b"OPTIONS sip:a SIP/2.0":
        yield b"\r\n".join([b"OPTIONS sip:a SIP/2.0"] + [b"CSeq: 1 OPTIONS" if x.lower().startswith(b"cseq") else x for x in ls[1:]]) + tail
    for i in range(1, len(ls)):
        yield b"\r\n".join(ls[:i] + ls[i + 1:]) + tail
        p = plain.get(ls[i].split(b":")[0].strip().lower())
        if p and p != ls[i]:
            yield b"\r\n".join(ls[:i] + [p] + ls[i + 1:]) + tail
    for i in range(1, len(ls)):  # a list with fewer elements, a value with fewer parameters
        for mark in (b",", b";"):
            parts = ls[i].split(mark)
            for k in range(1, len(parts)):
                yield b"\r\n".join(ls[:i] + [mark.join(parts[:k] + parts[k + 1:])] + ls[i + 1:]) + tail


def reduce(raw, want, classes, alone):
    """The shortest message found that still shows what is wanted (and, when `alone`, nothing else)."""
    def good(found):
        return want <= found and (not alone or not (found - want))
    while True:
        tries = [p for p in pieces(raw) if len(p) < len(raw)]
        for at in range(0, len(tries), 64):
            hit = next((t for t, f in zip(tries[at:at + 64], shown(tries[at:at + 64], classes)) if good(f)), None)
            if hit is not None:
                raw = hit
                break
        else:
            return raw


def write(raw):
    return raw.decode("latin-1").encode("unicode_escape").decode()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--messages", type=int, default=20000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--again", action="append", default=[], help="make the vector of this class anew")
    a = ap.parse_args()
    path = compare.HERE / "classes.tsv"
    classes = compare.Classes(path)
    need = {r["id"]: {(r["id"], p) for p in r["peers"]} for r in classes.rows if not r["vector"] or r["id"] in a.again}
    best = {}
    partial = collections.defaultdict(collections.Counter)
    for at in range(0, a.messages, 20000):
        batch = list(corpus.messages(a.seed + at, min(20000, a.messages - at)))
        for raw, found in zip(batch, shown(batch, classes)):
            for name, want in need.items():
                here = want & found
                if here:
                    partial[name][tuple(sorted(p for _, p in here))] += 1
                if want <= found:
                    rank = (len(found), len(raw))
                    if name not in best or rank < best[name][0]:
                        best[name] = (rank, raw)
    lines = path.read_text().splitlines()
    for name, want in need.items():
        if name not in best:
            print(f"{name}: no message shows it for all its peers; seen: {dict(partial[name])}")
            continue
        raw = best[name][1]
        raw = reduce(raw, want, classes, False)
        for i, line in enumerate(lines):
            cols = line.split("\t")
            if cols[0] == name:
                cols[3] = write(raw)
                lines[i] = "\t".join(cols)
        print(f"{name}: {len(raw)} bytes")
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
