#!/usr/bin/env python3
"""Runs libFuzzer targets for a given CPU time each, two at a time, and writes the summaries to docs/fuzz.md."""
import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOC = ROOT / "docs/fuzz.md"
HEAD = """# Fuzzing

`./fuzz [TARGET...] --minutes M` runs the targets under libFuzzer with ASan and UBSan; seeds are in `tests/fuzz/<target>/`
and replay in every `./test`. The last run of each target:

| target | commit | executions | seconds | crashes | date |
|---|---|---|---|---|---|
"""


def one(target, seconds):
    exe = ROOT / "build-fuzz" / target
    if not exe.exists():
        return target, None, f"{target}: no such target (./fuzz --list)"
    work = ROOT / "build-fuzz/corpus" / target
    found = ROOT / "build-fuzz/findings" / target
    work.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    seeds = ROOT / "tests/fuzz" / target
    t = time.monotonic()
    p = subprocess.run([exe, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-max_len=8192",
                        f"-artifact_prefix={found}/", work] + ([seeds] if seeds.is_dir() else []),
                       capture_output=True, text=True, errors="replace")
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", p.stderr)
    return target, {"runs": int(runs[1]) if runs else 0, "seconds": round(time.monotonic() - t), "crashes": int(p.returncode != 0)}, p.stderr[-3000:]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--minutes", type=float, default=1)
    ap.add_argument("targets", nargs="+")
    a = ap.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    rows = {}
    if DOC.exists():
        for line in DOC.read_text().splitlines():
            m = re.match(r"^\| (\w+) \|", line)
            if m and m[1] != "target":
                rows[m[1]] = line
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as ex:
        for f in concurrent.futures.as_completed([ex.submit(one, t, int(a.minutes * 60)) for t in a.targets]):
            target, s, err = f.result()
            if s is None:
                print(err, file=sys.stderr)
                bad += 1
                continue
            print(f"{target}: {s['runs']} executions, {s['seconds']} s, {s['crashes']} crashes", flush=True)
            if s["crashes"]:
                bad += 1
                print(err, file=sys.stderr)
            rows[target] = f"| {target} | {commit} | {s['runs']} | {s['seconds']} | {s['crashes']} | {time.strftime('%Y-%m-%d')} |"
    DOC.parent.mkdir(exist_ok=True)
    DOC.write_text(HEAD + "\n".join(rows[k] for k in sorted(rows)) + "\n")
    sys.exit(1 if bad else 0)


main()
