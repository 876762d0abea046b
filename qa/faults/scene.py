"""What the fault suites share: a cluster in a temporary folder, its master as a child.

Every suite is a program of its own: ``qa/faults/NAME [--full]`` prints lines of
``name target measured`` and exits with 1 if a target was missed.
"""

import argparse
import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
HOST = "node1.example.com"
PATIENCE = 60.0

_folder = tempfile.mkdtemp(prefix="qa-faults-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
(Path(_folder) / "python").mkdir()
(Path(_folder) / "python/ganeti").symlink_to(TOP / "lib")
sys.path.insert(0, f"{_folder}/python")

from ganeti import luxi  # noqa: E402 (the package has just been put on the path)
from ganeti.pathutils import Paths  # noqa: E402


def arguments(description):
    """The command line of every suite."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--full", action="store_true", help="the form whose figures count")
    parser.add_argument("--seed", type=int, default=1, help="of what is random")
    return parser.parse_args()


class Report:
    """Lines of ``name target measured``; remembers whether one was missed."""

    def __init__(self):
        self.missed = 0

    def line(self, name, target, measured, good):
        """One figure."""
        self.missed += not good
        print(f"{name} | target {target} | measured {measured}"
              f"{'' if good else ' | MISSED'}", flush=True)

    def exit(self):
        sys.exit(1 if self.missed else 0)


class Master:
    """A cluster and its master daemon, which may be killed and started again."""

    def __init__(self, folder=None, nodes=(f"{HOST}:64G:1T:8",)):
        self.root = Path(folder or f"{_folder}/cluster") / HOST
        self.paths = Paths.from_environment({"GANETI_ROOTDIR": str(self.root)})
        self.environment = {**os.environ, "PYTHONPATH": f"{_folder}/python",
                            "GANETI_ROOTDIR": str(self.root), "GANETI_HOSTNAME": HOST}
        self.child = None
        self.nodes = nodes

    def init(self):
        """Create the cluster."""
        options = [word for node in self.nodes for word in ("--node", node)]
        subprocess.run(self.command("cluster", "init", *options, "cluster.example.com"),
                       env=self.environment, check=True, stdout=subprocess.DEVNULL)
        return self

    @staticmethod
    def command(module, *words):
        return [sys.executable, "-P", "-m", f"ganeti.server.{module}", *words]

    def add_os(self, name, create, parameters=()):
        """An OS definition whose create script is shell text."""
        folder = self.root / "srv/ganeti/os" / name
        folder.mkdir(parents=True, exist_ok=True)
        for script in ("create", "import", "export", "rename", "verify"):
            body = create if script == "create" else "exit 0"
            (folder / script).write_text(f"#!/bin/sh\n{body}\n")
            (folder / script).chmod(0o755)
        (folder / "ganeti_api_version").write_text("20\n")
        (folder / "parameters.list").write_text("".join(f"{word} x\n" for word in parameters))

    def start(self, prefix=(), wait=True):
        """Start the daemon; with ``wait``, until it answers."""
        console = open(self.root / "console.log", "ab")
        self.child = subprocess.Popen([*prefix, *self.command("masterd", "-f")], stdout=console,
                                      stderr=console, stdin=subprocess.DEVNULL,
                                      env=self.environment)
        console.close()
        deadline = time.monotonic() + PATIENCE
        while wait and not self.answers():
            assert self.child.poll() is None, self.console()
            assert time.monotonic() < deadline, "the master does not answer"
            time.sleep(0.01)
        return self

    def answers(self):
        """Is somebody listening?"""
        try:
            luxi.connect(self.paths.query_socket, 5.0).close()
            return True
        except luxi.client.errors.Error:
            return False

    def console(self):
        """The last words of the daemon."""
        return (self.root / "console.log").read_text(errors="replace")[-3000:]

    def end(self, number=signal.SIGTERM):
        """Send the daemon a signal and wait for its end."""
        child, self.child = self.child, None
        if child is not None and child.poll() is None:
            child.send_signal(number)
        return None if child is None else child.wait(PATIENCE)

    def kill(self):
        """SIGKILL."""
        return self.end(signal.SIGKILL)

    def client(self, timeout=PATIENCE):
        """A client of its socket."""
        return luxi.Client(self.paths.query_socket, call_timeout=timeout)

    def call(self, call):
        """One call."""
        client = self.client()
        try:
            return client.call(call)
        finally:
            client.close()

    def live_jobs(self):
        """Ids of jobs that have not ended."""
        live = ["|", *(["==", "status", word] for word in ("queued", "waiting", "running",
                                                           "canceling"))]
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


def wait_for_instances(master, names, os_name):
    """Create stopped instances with one small disk."""
    jobs = [[{"OP_ID": "OP_INSTANCE_CREATE", "instance_name": name, "mode": "create",
              "disks": [{"size": 1}], "nics": [], "disk_template": "file", "os_type": os_name,
              "start": False, "no_install": True, "ignore_ipolicy": True, "reason": []}]
            for name in names]
    ids = [number for _, number in master.call(luxi.SubmitManyJobs(jobs))]
    master.drain_to_the_end()
    rows = master.call(luxi.QueryJobs(ids, ["status", "opresult"]))
    assert all(status == "success" for status, _ in rows), rows
