"""The steps of a logical unit, as the processor calls them."""

from typing import Any

from ganeti import errors, opcodes
from ganeti.cmdlib import base
from ganeti.cmdlib.base import InstanceUnit, JobContext, LogicalUnit, big_lock
from ganeti.locking import BIG_LOCK
from ganeti.mcpu import lu_for
from support.lu import MASTER, NODE2, WEB, LUTestCase


class FailingUnit(LogicalUnit[opcodes.OpTagsSet]):
    """A unit that registers undo steps, commits one change and fails before the next one."""

    def execute(self, run: JobContext) -> Any:
        for word in ("first", "second"):
            self.on_failure(lambda word=word: run.log(f"undo {word}"))
        self.tx.save(self._tagged("durable"))
        self.tx.commit()
        self.tx.save(self._tagged("lost"))
        raise errors.OpExecError("it failed")

    def _tagged(self, tag: str) -> Any:
        from ganeti.objects import copy_of

        cluster = copy_of(self.config.cluster)
        cluster.tags = [tag]
        return cluster


class TestLogicalUnit(LUTestCase):
    def unit(self) -> FailingUnit:
        return FailingUnit(opcodes.OpTagsSet(kind="cluster", tags=[]), self.environment, 1)

    def test_a_plain_unit_wants_no_locks_and_answers_nothing(self) -> None:
        unit = self.unit()
        unit.check()
        self.assertEqual((list(unit.locks()), unit.dry_run_result()), ([], None))
        self.assertIs(unit.effective_op(), unit.op)

    def test_undo_steps_run_last_first(self) -> None:
        unit, run = self.unit(), self.run_
        with self.assertRaises(errors.OpExecError):
            unit.execute(run)
        for step in unit.undo_steps():
            step()
        self.assertEqual(run.lines, ["undo second", "undo first"])

    def test_only_what_was_committed_on_the_way_is_kept(self) -> None:
        with self.assertRaises(errors.OpExecError):
            self.unit().execute(self.run_)
        self.assertEqual(self.config.cluster.tags, ["durable"])

    def test_an_instance_is_locked_by_its_full_name_if_it_has_one(self) -> None:
        self.create()
        unit = self.unit()
        self.assertEqual(unit.instance_lock("web").full_name, f"instance/{WEB}")
        self.assertEqual(unit.instance_lock("new").full_name, "instance/new")
        self.assertTrue(unit.instance_lock("new").exclusive)

    def test_an_instance_that_is_being_created_is_waited_for_by_any_name_of_it(self) -> None:
        op = self.create_op("C4.Example.com.")
        creation = lu_for(op.OP_ID)(op, self.environment, 9)
        own = [want for want in creation.locks() if want.exclusive]
        for name in ("c4.example.com", "C4.Example.com", "c4.example.com.", "c4", "C4.example"):
            self.assertEqual([self.unit().instance_lock(name)], own, name)
        self.assertNotIn(self.unit().instance_lock("c5"), own)
        self.config.release_reservations(9)
        self.assertNotIn(self.unit().instance_lock("c4"), own)

    def test_a_node_that_does_not_answer_is_an_error_not_a_stopped_guest(self) -> None:
        self.create(pnode=NODE2)
        op = opcodes.OpInstanceReboot(instance_name=WEB, reboot_type="hard")
        unit: InstanceUnit[opcodes.OpInstanceReboot] = InstanceUnit(op, self.environment, 1)
        unit.check()
        self.assertFalse(unit.is_running())
        with open(self.paths.simulated_failure(NODE2), "w", encoding="ascii"):
            pass
        with self.refused("environment_error"):
            unit.is_running()

    def test_the_big_lock_is_the_clusters_own(self) -> None:
        self.assertEqual(
            (big_lock().name, big_lock().exclusive, big_lock(True).exclusive),
            (BIG_LOCK, False, True),
        )


class TestChecks(LUTestCase):
    def test_a_wrong_uuid_of_a_right_name_is_refused(self) -> None:
        instance = self.create()
        base.check_uuid("Instance", instance, None)
        base.check_uuid("Instance", instance, instance.uuid)
        with self.refused("resource_not_unique"):
            base.check_uuid("Instance", instance, "another")

    def test_an_unusable_node_is_refused(self) -> None:
        base.check_node_usable(self.config.node(MASTER))
        for values in ({"offline": True}, {"drained": True}, {"vm_capable": False}):
            self.change(
                self.config.node(MASTER),
                **{"offline": False, "drained": False, "vm_capable": True, **values},
            )
            with self.refused("wrong_state"):
                base.check_node_usable(self.config.node(MASTER))

    def test_a_drained_node_still_starts_what_it_has(self) -> None:
        self.change(self.config.node(MASTER), drained=True)
        base.check_node_online(self.config.node(MASTER))
