"""Cleanup after a master that died in the middle of a job."""

import os
import subprocess
import threading
from typing import Any

from ganeti import opcodes
from ganeti.cmdlib import disks, recovery
from ganeti.jqueue.live import Done
from ganeti.mcpu import Processor
from ganeti.utils import orphans
from support.daemon import HOST, TIMEOUT, DaemonCluster
from support.lu import MASTER, NODE2, NODE3, WEB, LUTestCase, RecordedRun

JOB = 77
DISK = {"disk_template": "file", "disks": [{"size": 1024}]}


class TestRecovery(LUTestCase):
    def die_creating(self, **values: Any) -> opcodes.OpCode:
        """Execute a creation without committing it, as a master that dies leaves it."""
        op = self.create_op(WEB, start=True, **{**DISK, **values})
        task = Processor(self.environment, self.locks).begin(op, JOB, 0)
        task.acquire(lambda: None)
        self.assertIsInstance(task.execute(RecordedRun(JOB)), Done)
        task.release()
        return op

    def clean_up(self, *ops: opcodes.OpCode, job_id: int = JOB) -> None:
        recovery.clean_up(self.environment, [(job_id, op) for op in ops])

    def left(self, node: str = MASTER) -> tuple[int, list[str]]:
        return len(self.files()), self.guests(node)

    def test_disks_and_guest_are_removed(self) -> None:
        op = self.die_creating()
        self.assertEqual(self.left(), (1, [WEB]))
        self.clean_up(op)
        self.assertEqual(self.left(), (0, []))
        self.assertEqual(os.listdir(self.paths.file_storage_dir), [])
        self.create(WEB, start=True, **DISK)

    def test_disks_are_removed_from_whichever_node_has_them(self) -> None:
        op = self.die_creating(pnode=NODE3, file_storage_dir="a/b")
        self.assertEqual(self.left(NODE3), (1, [WEB]))
        self.clean_up(op)
        self.assertEqual(self.left(NODE3), (0, []))

    def test_disks_are_removed_where_the_node_was_chosen(self) -> None:
        self.change(self.config.node(MASTER), drained=True)
        op = self.die_creating(pnode=None)
        self.assertEqual(self.left(NODE2), (1, [WEB]))
        self.clean_up(op)
        self.assertEqual(self.left(NODE2), (0, []))

    def test_both_halves_of_a_mirrored_disk_are_removed(self) -> None:
        def free() -> list[int]:
            return [
                self.environment.nodes.agent(self.config.node(node)).resources().disk_free
                for node in (NODE2, NODE3)
            ]

        before = free()
        op = self.die_creating(disk_template="drbd", pnode=NODE3, snode=NODE2)
        self.assertNotEqual(free(), before)
        self.clean_up(op)
        self.assertEqual(free(), before)

    def test_a_committed_instance_is_spared(self) -> None:
        op = self.create_op(start=True, **DISK)
        self.run_op(op)
        self.clean_up(op, job_id=self.job_id)
        self.assertEqual(self.left(), (1, [WEB]))

    def test_a_namesake_is_spared(self) -> None:
        self.create(start=True, **DISK)
        self.clean_up(self.create_op(start=True, **DISK))
        self.assertEqual(self.left(), (1, [WEB]))

    def test_a_creation_that_never_began_needs_no_cleaning(self) -> None:
        self.clean_up(
            self.create_op(disks=[{"bogus": 1}], disk_template="file"),
            self.create_op(dry_run=True),
            self.create_op(pnode="nope"),
            self.create_op(**DISK, file_storage_dir="../x"),
            self.create_op("nobody.invalid", name_check=True),
            opcodes.OpTestDelay(duration=1),
        )
        self.assertEqual(self.left(), (0, []))

    def test_a_node_that_fails_does_not_keep_the_master_from_starting(self) -> None:
        op = self.die_creating(pnode=NODE2)
        with open(self.paths.simulated_failure(NODE2), "w", encoding="ascii"):
            pass
        with self.assertLogs(level="WARNING"):
            self.clean_up(op)

    def script(self, uuid: str) -> subprocess.Popen[bytes]:
        """Start a process with the environment of an OS script of the instance."""
        child = subprocess.Popen(
            # /proc shows the environment only shortly after Popen has returned.
            ["/bin/sh", "-c", "echo; read forever"],
            env={"INSTANCE_UUID": uuid},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.addCleanup(child.__exit__, None, None, None)
        self.addCleanup(child.kill)
        assert child.stdout is not None and child.stdout.readline() == b"\n"
        return child

    def uuid_of(self, job_id: int) -> str:
        """Return the uuid of the instance that the only opcode of a job creates."""
        return disks.instance_uuid(self.config.cluster, job_id, 0, "new.example.com")

    def test_scripts_of_interrupted_jobs_are_ended_and_no_others(self) -> None:
        self.create(WEB)
        creating = self.script(self.uuid_of(JOB))
        installing = self.script(self.config.instance(WEB).uuid)
        other = self.script(self.uuid_of(JOB + 1))
        with self.assertLogs(level="INFO"):
            self.clean_up(
                self.create_op("new.example.com", **DISK),
                opcodes.OpInstanceReinstall(instance_name="web"),
                opcodes.OpInstanceReinstall(instance_name="nope"),
            )
        self.assertEqual(
            [creating.wait(TIMEOUT), installing.wait(TIMEOUT), other.poll()], [-15, -15, None]
        )


def test_a_script_does_not_outlive_its_job_for_long(tmp_path: Any) -> None:
    """Kill a master while a script runs, and assert that the next one has ended the script."""
    trace = tmp_path / "trace"
    with DaemonCluster(tmp_path, nodes=(HOST,)) as made:
        made.add_os("slow", create=f"echo $$ > {trace}; sleep 1000; echo late >> {trace}")
        made.start_master()
        made.start_front()
        job = made.submit(
            "POST",
            "/2/instances",
            {
                "__version__": 1,
                "mode": "create",
                "name": WEB,
                "os_type": "slow",
                "nics": [{}],
                **DISK,
            },
        )
        tick = threading.Event()
        for _ in range(int(TIMEOUT / 0.02)):
            if trace.exists() and trace.read_text():
                break
            tick.wait(0.02)
        made.kill("masterd")
        with open(f"/proc/{int(trace.read_text())}/environ", "rb") as file:
            (mark,) = [word for word in file.read().split(b"\0") if b"INSTANCE_UUID" in word]
        made.start_master()
        assert made.wait(job)["status"] == "error"
        assert orphans.end({mark.decode()}) == 0
