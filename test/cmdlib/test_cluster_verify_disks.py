"""The jobs that look for missing disks."""

from ganeti import objects, opcodes
from support.lu import LUTestCase


class TestClusterVerifyDisks(LUTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.change(objects.Group(uuid="group-2", name="other"))

    def test_verification_is_a_job_for_each_group(self) -> None:
        self.assertEqual(self.run_op(opcodes.OpClusterVerifyDisks(priority=10)), {})
        self.assertEqual(
            [[op.summary() for op in job] for job in self.follow_ups],
            [["GROUP_VERIFY_DISKS(default)"], ["GROUP_VERIFY_DISKS(other)"]],
        )
        self.assertEqual(self.follow_ups[0][0].priority, 10)

    def test_one_group_can_be_verified_alone(self) -> None:
        self.run_op(opcodes.OpClusterVerifyDisks(group_name="other"))
        self.assertEqual([job[0].group_name for job in self.follow_ups], ["other"])

    def test_an_unknown_group_is_refused(self) -> None:
        with self.refused("unknown_entity"):
            self.run_op(opcodes.OpClusterVerifyDisks(group_name="nope"))
