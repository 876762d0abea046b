"""Letting time pass."""

from pathlib import Path

from ganeti import errors, opcodes
from support.lu import MASTER, NODE2, LUTestCase, RecordedRun


class TestTestDelay(LUTestCase):
    def test_a_delay_is_one_pause(self) -> None:
        self.assertIsNone(self.run_op(opcodes.OpTestDelay(duration=1.5)))
        self.assertEqual(self.run_.pauses, [1.5])

    def test_repeat_counts_the_pauses(self) -> None:
        self.run_op(opcodes.OpTestDelay(duration=1, repeat=3))
        self.assertEqual(self.run_.pauses, [1, 1, 1])
        self.assertEqual(len(self.run_.lines), 3)

    def test_a_duration_of_zero_is_refused(self) -> None:
        with self.refused("wrong_input"):
            self.run_op(opcodes.OpTestDelay(duration=0))

    def test_an_unknown_or_offline_node_is_refused(self) -> None:
        with self.refused("unknown_entity"):
            self.run_op(opcodes.OpTestDelay(duration=1, on_nodes=["nope"]))
        self.change(self.config.node(NODE2), offline=True)
        with self.refused("wrong_state"):
            self.run_op(opcodes.OpTestDelay(duration=1, on_nodes=["node2"]))

    def test_a_node_that_does_not_answer_is_an_error(self) -> None:
        Path(self.paths.simulated_failure(NODE2)).touch()
        with self.assertRaisesRegex(errors.OpExecError, NODE2):
            self.run_op(opcodes.OpTestDelay(duration=1, on_nodes=["node2"]))
        self.assertEqual(self.run_.pauses, [])

    def test_the_job_shows_the_uuids_of_its_nodes(self) -> None:
        self.run_op(opcodes.OpTestDelay(duration=1, on_nodes=["node2"]))
        self.assertEqual(self.effective.on_node_uuids, [self.config.node(NODE2).uuid])

    def test_nodes_are_locked_when_locks_are_wanted(self) -> None:
        def locked(**values: object) -> list[str]:
            op = opcodes.OpTestDelay(duration=1, on_nodes=["node2"], **values)
            return [want.full_name for want in self.wants(op) if want.exclusive]

        self.assertEqual(locked(), [])
        self.assertEqual(locked(no_locks=False), [f"node/{NODE2}", f"node/{MASTER}"])
        self.assertEqual(locked(no_locks=False, on_master=False), [f"node/{NODE2}"])

    def test_canceling_ends_the_delay_between_two_pauses(self) -> None:
        def cancel_in_the_pause(run: RecordedRun) -> None:
            run.on_pause = run.cancel.set

        with self.assertRaises(errors.JobCanceled):
            self.run_op(opcodes.OpTestDelay(duration=1, repeat=9), cancel_in_the_pause)
        self.assertEqual(self.run_.pauses, [1])
