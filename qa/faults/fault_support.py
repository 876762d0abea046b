"""Shared code of the fault suites: a cluster in a temporary folder, with its master as a child.

Every suite is a program: ``qa/faults/NAME [--full]`` prints lines ``name | target | measured`` and
reports its progress on stderr. Its exit status is 1 if a target was missed, 3 if only a time was
missed, and 77 if this machine lacks what the suite needs.
"""

import argparse
import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
#: The folder of the package; as for the tests, another one can be named.
LIB = os.environ.get("GANETI_TEST_LIB") or str(TOP / "lib")
HOST = "node1.example.com"
TIMEOUT = 60.0
#: Exit codes of a suite that could not be run, and of one that missed nothing but
#: times: the machine may have been busy, and the runner tries once more.
SKIPPED, LATE = 77, 3


#: Daemons that were started; they end with this process.
children = []


def _make_folder():
    """Make a folder that lives as long as this process (a forked child leaves it alone)."""
    folder, owner = tempfile.mkdtemp(prefix="qa-faults-"), os.getpid()

    def remove():
        if os.getpid() == owner:
            for child in children:
                if child.poll() is None:
                    child.kill()
                    child.wait()
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


FOLDER = _make_folder()
sys.path.insert(0, LIB)
#: The environment of daemons: the package, and compiled files, which halve the time of a restart.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHONDONTWRITEBYTECODE", "GANETI_ROOTDIR", "GANETI_HOSTNAME")
}
ENVIRONMENT.update(PYTHONPATH=LIB, PYTHONPYCACHEPREFIX=f"{FOLDER}/cache")

from ganeti import luxi  # noqa: E402 (the package has just been put on the path)
from ganeti.pathutils import Paths  # noqa: E402


