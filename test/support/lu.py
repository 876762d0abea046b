"""The base of tests of logical units: a cluster below a temporary root runs one opcode."""

import contextlib
import os
import shutil
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ganeti import errors, locking, objects, opcodes
from ganeti.cmdlib.base import Environment, big_lock
from ganeti.jqueue.live import Done, Failed, JobContext
from ganeti.mcpu import Processor, lu_for
from support.cluster import make_cluster, make_paths

#: The first node is the master and this machine, the others are simulated.
NODES = [f"node{number}.example.com:4G:100G:4" for number in (1, 2, 3)]
MASTER, NODE2, NODE3 = (f"node{number}.example.com" for number in (1, 2, 3))
WEB = "web.example.com"

#: The create script of the OS: it notes its run in a file, then runs the commands of ``os_does``.
SCRIPT = '#!/bin/sh\necho "$INSTANCE_NAME $INSTANCE_REINSTALL" >> runs\n. ./more\n'


class RecordedRun(JobContext):
    """The run of a job that records log lines and pauses, and waits for nothing."""

    def __init__(self, job_id: int) -> None:
        self.cancel = threading.Event()
        self.lines: list[str] = []
        self.pauses: list[float] = []
        self.on_pause: Callable[[], object] = lambda: None
        self.on_log: Callable[[str], object] = lambda text: None
        super().__init__(job_id, self.cancel, begin=lambda: None, log=self._keep)

    def _keep(self, text: str, kind: str) -> None:
        self.lines.append(text)
        self.on_log(text)

    def cancel_at(self, words: str) -> None:
        """Cancel the job when it logs these words."""
        self.on_log = lambda text: self.cancel.set() if words in text else None

    def pause(self, seconds: float) -> None:
        """Record the length of the pause (seconds) instead of waiting."""
        self.pauses.append(seconds)
        self.on_pause()


