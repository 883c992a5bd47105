#!/usr/bin/env python3
"""Finds what the build consists of, so that no list must be kept by hand. Run by meson at configure time."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def rel(paths):
    return sorted(str(p.relative_to(ROOT)) for p in paths)


def is_lib(p):
    return not p.name.endswith(("_test.c", "_fuzz.c", "_main.c"))


def name_of(path):
    """src/sip/msg/msg_test.c -> sip_msg_msg_test"""
    parts = path.removesuffix(".c").split("/")
    return "_".join(parts[1:] if parts[0] == "src" else parts)


def main():
    what = sys.argv[1]
    if what == "lib":
        print("\n".join(rel(p for p in (ROOT / "src" / sys.argv[2]).rglob("*.c") if is_lib(p))))
    elif what == "applib":
        print("\n".join(rel(p for p in (ROOT / "src/app").rglob("*.c") if is_lib(p))))
    elif what == "programs":
        found = rel([*(ROOT / "src/app").rglob("*_main.c"), *(ROOT / "benchmarks").rglob("*_main.c"), *(ROOT / "tests").rglob("*_main.c")])
        print("\n".join(f"{pathlib.Path(p).name.removesuffix('_main.c')} {p}" for p in found))
    elif what in ("tests", "fuzz"):
        suffix = "_test.c" if what == "tests" else "_fuzz.c"
        found = rel(p for d in ("src", "tests") for p in (ROOT / d).rglob("*" + suffix))
        print("\n".join(f"{name_of(p)} {p}" for p in found))
    elif what == "schemas":
        print("\n".join(str(ROOT / p) for p in rel((ROOT / "src").rglob("schema.toml"))))
    elif what == "features":
        print("\n".join(str(ROOT / p) for p in rel((ROOT / "src/features").glob("*/feature.toml"))))
    elif what == "stamp":
        every = rel(p for d in ("src", "tests", "benchmarks") for p in (ROOT / d).rglob("*")
                    if p.suffix in (".c", ".toml", ".build"))
        print("\n".join(every))
    else:
        sys.exit(f"sources.py: unknown list {what!r}")


main()
