#!/usr/bin/env python3
"""docs/openapi.json is what tools/openapi.py makes of the routes and schemas of this tree."""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
with tempfile.TemporaryDirectory() as tmp:
    inputs = [*map(str, sorted((ROOT / "src").rglob("schema.toml"))), str(ROOT / "src/service/routes.toml")]
    subprocess.run([sys.executable, str(ROOT / "tools/openapi.py"), "-o", tmp, *inputs], check=True)
    if pathlib.Path(tmp, "openapi.json").read_text() != (ROOT / "docs/openapi.json").read_text():
        sys.exit("docs/openapi.json is stale: run tools/openapi.py and commit it")