def arguments(description):
    """Return the parsed command line of a suite."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--full", action="store_true", help="the form whose figures count")
    parser.add_argument("--seed", type=int, default=1, help="of what is random")
    return parser.parse_args()


def progress(text):
    """Report the progress of a suite."""
    print(text, file=sys.stderr, flush=True)


def skip(name, reason):
    """End a suite that this machine cannot run."""
    print(f"{name}: skipped: {reason}")
    sys.exit(SKIPPED)


class TargetReport:
    """A writer of ``name | target | measured`` lines that remembers whether a target was missed."""

    def __init__(self):
        self.wrong = self.late = 0

    def line(self, name, target, measured, good, in_time=True):
        """Print one figure: whether the result is right, and whether it was fast enough."""
        self.wrong += not good
        self.late += not in_time
        print(
            f"{name} | target {target} | measured {measured}"
            f"{'' if good and in_time else ' | MISSED'}",
            flush=True,
        )

    def exit(self):
        if self.wrong:
            sys.exit(1)
        sys.exit(LATE if self.late else 0)


class Tracer:
    """An strace of a running daemon; ``words`` select what it traces or makes fail."""

    def __init__(self, pid, *words, log="/dev/null"):
        self.child = subprocess.Popen(
            ["strace", "-f", "-p", str(pid), "-o", log, *words], stderr=subprocess.PIPE, text=True
        )
        while "attached" not in (line := self.child.stderr.readline()):
            assert line, "strace did not attach"

    def end(self):
        """Detach; an strace whose process was killed does not always notice."""
        self.child.terminate()
        try:
            self.child.wait(0.5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stderr.close()


class MasterProcess:
    """A cluster and its master daemon, which may be killed and restarted."""

    def __init__(self, folder=None, nodes=(f"{HOST}:64G:1T:8",)):
        self.root = Path(folder or f"{FOLDER}/cluster") / HOST
        self.paths = Paths.from_environment({"GANETI_ROOTDIR": str(self.root)})
        self.environment = {
            **ENVIRONMENT,
            "GANETI_ROOTDIR": str(self.root),
            "GANETI_HOSTNAME": HOST,
        }
        self.child = None
        self.nodes = nodes

    def init(self):
        """Create the cluster."""
        options = [word for node in self.nodes for word in ("--node", node)]
        subprocess.run(
            self.command("cluster", "init", *options, "cluster.example.com"),
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return self

    @staticmethod
    def command(module, *words):
        return [sys.executable, "-P", "-m", f"ganeti.server.{module}", *words]

    def add_os(self, name, create, parameters=()):
        """Add an OS definition whose create script is shell text."""
        folder = self.root / "srv/ganeti/os" / name
        folder.mkdir(parents=True, exist_ok=True)
        for script in ("create", "import", "export", "rename", "verify"):
            body = create if script == "create" else "exit 0"
            (folder / script).write_text(f"#!/bin/sh\n{body}\n")
            (folder / script).chmod(0o755)
        (folder / "ganeti_api_version").write_text("20\n")
        (folder / "parameters.list").write_text("".join(f"{word} x\n" for word in parameters))

    def spawn(self, module, *words, prefix=()):
        """Start a daemon in the foreground, as a child."""
        with open(self.root / "console.log", "ab") as console:
            child = subprocess.Popen(
                [*prefix, *self.command(module, "-f", *words)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=self.environment,
            )
        children.append(child)
        return child

    def wait_until(self, child, connect):
        """Wait until a daemon can be reached; raise if it ends."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            with contextlib.suppress(OSError, luxi.client.errors.Error):
                connect()
                return
            assert child.poll() is None, self.console()
            assert time.monotonic() < deadline, "a daemon does not answer"
            time.sleep(0.01)

    def start(self, prefix=(), wait=True):
        """Start the daemon; with ``wait``, return when it answers."""
        self.child = self.spawn("masterd", prefix=prefix)
        if wait:
            self.wait_until(self.child, self.connect)
        return self

    def connect(self):
        """Connect to the daemon; raise ``Error`` if it does not answer.

        A connection alone proves nothing: a child of the killed daemon that is about to become an
        OS script may still hold the socket.
        """
        client = self.client(timeout=5.0)
        try:
            client.call(luxi.QueryConfigValues(["cluster_name"]))
        finally:
            client.close()

    def answers(self):
        """Return whether the daemon answers."""
        try:
            self.connect()
            return True
        except luxi.client.errors.Error:
            return False

    def console(self):
        """Return the daemon's last output."""
        return (self.root / "console.log").read_text(errors="replace")[-1000:]

    def end(self, number=signal.SIGTERM):
        """Send the daemon a signal and wait for its end."""
        child, self.child = self.child, None
        if child is not None and child.poll() is None:
            child.send_signal(number)
        return None if child is None else child.wait(TIMEOUT)

    def kill(self):
        """Kill the daemon with SIGKILL."""
        return self.end(signal.SIGKILL)

    def client(self, timeout=TIMEOUT):
        """Return a client of its socket."""
        return luxi.Client(self.paths.query_socket, call_timeout=timeout)

    def call(self, call):
        """Make one call and return its result."""
        client = self.client()
        try:
            return client.call(call)
        finally:
            client.close()

    def wait_for(self, job_id, *statuses, timeout=TIMEOUT):
        """Wait until a job has one of these statuses; return it, or None after a timeout."""
        deadline, status = time.monotonic() + timeout, None
        while status not in statuses and time.monotonic() < deadline:
            ((status,),) = self.call(luxi.QueryJobs([job_id], ["status"]))
            time.sleep(0.01)
        return status if status in statuses else None

    def live_jobs(self):
        """Return the ids of jobs that have not ended."""
        live = [
            "|",
            *(["==", "status", word] for word in ("queued", "waiting", "running", "canceling")),
        ]
        return [row[0][1] for row in self.call(luxi.Query("job", ["id"], live))["data"]]

    def drain_to_the_end(self):
        """Wait until no job is unfinished."""
        while self.live_jobs():
            time.sleep(0.05)

    def cancel_all(self):
        """End all jobs that have not ended."""
        while ids := self.live_jobs():
            for job_id in ids:
                self.call(luxi.CancelJob(job_id))
            time.sleep(0.01)


class FrontProcess:
    """The API in front of a master, over plain HTTP; may be killed and restarted."""

    def __init__(self, master):
        self.master = master
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        Path(master.paths.users_files[0]).parent.mkdir(parents=True, exist_ok=True)
        Path(master.paths.users_files[0]).write_text("admin secret write\n")
        self.child = None

    def start(self):
        """Start the daemon, and wait until it listens."""
        self.child = self.master.spawn("rapi", "-b", "127.0.0.1", "-p", str(self.port), "--no-ssl")
        self.master.wait_until(self.child, lambda: self.connect().close())
        return self

    def connect(self):
        """Return a connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT)

    def kill(self):
        """Send SIGKILL and wait for the end."""
        self.child.kill()
        self.child.wait(TIMEOUT)


def wait_for_instances(master, names, os_name):
    """Create stopped instances with one small disk, and wait for them."""
    jobs = [
        [
            {
                "OP_ID": "OP_INSTANCE_CREATE",
                "instance_name": name,
                "mode": "create",
                "disks": [{"size": 1}],
                "nics": [],
                "disk_template": "file",
                "os_type": os_name,
                "start": False,
                "no_install": True,
                "ignore_ipolicy": True,
                "reason": [],
            }
        ]
        for name in names
    ]
    ids = [number for _, number in master.call(luxi.SubmitManyJobs(jobs))]
    master.drain_to_the_end()
    rows = master.call(luxi.QueryJobs(ids, ["status", "opresult"]))
    assert all(status == "success" for status, _ in rows), rows
