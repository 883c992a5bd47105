#!/usr/bin/env python3
"""Developer's tool: is the code held by its tests? Breaks one line of a file at random, builds the sanitized tests that link it, runs
them and says whether one of them noticed. tools/mutate.py [--seed S] [--count N] FILE_OR_FOLDER... Works on a copy of the tree in
build-mutate/ so that the worktree stays as it is."""
import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "build-mutate" / "tree"
ENV = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="halt_on_error=1", STROWGER_SHARED=os.environ.get("STROWGER_SHARED", str(ROOT.parent / "shared")))
# Which unit programs, corpora and scenarios hold a folder; the nearest come first.
HOLDERS = {"src/sip": ["sip_", "pbx_"], "src/pbx": ["pbx_", "sim_"], "src/edge": ["edge_"], "src/service": ["service_"], "src/mgraph": ["mgraph_"],
           "src/rtp": ["rtp_", "mgraph_"], "src/base": ["base_"], "src/store": ["store_"], "src/vphone": ["vphone_"], "src/crypto": ["crypto_", "sip_auth"],
           "src/features": ["features_", "pbx_"], "src/guard": ["guard_", "edge_", "pbx_"]}
WAYS = [
    ("condition negated", re.compile(r"\bif \((.*)\)$"), lambda m: f"if (!({m[1]}))"),
    ("< for <=", re.compile(r"(?<![<\-])<=(?!=)"), lambda m: "<"),
    ("<= for <", re.compile(r" < "), lambda m: " <= "),
    ("> for >=", re.compile(r">="), lambda m: ">"),
    (">= for >", re.compile(r" > "), lambda m: " >= "),
    ("!= for ==", re.compile(r"=="), lambda m: "!="),
    ("== for !=", re.compile(r"!="), lambda m: "=="),
    ("|| for &&", re.compile(r"&&"), lambda m: "||"),
    ("&& for ||", re.compile(r"\|\|"), lambda m: "&&"),
    ("one more", re.compile(r"\b([1-9][0-9]*)\b(?![.\w])"), lambda m: str(int(m[1]) + 1)),
    ("true for false", re.compile(r"\bfalse\b"), lambda m: "true"),
    ("false for true", re.compile(r"\btrue\b"), lambda m: "false"),
    ("statement dropped", re.compile(r"^\t+[a-z_][\w>.\-\[\]]*( [|&+-]?= .*|\(.*\));$"), lambda m: "\t;"),
    ("minus for plus", re.compile(r" \+ "), lambda m: " - "),
    ("return 0 for -1", re.compile(r"return -1;"), lambda m: "return 0;"),
]


def code_lines(text):
    """Numbers of the lines within functions that hold code."""
    inside = False
    for i, line in enumerate(text.split("\n")):
        if line == "{":
            inside = True
        elif line == "}":
            inside = False
        elif inside and line.strip() and not line.lstrip().startswith(("/*", "*", "//", "INVARIANT", "log_event", "case ")):
            yield i


def mutants(files, rnd, count):
    out, tries = [], 0
    while len(out) < count and tries < count * 50:
        tries += 1
        path = rnd.choice(files)
        lines = path.read_text().split("\n")
        i = rnd.choice(list(code_lines("\n".join(lines))) or [0])
        name, pattern, new = rnd.choice(WAYS)
        found = list(pattern.finditer(lines[i]))
        if found:
            m = rnd.choice(found)
            changed = lines[i][:m.start()] + new(m) + lines[i][m.end():]
            if (path, i, changed) not in [o[:3] for o in out]:
                out.append((path, i, changed, name))
    return out


def sh(cmd, timeout):
    try:
        return subprocess.run(cmd, cwd=COPY, env=ENV, capture_output=True, text=True, errors="replace", timeout=timeout)
    except subprocess.TimeoutExpired:
        return None  # a hang is noticed too


def holders(path, programs):
    rel = str(path.relative_to(ROOT))
    prefixes = next((v for k, v in HOLDERS.items() if rel.startswith(k)), [""])
    own = rel.removeprefix("src/").rsplit("/", 1)[0].replace("/", "_")
    chosen = [p for p in programs if p.startswith(tuple(prefixes))]
    return sorted(chosen, key=lambda p: (not p.startswith(own), p))


def scenarios(path):
    if not str(path.relative_to(ROOT)).startswith(("src/sip", "src/pbx", "src/mgraph", "src/features")):
        return []
    return sorted((COPY / "tests/scenarios").glob("*.scn"))


def judged(path, programs, fuzz):
    """What noticed the mutant, or None."""
    tests = holders(path, programs)
    p = sh(["tools/build.sh", "san", *tests, *holders(path, fuzz), "sim"], 900)
    if p is None or p.returncode:
        return "the compiler"
    for t in tests:
        p = sh([f"build-san/{t}"], 120)
        if p is None or p.returncode:
            return t
    for t in holders(path, fuzz):
        p = sh([f"build-san/{t}", *sorted(map(str, (COPY / "tests/fuzz" / t).glob("*")))], 120)
        if p is None or p.returncode:
            return t
    for s in scenarios(path):
        p = sh(["build-san/sim", "--scenario", s, "--seed", "1"], 120)
        if p is None or p.returncode:
            return s.stem
    return None


def names(kind):
    out = subprocess.run([sys.executable, ROOT / "tools/sources.py", kind], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in out.splitlines()]


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--count", type=int, default=10)
    ap.add_argument("where", nargs="+")
    a = ap.parse_args()
    files = []
    for w in a.where:
        p = (ROOT / w).resolve()
        files += [f for f in ([p] if p.is_file() else sorted(p.rglob("*.c"))) if not f.name.endswith(("_test.c", "_fuzz.c", "_main.c"))]
    COPY.mkdir(parents=True, exist_ok=True)
    for d in ("src", "tests", "tools", "benchmarks", "packaging", "docs", "meson.build", "meson_options.txt", "layers.txt"):
        if (ROOT / d).is_dir():
            shutil.copytree(ROOT / d, COPY / d, dirs_exist_ok=True)
        else:
            shutil.copy2(ROOT / d, COPY / d)
    programs, fuzz = names("tests"), names("fuzz")
    if sh(["tools/build.sh", "san"], 3600).returncode:
        sys.exit("mutate: the tree does not build as it is")
    survived = 0
    for path, i, changed, way in mutants(files, random.Random(a.seed), a.count):
        target, before = COPY / path.relative_to(ROOT), path.read_text()
        lines = before.split("\n")
        old, lines[i] = lines[i], changed
        target.write_text("\n".join(lines))
        by = judged(path, programs, fuzz)
        target.write_text(before)
        survived += by is None
        print(f"{'SURVIVED' if by is None else 'killed by ' + by}\t{path.relative_to(ROOT)}:{i + 1}\t{way}\t{old.strip()}", flush=True)
    print(f"{a.count} mutants, {survived} survived")


if __name__ == "__main__":
    main()
