"""What is left of a creation when the master dies just before its commit."""

import os
from typing import Any

from testutils_lu import MASTER, NODE2, NODE3, WEB, LUTestCase, Run

from ganeti import opcodes
from ganeti.cmdlib import recovery
from ganeti.jqueue.task import Done
from ganeti.mcpu import Processor

JOB = 77
DISK = {"disk_template": "file", "disks": [{"size": 1024}]}


class TestRecovery(LUTestCase):
    def die_creating(self, **values: Any) -> opcodes.OpCode:
        """Everything is made and nothing is committed."""
        op = self.create_op(WEB, start=True, **{**DISK, **values})
        task = Processor(self.environment, self.locks).begin(op, JOB, 0)
        task.acquire(lambda: None)
        self.assertIsInstance(task.execute(Run(JOB)), Done)
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

    def test_wherever_it_was(self) -> None:
        op = self.die_creating(pnode=NODE3, file_storage_dir="a/b")
        self.assertEqual(self.left(NODE3), (1, [WEB]))
        self.clean_up(op)
        self.assertEqual(self.left(NODE3), (0, []))

    def test_where_the_place_was_chosen(self) -> None:
        self.change(self.config.node(MASTER), drained=True)
        op = self.die_creating(pnode=None)
        self.assertEqual(self.left(NODE2), (1, [WEB]))
        self.clean_up(op)
        self.assertEqual(self.left(NODE2), (0, []))

    def test_both_halves_of_mirrored_disks(self) -> None:
        def free() -> list[int]:
            return [self.environment.nodes.agent(self.config.node(node)).figures().disk_free
                    for node in (NODE2, NODE3)]
        before = free()
        op = self.die_creating(disk_template="drbd", pnode=NODE3, snode=NODE2)
        self.assertNotEqual(free(), before)
        self.clean_up(op)
        self.assertEqual(free(), before)

    def test_what_was_committed_is_spared(self) -> None:
        op = self.create_op(start=True, **DISK)
        self.run_op(op)
        self.clean_up(op, job_id=self.job_id)
        self.assertEqual(self.left(), (1, [WEB]))

    def test_a_namesake_is_spared(self) -> None:
        self.create(start=True, **DISK)
        self.clean_up(self.create_op(start=True, **DISK))
        self.assertEqual(self.left(), (1, [WEB]))

    def test_what_never_began_leaves_nothing_to_clean(self) -> None:
        self.clean_up(self.create_op(disks=[{"size": "x"}], disk_template="file"),
                      self.create_op(dry_run=True), self.create_op(pnode="nope"),
                      self.create_op(**DISK, file_storage_dir="../x"),
                      self.create_op("nobody.invalid", name_check=True),
                      opcodes.OpTestDelay(duration=1))
        self.assertEqual(self.left(), (0, []))

    def test_a_node_that_fails_does_not_keep_the_master_from_starting(self) -> None:
        op = self.die_creating(pnode=NODE2)
        with open(self.paths.simulated_failure(NODE2), "w", encoding="ascii"):
            pass
        with self.assertLogs(level="WARNING"):
            self.clean_up(op)