class LUTestCase(unittest.TestCase):
    """A cluster of three nodes: this machine is the master, the other two are simulated."""

    def setUp(self) -> None:
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.paths = make_paths(Path(self.root))
        self.store, self.config, nodes = make_cluster(
            Path(self.root), NODES, enabled_disk_templates=["diskless", "file", "plain", "drbd"]
        )
        self.addCleanup(self.store.close)
        self.addCleanup(self.config.ssconf.flush)
        self.os_dir = self.make_os("noop")
        self.environment = Environment(self.config, nodes)
        self.locks = locking.LockManager()
        self.job_id = 0
        self.run_ = RecordedRun(0)

    # -- the cluster and its OS definitions ------------------------------------

    def make_os(
        self,
        name: str,
        *,
        variants: str = "",
        parameters: str = "",
        verify: str = "",
        version: int = 20,
    ) -> str:
        """Write an OS definition whose create script runs what ``os_does`` adds."""
        folder = f"{self.paths.os_search_path[0]}/{name}"
        os.makedirs(folder)
        files = {
            "ganeti_api_version": f"{version}\n",
            "parameters.list": parameters,
            "variants.list": variants,
            "more": "",
            "create": SCRIPT,
        }
        files |= {script: "#!/bin/sh\n" for script in ("import", "export", "rename")}
        files["verify"] = f"#!/bin/sh\n{verify}\n"
        for file, text in files.items():
            with open(f"{folder}/{file}", "w", encoding="ascii") as handle:
                handle.write(text)
            os.chmod(f"{folder}/{file}", 0o755)
        return folder

    def os_does(self, commands: str, folder: str = "") -> None:
        """Set the commands of the create script that follow the record of its run."""
        with open(f"{folder or self.os_dir}/more", "w", encoding="ascii") as file:
            file.write(commands + "\n")

    def os_runs(self, folder: str = "") -> list[str]:
        """Return the instances that the create script ran for, with " 1" for a reinstallation."""
        with (
            contextlib.suppress(FileNotFoundError),
            open(f"{folder or self.os_dir}/runs", encoding="ascii") as file,
        ):
            return [line.strip() for line in file]
        return []

    def change(self, value: objects.ConfigObject, **values: Any) -> None:
        """Save a copy of an object with other values in some fields."""
        changed = objects.copy_of(value)
        for name, new in values.items():
            setattr(changed, name, new)
        transaction = self.config.begin()
        transaction.save(changed)
        transaction.commit()

    def create(self, name: str = WEB, **values: Any) -> objects.Instance:
        """Create an instance on the master, diskless and stopped by default."""
        self.run_op(self.create_op(name, **values))
        return self.config.instance(name)

    def create_op(self, name: str = WEB, **values: Any) -> opcodes.OpInstanceCreate:
        """Return the opcode of ``create``."""
        return opcodes.OpInstanceCreate(
            **{
                "instance_name": name,
                "mode": "create",
                "disks": [],
                "nics": [{}],
                "disk_template": "diskless",
                "os_type": "noop",
                "pnode": MASTER,
                "start": False,
                **values,
            }
        )

    def instance(self, name: str = WEB) -> objects.Instance:
        """Return the current instance with this name."""
        return self.config.instance(name)

    def guests(self, node: str = MASTER) -> list[str]:
        """Return the names of the guests that run on a node, sorted."""
        return sorted(self.environment.nodes.agent(self.config.node(node)).guests())

    def kill_guest(self, name: str = WEB) -> None:
        """Let a guest of the master end by itself."""
        os.unlink(self.paths.fake_guest(name))

    def files(self) -> list[str]:
        """Return the disk files of this machine, relative to the storage directory."""
        base = self.paths.file_storage_dir
        return sorted(
            os.path.relpath(f"{folder}/{name}", base)
            for folder, _, found in os.walk(base)
            for name in found
        )

    # -- running an opcode -----------------------------------------------------------

    def run_op(
        self, op: opcodes.OpCode, before: Callable[[RecordedRun], object] = lambda run: None
    ) -> Any:
        """Carry out an opcode as the master does; return its result or raise its error.

        ``self.run_`` is then the run, ``self.effective`` the opcode as the job would show it
        and ``self.follow_ups`` the jobs that it submits. ``before`` is called with the run.
        """
        self.job_id += 1
        run = self.run_ = RecordedRun(self.job_id)
        before(run)
        task = Processor(self.environment, self.locks).begin(op, self.job_id, 0)
        self.assertTrue(task.acquire(lambda: None), "had to wait for locks")
        try:
            outcome = task.execute(run)
            self.assertIsInstance(outcome, (Done, Failed))
            self.effective = outcome.op
            if isinstance(outcome, Failed):
                raise outcome.error
            return self._store(outcome)
        finally:
            task.release()

    def wants(self, op: opcodes.OpCode) -> list[locking.Want]:
        """Return the locks that an opcode would take now."""
        return [big_lock(), *lu_for(op.OP_ID)(op, self.environment, 0).locks()]

    def hold(self, op: opcodes.OpCode) -> None:
        """Let another job hold the locks that this opcode takes."""
        self.locks.request(f"job/{op.OP_ID}", self.wants(op), 0, lambda: None)

    def _store(self, done: Done) -> Any:
        self.follow_ups = [list(job) for job in done.jobs]
        if done.change is not None:
            try:
                self.store.write(done.change).result()
            except errors.Error:
                done.undo()
                raise
            done.after_commit()
        return done.value

    @contextlib.contextmanager
    def refused(self, code: str) -> Iterator[None]:
        """Check that the block raises ``OpPrereqError`` with this code."""
        with self.assertRaises(errors.OpPrereqError) as caught:
            yield
        self.assertEqual(caught.exception.code, code, str(caught.exception))

    def log_has(self, words: str) -> None:
        """Check that the last run logged a line with these words."""
        self.assertTrue(any(words in line for line in self.run_.lines), self.run_.lines)
