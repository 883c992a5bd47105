#!/usr/bin/env python3
"""Runs every test and counts. Kinds: unit programs (sanitized build), checks of the house, fuzz corpora, simulator
scenarios, live tests (pytest). The last line is `N passed, N failed`. Results with ledger rows go to build/test-results.json."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SAN, TSAN, REL = ROOT / "build-san", ROOT / "build-tsan", ROOT / "build"
RESULTS = REL / "test-results.json"
ENV = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:allocator_may_return_null=1",
           UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
THREADED = ["io_io_test", "edge_edge_test", "media_media_test", "store_store_test"] # built by ./test for ThreadSanitizer, too
ROW = re.compile(r"\b[GZVRCB][0-9]{1,3}[a-z]?\b")


def say(line):
    print(line, flush=True)


def programs(kind):
    out = subprocess.run([sys.executable, ROOT / "tools/sources.py", kind], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in out.splitlines() if line.strip()]


def run(cmd, timeout, **kw):
    t = time.monotonic()
    try:
        p = subprocess.run(cmd, capture_output=True, text=True, errors="replace", timeout=timeout, cwd=ROOT, env=ENV, **kw)
        return p.returncode, p.stdout, p.stderr, time.monotonic() - t
    except subprocess.TimeoutExpired as e:
        return -1, (e.stdout or b"").decode("utf-8", "replace") if isinstance(e.stdout, bytes) else "", f"timed out after {timeout} s", timeout


def result(name, ok, rows="", detail="", kind="unit"):
    return {"name": name, "ok": bool(ok), "rows": ROW.findall(rows), "detail": detail, "kind": kind}


def unit(program, row):
    exe = SAN / program
    if not exe.exists():
        return [result(program, False, detail="was not built")]
    rc, out, err, _ = run([exe] + (["--row", row] if row else []), 300)
    rs = []
    for line in out.splitlines():
        m = re.match(r"^(ok|not ok)\t(\S+)\t(.*)$", line)
        if m:
            rs.append(result(m[2], m[1] == "ok", m[3], "" if m[1] == "ok" else (out + err)[-3000:]))
    if rc != 0 and all(r["ok"] for r in rs):
        rs.append(result(program, False, detail=f"exit {rc}\n" + (out + err)[-3000:]))
    if not rs and not row:
        rs.append(result(program, False, detail="ran no case"))
    return rs


def races(program):
    """The same program under ThreadSanitizer: every case that it reports on fails."""
    if not (TSAN / program).exists():
        return [result(f"tsan.{program}", False, detail="was not built", kind="tsan")]
    rc, out, err, _ = run([TSAN / program], 300)
    clean = rc == 0 and "WARNING: ThreadSanitizer" not in out + err
    return [result(f"tsan.{program}", clean, detail=(out + err)[-3000:], kind="tsan")]


def corpus(program):
    files = sorted(str(p) for p in (ROOT / "tests/fuzz" / program).glob("*") if p.is_file())
    if not files:
        return [result(f"corpus.{program}", False, detail=f"no corpus in tests/fuzz/{program}", kind="corpus")]
    if not (SAN / program).exists():
        return [result(f"corpus.{program}", False, detail="was not built", kind="corpus")]
    rc, out, err, _ = run([SAN / program] + files, 300)
    return [result(f"corpus.{program}", rc == 0, detail=(out + err)[-3000:], kind="corpus")]


def scenario(path, row):
    rows = next((line for line in path.read_text().splitlines() if line.lstrip("# ").startswith("rows:")), "")
    if row and row not in ROW.findall(rows):
        return []
    rc, out, err, _ = run([REL / "sim", "--scenario", path, "--seed", "1"], 300)
    return [result(f"scenario.{path.stem}", rc == 0, rows, (out + err)[-3000:], "scenario")]


def check(script, row):
    if row:
        return []
    rc, out, err, _ = run([sys.executable, script], 300)
    return [result(f"check.{script.stem}", rc == 0, "", (out + err)[-3000:], "check")]


def differential(row):
    """The SIP parser next to libre, sofia-sip, osip2 and the grammar (tests/differential)."""
    if row and row not in ("R19", "R20"):
        return []
    rc, out, err, _ = run([sys.executable, ROOT / "tests/differential/compare.py"], 300)
    rs = [result(m[2], m[1] == "ok", m[3], "" if m[1] == "ok" else (out + err)[-3000:], "differential")
          for m in re.finditer(r"^(ok|not ok)\t(\S+)\t(.*)$", out, re.M)]
    if not rs or (rc != 0 and all(r["ok"] for r in rs)):
        rs.append(result("differential", False, detail=f"exit {rc}\n" + (out + err)[-3000:], kind="differential"))
    return rs


def live(row):
    report = REL / "live-results.jsonl"
    report.unlink(missing_ok=True)
    cmd = ["/usr/bin/python3", "-m", "pytest", "-q", "-x" if False else "-q", "--no-header", "-p", "no:cacheprovider", "tests/live", "--results", str(report)]
    if row:
        cmd += ["--row", row]
    rc, out, err, _ = run(cmd, 900)
    rs = []
    if report.exists():
        for line in report.read_text().splitlines():
            d = json.loads(line)
            rs.append(result(d["name"], d["ok"], " ".join(d["rows"]), d.get("detail", ""), "live"))
    if rc not in (0, 5) and all(r["ok"] for r in rs):
        rs.append(result("live", False, detail=(out + err)[-4000:], kind="live"))
    return rs


def print_rows():
    if not RESULTS.exists():
        sys.exit("no results yet: run ./test first")
    rows = {}
    for r in json.loads(RESULTS.read_text())["results"]:
        for row in r["rows"]:
            rows.setdefault(row, []).append({"test": r["name"], "result": "passed" if r["ok"] else "failed"})
    key = lambda k: (k[0], int(re.sub(r"\D", "", k)), k)
    print(json.dumps({k: rows[k] for k in sorted(rows, key=key)}, indent=1))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--row", help="only tests that declare this ledger row")
    ap.add_argument("--rows", action="store_true", help="JSON: row -> tests -> result, of the last run")
    ap.add_argument("--kind", choices=["unit", "tsan", "check", "corpus", "differential", "scenario", "live"], help="only this kind")
    a = ap.parse_args()
    if a.rows:
        return print_rows()
    started = time.monotonic()
    results = []

    def take(rs):
        for r in rs:
            results.append(r)
            if not r["ok"] or a.row:
                say(f"{'ok' if r['ok'] else 'FAILED'} {r['name']} {' '.join(r['rows'])}")
            if not r["ok"]:
                say("\n".join("    " + line for line in r["detail"].splitlines()[-40:]))

    def stage(kind, title, jobs):
        if (a.kind and a.kind != kind) or not jobs:
            return
        t = time.monotonic()
        before = len(results)
        with concurrent.futures.ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as ex:
            for f in [ex.submit(*j) for j in jobs]:
                take(f.result())
        say(f"{title}: {len(results) - before} in {time.monotonic() - t:.0f} s")

    stage("check", "checks of the house", [(check, p, a.row) for p in sorted((ROOT / "tools").glob("check_*.py"))])
    stage("unit", "unit and property tests (ASan, UBSan)", [(unit, p, a.row) for p in programs("tests")])
    if not a.row:
        stage("tsan", "programs with threads (TSan)", [(races, p) for p in THREADED])
        stage("corpus", "fuzz corpora", [(corpus, p) for p in programs("fuzz")])
    stage("differential", "parsers compared", [(differential, a.row)])
    stage("scenario", "simulator scenarios", [(scenario, p, a.row) for p in sorted((ROOT / "tests/scenarios").glob("*.scn"))])
    stage("live", "live tests", [(live, a.row)])

    if not a.row and not a.kind:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
        RESULTS.write_text(json.dumps({"commit": commit, "seconds": round(time.monotonic() - started), "results": results}, indent=1))
    failed = sum(not r["ok"] for r in results)
    say(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not results else 0)


main()
