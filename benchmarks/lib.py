"""What the benches share: the shipped daemon in a folder of its own, its API, CPU and memory from /proc."""
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of all threads, from schedstat where it is there (nanoseconds), else from stat."""
    total = 0
    try:
        for t in os.listdir(f"/proc/{pid}/task"):
            total += int(pathlib.Path(f"/proc/{pid}/task/{t}/schedstat").read_text().split()[0])
        return total / 1e9
    except (OSError, ValueError, IndexError):
        f = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(f[11]) + int(f[12])) / TICK


def rss_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Pss_Anon", "Anonymous")):
            return int(line.split()[1]) * 1024
    return 0


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


class Daemon:
    def __init__(self, port_base, *extra):
        self.base = port_base
        self.site = tempfile.mkdtemp(prefix="strowger-")
        self.extra = extra
        self.env = None  # of the daemon; None: ours
        self.proc = None

    def start(self):
        started = time.monotonic()
        self.log = open(os.path.join(self.site, "stderr.log"), "ab")
        self.proc = subprocess.Popen([str(BUILD / "strowgerd"), "--site", self.site, "--port-base", str(self.base), "--listen", "127.0.0.1",
                                      *self.extra], stdout=subprocess.PIPE, stderr=self.log, text=True, env=self.env)
        line = self.proc.stdout.readline()
        if not line.startswith("READY"):
            raise RuntimeError("strowgerd did not start: " + pathlib.Path(self.log.name).read_text()[-2000:])
        self.conn = None
        return time.monotonic() - started

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.site, ignore_errors=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *a):
        self.close()

    def api(self, method, path, body=None):
        for attempt in (0, 1):
            try:
                if self.conn is None:
                    self.conn = Unix(os.path.join(self.site, "control.sock"))
                self.conn.request(method, "/api/v1/" + path, json.dumps(body) if body is not None else None,
                                  {"Content-Type": "application/json"})
                r = self.conn.getresponse()
                text = r.read()
                break
            except (http.client.HTTPException, OSError):
                self.conn = None
                if attempt:
                    raise
        v = json.loads(text) if text else None
        if r.status >= 300:
            raise RuntimeError(f"{method} {path}: {r.status} {v}")
        return v

    def users(self, count, first=2001):
        """Extensions with one generic device each; a file of "name secret" lines."""
        path = os.path.join(self.site, "users.txt")
        with open(path, "w") as f:
            for i in range(count):
                n = str(first + i)
                self.api("POST", "extensions", {"number": n})
                d = self.api("POST", "devices", {"extension": n, "kind": "generic"})
                f.write(f"{n} {d['secret']}\n")
        return path

    @property
    def sip(self):
        return f"127.0.0.1:{self.base}"


def sip_load(mode, target, users, ops, window, pid, rate=0):
    """Runs the load; CPU of pid between GO and the end. -> (cpu seconds, result, anonymous bytes grown)"""
    p = subprocess.Popen([str(BUILD / "sip_load"), mode, "--target", target, "--users", users, "--ops", str(ops), "--window", str(window), "--rate", str(rate)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in p.stdout:
        if line.startswith("GO"):
            break
    time.sleep(0.5)
    mem, cpu = rss_bytes(pid), cpu_seconds(pid)
    p.stdin.write("\n")
    p.stdin.flush()
    result = json.loads(p.stdout.readline())
    time.sleep(1)  # group commit of the last call records
    cpu = cpu_seconds(pid) - cpu
    p.wait(10)
    return cpu, result, rss_bytes(pid) - mem


def line(**kw):
    peer = kw.get("peer_cpu_us_per_op")
    kw.setdefault("peer", None)
    kw.setdefault("peer_cpu_us_per_op", None)
    kw["ratio"] = round(kw["cpu_us_per_op"] / peer, 3) if peer and kw.get("cpu_us_per_op") is not None else None
    print(json.dumps(kw), flush=True)
