"""Runs sipp with the scenarios beside this file; reads its counters."""
import csv
import pathlib
import subprocess

SCENARIOS = pathlib.Path(__file__).resolve().parent / "sipp"


def injection(path, rows):
    """A sipp injection file: rows of fields, taken in order and again from the start."""
    path.write_text("SEQUENTIAL\n" + "".join(";".join(map(str, r)) + "\n" for r in rows))
    return path


def auth(cred):
    return f"[authentication username={cred['user']} password={cred['secret']}]"


class Sipp:
    """One sipp in its own folder. Counters are read from the files it leaves behind."""

    def __init__(self, folder, scenario, addr, port, *args, remote=None, netns=None):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir()
        cmd = ["sipp"] + ([remote] if remote else []) + ["-sf", str(SCENARIOS / scenario), "-i", addr, "-p", str(port), "-nostdin",
               "-trace_stat", "-trace_counts", "-fd", "1", "-trace_err", "-timer_resol", "10", *map(str, args)]
        if netns:
            cmd = ["nsenter", f"--net=/run/netns/{netns}", *cmd]
        self.out = open(self.dir / "out", "wb")
        self.proc = subprocess.Popen(cmd, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.STDOUT)

    def wait(self, timeout):
        try:
            return self.proc.wait(timeout)
        finally:
            self.stop()

    def stop(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        self.out.close()

    def last_row(self, what):
        """The last line of a CSV that sipp wrote ("" is the statistics file), by column."""
        paths = [p for p in self.dir.glob("*.csv") if what(p.name)]
        with open(paths[0]) as f:
            rows = list(csv.reader(f, delimiter=";"))
        return dict(zip(rows[0], rows[-1]))

    def stats(self):
        row = self.last_row(lambda n: not n.endswith("_counts.csv"))
        return {k: int(row[k]) for k in ("SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)") if k in row} | {"row": row}

    def received_again(self):
        """Messages that came to sipp more than once."""
        row = self.last_row(lambda n: n.endswith("_counts.csv"))
        return {k: int(v) for k, v in row.items() if k.endswith("_Retrans") and k[:-8] + "_Recv" in row and int(v)}

    def trouble(self):
        text = "".join(p.read_text(errors="replace")[:3000] for p in self.dir.glob("*errors.log"))
        return text + (self.dir / "out").read_text(errors="replace")[-1500:]
