"""The jobs that verify a cluster."""

from ganeti import objects, opcodes
from support.lu import LUTestCase


class TestClusterVerify(LUTestCase):
    def test_verification_is_a_job_for_the_configuration_and_one_a_group(self) -> None:
        self.change(objects.Group(uuid="group-2", name="other"))
        self.assertEqual(self.run_op(opcodes.OpClusterVerify()), {})
        self.assertEqual(
            [[op.summary() for op in job] for job in self.follow_ups],
            [
                ["CLUSTER_VERIFY_CONFIG"],
                ["CLUSTER_VERIFY_GROUP(default)"],
                ["CLUSTER_VERIFY_GROUP(other)"],
            ],
        )

    def test_groups_wait_for_the_configuration_however_it_ends(self) -> None:
        self.change(objects.Group(uuid="group-2", name="other"))
        self.run_op(opcodes.OpClusterVerify())
        self.assertEqual(
            [job[0].depends for job in self.follow_ups], [None, [[-1, []]], [[-2, []]]]
        )

    def test_one_group_can_be_verified_alone(self) -> None:
        self.run_op(
            opcodes.OpClusterVerify(
                group_name="nope",
                skip_checks=["nplusone_mem"],
                error_codes=True,
                ignore_errors=["ENODEHV"],
            )
        )
        ((op,),) = self.follow_ups
        self.assertEqual(
            (op.group_name, op.depends, op.skip_checks, op.error_codes, op.ignore_errors),
            ("nope", None, ["nplusone_mem"], True, ["ENODEHV"]),
        )

    def test_reason_and_priority_are_handed_on(self) -> None:
        reason = [["user", "nightly", 1]]
        self.run_op(opcodes.OpClusterVerify(reason=reason, priority=10))
        for job in self.follow_ups:
            self.assertEqual((job[0].reason, job[0].priority), (reason, 10))
