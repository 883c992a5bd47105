"""Features are found at configure time; two of them at one point of one phase do not configure (tools/features.py)."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def table(tmp_path, **features):
    files = []
    for name, text in features.items():
        (tmp_path / name).mkdir(exist_ok=True)
        files.append(tmp_path / name / "feature.toml")
        files[-1].write_text(text)
    out = tmp_path / "features.c"
    p = subprocess.run([sys.executable, ROOT / "tools/features.py", out, *files], capture_output=True, text=True, timeout=20)
    return p, out.read_text() if out.exists() else ""


def test_points_are_taken_once(tmp_path):
    p, text = table(tmp_path, mwi='doc = "a"\n[points]\nwatch = ["x"]\napi = ["mwi"]\n', blf='doc = "b"\n[points]\nwatch = ["dialog"]\n')
    assert p.returncode == 0 and "feature_blf, &feature_mwi" in text and "features_n = 2" in text
    p, _ = table(tmp_path, mwi='doc = "a"\n[points]\nwatch = ["x"]\n', blf='doc = "b"\n[points]\nwatch = ["x"]\n')
    assert p.returncode != 0 and "'x' of phase watch is taken by blf" in p.stderr
    p, _ = table(tmp_path, mwi='doc = "a"\n[points]\nwhenever = ["x"]\n')
    assert p.returncode != 0 and "no phase 'whenever'" in p.stderr
