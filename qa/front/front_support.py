"""Shared code of the suites that attack a running front: the front, bad clients, a good client.

Every suite is a program: ``qa/front/NAME [--full]`` prints lines ``name | target | measured``. Its
exit status is 1 if a target was missed, 3 if only a time was missed, and 77 if this machine lacks
what the suite needs. Load and measurement are separate processes (``crowd.py``, ``prober.py``), so
that they do not delay each other.
"""

import contextlib
import json
import os
import resource
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(TOP / "qa/bench"))

import bench_support  # noqa: E402 (its folder has just been put on the path)

fault_support, report = bench_support.fault_support, bench_support.report
luxi, opcodes = bench_support.luxi, bench_support.opcodes
TRANSPORTS = ("plain", "TLS")
#: Seconds in which 99 of 100 good requests are answered during an attack.
GOALS = {"plain": 0.050, "TLS": 0.150}
#: Seconds until everything must be as before.
RECOVERY = 30.0
#: Descriptors for the biggest crowd, and some more.
DESCRIPTORS = 4000


def require_descriptors(name):
    """Raise the limit of descriptors for the crowd and the front."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        fault_support.skip(name, f"the limit on open files is {hard}, {DESCRIPTORS} are needed")
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))


class RunningFront:
    """A running front: its figures from /proc, and its log."""

    def __init__(self, master, port, pid, transport):
        self.master, self.port, self.pid, self.transport = master, port, pid, transport
        self.goal = GOALS[transport]
        self._log = Path(master.paths.rapi_log)
        self._console = master.root / "rapi-console.log"
        self._tracebacks = self._count_tracebacks()

    def descriptors(self):
        """Return the number of open descriptors without the pooled connections to the master."""
        unix = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:]}
        total = 0
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                name = os.readlink(link)
                total += not (name.startswith("socket:[") and name[8:-1] in unix)
        return total

    def threads(self):
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def resident(self):
        """Return the resident memory in MiB."""
        return bench_support.resident(self.pid)

    def processor(self):
        """Return the processor seconds so far."""
        return bench_support.processor(self.pid)

    def switches(self):
        """Return the voluntary context switches of all threads so far."""
        total = 0
        for status in Path(f"/proc/{self.pid}/task").glob("*/status"):
            total += int(status.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])
        return total

    def tracebacks(self):
        """Return the number of tracebacks in the log since this front started."""
        return self._count_tracebacks() - self._tracebacks

    def _count_tracebacks(self):
        return sum(
            path.read_bytes().count(b"Traceback")
            for path in (self._log, self._console)
            if path.exists()
        )

    def state(self):
        """Return (descriptors, threads)."""
        return self.descriptors(), self.threads()

    def seconds_until(self, state):
        """Return the seconds until descriptors and threads are as before or fewer, or None."""
        begin = time.monotonic()
        while time.monotonic() < begin + RECOVERY:
            if all(now <= before for now, before in zip(self.state(), state)):
                return time.monotonic() - begin
            time.sleep(0.1)
        return None


@contextlib.contextmanager
def front(master, transport, *options):
    """Run ganeti-rapi for a running master, warmed up so that its threads exist."""
    plain = ("--no-ssl",) if transport == "plain" else ()
    with bench_support.front(master, *plain, *options) as (url, child):
        found = RunningFront(master, int(url.rpartition(":")[2]), child.pid, transport)
        with probe(found):
            time.sleep(1.0)
        yield found


# -- other processes ---------------------------------------------------------------------


class Helper:
    """A helper program that works until its standard input ends."""

    def __init__(self, program, *words):
        self.child = subprocess.Popen(
            [sys.executable, str(HERE / program), *map(str, words)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        fault_support.children.append(self.child)

    def end(self):
        """End the program; return the value that it prints."""
        output, _ = self.child.communicate(timeout=fault_support.TIMEOUT)
        return json.loads(output.rpartition("\n")[2])


class Probe:
    """The measurements of a good client, once it has ended."""

    def __init__(self):
        self.samples = []

    def seconds(self, kind=None, since=0.0, until=float("inf")):
        """Return the seconds of the requests that were due in a span, on one kind of connection."""
        return [
            took
            for its_kind, _, due, took, _ in self.samples
            if kind in (None, its_kind) and since <= due < until
        ]

    def faults(self):
        """Return the number of each fault."""
        return Counter(
            f"{kind} {path}: {fault}" for kind, path, _, _, fault in self.samples if fault
        )


@contextlib.contextmanager
def probe(target, *paths):
    """Send good requests meanwhile to a front, or anything with a ``port`` and a ``transport``."""
    found = Probe()
    helper = Helper("prober.py", target.port, target.transport.lower(), *paths)
    try:
        yield found
    finally:
        found.samples = helper.end()


class CrowdResult:
    """The counts of bad clients, once they have ended."""

    def __init__(self):
        self.all_came = False
        self.counts = Counter()
        self.order = []

    def refused(self):
        """Return the number of connections that could not be made."""
        return sum(count for word, count in self.counts.items() if word.startswith("no conn"))

    def __str__(self):
        return ", ".join(f"{count} {word}" for word, count in sorted(self.counts.items()))


@contextlib.contextmanager
def crowd(target, kind, count, rate, timeout=fault_support.TIMEOUT):
    """Run bad clients; yield when all have connected, or their time to do so is over."""
    found = CrowdResult()
    helper = Helper("crowd.py", target.port, target.transport.lower(), kind, count, rate)
    try:
        ready, _, _ = select.select([helper.child.stdout], [], [], timeout)
        found.all_came = bool(ready) and helper.child.stdout.readline() == "all\n"
        yield found
    finally:
        counts = helper.end()
        found.order = counts.pop("order")
        found.counts = Counter(counts)


# -- figures -------------------------------------------------------------------------------


def judge(name, seconds, faults, goal):
    """Print a line about the good requests."""
    p99 = bench_support.percentile(seconds, 0.99)
    for text, count in faults.items():
        fault_support.progress(f"{name}: {count} times {text}")
    report.line(
        f"{name}: good requests, p99",
        f"under {bench_support.milliseconds(goal)}, 0 fail",
        f"{bench_support.milliseconds(p99)} of {len(seconds)} (median "
        f"{bench_support.milliseconds(bench_support.percentile(seconds, 0.5))}, worst "
        f"{bench_support.milliseconds(max(seconds))}), {sum(faults.values())} fail",
        not faults,
        p99 < goal,
    )


def judge_crowd(name, bad, count):
    """Print whether the bad clients could connect: otherwise nothing was measured."""
    fault_support.progress(f"{name}: {bad}")
    report.line(
        f"{name}: came",
        f"{count}, 0 refused",
        f"{'all' if bad.all_came else bad.counts['came']}, {bad.refused()} refused",
        not bad.refused(),
        bad.all_came,
    )


def judge_recovery(name, target, before):
    """Print what an attack leaves behind."""
    took = target.seconds_until(before)
    now, tracebacks = target.state(), target.tracebacks()
    report.line(
        f"{name}: descriptors and threads afterwards",
        f"as before within {RECOVERY:.0f} s, 0 tracebacks",
        (
            "never: {} and {}, before {} and {}".format(*now, *before)
            if took is None
            else f"after {took:.1f} s"
        )
        + f", {tracebacks} tracebacks",
        took is not None and not tracebacks,
    )
