"""Shared code of the benchmarks: clusters with their front, and rows that are written offline.

Every benchmark is a program: ``qa/bench/NAME [--full]`` prints a line ``name | target | measured``
for each figure. A figure is compared with a reference that is measured in the same run, because
machines differ. A missed target is marked in its line and does not fail the program; a wrong
answer does.
"""

import atexit
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TOP / "qa/faults"), str(TOP / "qa/interop")]

import clusters  # noqa: E402 (its folder has just been put on the path)
import fault_support  # noqa: E402

from ganeti import luxi, opcodes  # noqa: E402 (the package is on the path now)
from ganeti.config.config import Config  # noqa: E402
from ganeti.constants import JobStatus  # noqa: E402
from ganeti.db.store import Store  # noqa: E402
from ganeti.jqueue import (  # noqa: E402
    rows,  # noqa: E402
)
from ganeti.jqueue.job import LogEntry, Moment  # noqa: E402
from ganeti.luxi import RequestContext  # noqa: E402
from ganeti.objects import Instance  # noqa: E402

NODE = f"{fault_support.HOST}:8T:100T:1024"
FOLDER = Path(tempfile.mkdtemp(prefix="qa-bench-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
#: Rows that are written in one transaction while no master runs.
BATCH = 2000

report = fault_support.TargetReport()


def percentile(values, share):
    """Return the value that a ``share`` of all values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def milliseconds(seconds):
    """Format seconds as milliseconds."""
    return f"{seconds * 1000:.{2 if seconds < 0.1 else 0}f} ms"


def clock(work):
    """Return the seconds that a piece of work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def alternate(times, *works):
    """Return the median seconds of each work; they take turns, so a slow moment affects all."""
    found = [[clock(work) for work in works] for _ in range(times)]
    return [statistics.median(column) for column in zip(*found)]


# -- daemons -----------------------------------------------------------------------


@contextlib.contextmanager
def cluster(name):
    """Create a cluster without starting its master; at the end, end whatever runs."""
    master = fault_support.MasterProcess(FOLDER / name, nodes=(NODE,)).init()
    Path(master.paths.users_files[0]).write_text("admin secret write\n")
    try:
        yield master
    finally:
        master.end()


@contextlib.contextmanager
def front(master, *options):
    """Run ganeti-rapi for a running master; yield its URL and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(master.root / "rapi-console.log", "ab") as console:
        child = subprocess.Popen(
            master.command("rapi", "-f", "-b", "127.0.0.1", "-p", str(port), *options),
            env=master.environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
    try:
        deadline = time.monotonic() + fault_support.TIMEOUT
        while True:
            assert child.poll() is None and time.monotonic() < deadline, "no front"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield f"https://localhost:{port}", child
    finally:
        child.terminate()
        child.wait(fault_support.TIMEOUT)


def why_no_ganeti():
    """Return why no real Ganeti can be started on this machine; None if one can."""
    if os.geteuid():
        return "it needs root"
    return None if shutil.which("apt-get") else "it needs apt-get"


def real_cluster():
    """Run a real Ganeti 3.0 (``clusters.real_cluster``); yield the prefix of commands inside."""
    return clusters.real_cluster(str(FOLDER / "real"))


def resident(pid):
    """Return the resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def bare_python():
    """Return the resident memory in MiB of an interpreter that does nothing."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        time.sleep(0.5)
        return resident(child.pid)
    finally:
        child.communicate(b"\n")


def processor(pid):
    """Return the processor seconds of a process so far, which other load hardly affects."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def finish(client, job_id):
    """Wait until a job succeeds."""
    values = None
    while values is None or values[0] not in ("success", "error", "canceled"):
        values, _ = client.call(luxi.WaitForJobChange(job_id, ["status"], values, 10**9, 60.0))
    assert values[0] == "success", client.call(luxi.QueryJobs([job_id], ["opresult"]))


# -- rows, written while no master runs ----------------------------------------------


def add_jobs(master, count, build, *, ended=True, archived=False):
    """Store jobs as the master would; return their ids. ``build(number)`` makes one's opcodes."""
    store = Store.open(master.paths.master_db)
    try:
        ids = []
        for start in range(0, count, BATCH):
            numbers = range(start, min(count, start + BATCH))
            ids += store.write(
                lambda connection: _add_some(connection, numbers, build, ended)
            ).result()
        if archived:
            for start in range(0, count, BATCH):
                store.write(
                    lambda connection: rows.archive(connection, ids[start : start + BATCH])
                ).result()
        return ids
    finally:
        store.close()


def _add_some(connection, numbers, build, ended):
    now = Moment(time.time())
    ids = []
    for number in numbers:
        job = rows.insert(connection, build(number), RequestContext("admin"), now)
        ids.append(job.id)
        if ended:
            for index, op in enumerate(job.ops):
                op.move(JobStatus.WAITING)
                op.move(JobStatus.RUNNING)
                op.start_ts = op.exec_ts = job.start_ts = now.stamp
                job.end(index, JobStatus.SUCCESS, None, now)
            rows.add_log(connection, job.id, 0, LogEntry(1, now.stamp, "message", "This was done"))
            rows.save(connection, job, range(len(job.ops)))
    return ids


def tag_job(number):
    """Return one opcode that every master can load."""
    return [
        opcodes.OpTagsSet(
            kind="instance", name=instance_name(number % 100), tags=[f"bench{number}"]
        )
    ]


def held_by(holder):
    """Return a builder of jobs that cannot begin before the job ``holder`` has ended."""

    def job(number):
        tags = [f"bench{number}"]
        return [opcodes.OpTagsSet(kind="cluster", tags=tags, depends=[[holder, []]])]

    return job


#: An opcode that runs until it is canceled and holds no lock.
FOREVER = {"OP_ID": "OP_TEST_DELAY", "duration": 36000.0, "reason": []}


def instance_name(number):
    """Return the name of an instance of ``add_instances``."""
    return f"guest{number}.example.com"


def add_instances(master, count):
    """Write stopped instances without disks into the configuration."""
    store = Store.open(master.paths.master_db)
    try:
        config = Config(store, master.paths)
        for start in range(0, count, BATCH):
            change = config.begin()
            for number in range(start, min(count, start + BATCH)):
                change.save(
                    Instance(
                        uuid=str(uuid.uuid4()),
                        name=instance_name(number),
                        primary_node=config.master.uuid,
                        os="noop",
                        hypervisor="fake",
                        disk_template="diskless",
                    )
                )
            change.commit()
        config.ssconf.flush()
    finally:
        store.close()


def main(work):
    """Run a benchmark; ``work(full)`` returns the exit status if it skips itself."""
    arguments = fault_support.arguments(sys.modules["__main__"].__doc__.split("\n\n")[0])
    return work(arguments.full) or 0
