"""Free memory and disk of nodes, and the choice of a node."""

from ganeti import errors, objects
from ganeti.cmdlib import allocation
from ganeti.cmdlib.allocation import Need
from ganeti.objects import Node
from support.lu import MASTER, NODE2, NODE3, LUTestCase


class TestAllocation(LUTestCase):
    def choose(
        self, memory: int = 512, disk: int = 0, count: int = 1, job_id: int = 1
    ) -> list[str]:
        found = allocation.choose(
            self.config,
            self.environment.nodes,
            job_id,
            Need(memory, disk, "it"),
            count,
            lambda node: True,
        )
        return [node.name for node in found]

    def reserve(self, node: str, memory: int, disk: int = 0, job_id: int = 9) -> None:
        allocation.reserve(
            self.config,
            self.environment.nodes,
            job_id,
            [self.config.node(node)],
            Need(memory, disk, "it"),
        )

    def test_the_first_node_by_name_is_chosen_among_equals(self) -> None:
        self.assertEqual(self.choose(), [MASTER])

    def test_the_node_with_most_free_memory_is_chosen(self) -> None:
        self.reserve(MASTER, 200)
        self.reserve(NODE2, 100)
        self.assertEqual(self.choose(), [NODE3])

    def test_a_node_without_disk_space_is_not_chosen(self) -> None:
        self.reserve(MASTER, 0, 100000)
        self.assertEqual(self.choose(disk=5000), [NODE2])

    def test_chosen_nodes_have_their_resources_reserved(self) -> None:
        self.assertEqual(
            [self.choose(3000, job_id=job) for job in (1, 2, 3)], [[MASTER], [NODE2], [NODE3]]
        )
        with self.refused("insufficient_resources"):
            self.choose(3000, job_id=4)
        self.config.release_reservations(2)
        self.assertEqual(self.choose(3000, job_id=4), [NODE2])

    def test_the_secondary_needs_disk_only(self) -> None:
        self.reserve(NODE2, 4000)
        self.assertEqual(self.choose(count=2, disk=10), [MASTER, NODE3])
        self.reserve(NODE3, 0, 102390)
        self.assertEqual(self.choose(count=2, disk=20), [MASTER, NODE2])

    def test_both_nodes_are_chosen_from_one_group(self) -> None:
        self.change(objects.Group(uuid="g2", name="other"))
        self.change(self.config.node(MASTER), group="g2")
        self.assertEqual(self.choose(count=2), [NODE2, NODE3])

    def test_a_last_resort_group_comes_last_and_an_unallocable_one_never(self) -> None:
        self.change(objects.Group(uuid="g2", name="other", alloc_policy="last_resort"))
        self.change(self.config.node(MASTER), group="g2")
        self.assertEqual(self.choose(), [NODE2])
        self.change(self.config.group("default"), alloc_policy="unallocable")
        self.assertEqual(self.choose(), [MASTER])

    def test_an_unusable_node_is_never_chosen(self) -> None:
        self.change(self.config.node(MASTER), drained=True)
        self.change(self.config.node(NODE2), offline=True)
        self.assertEqual(self.choose(), [NODE3])
        self.change(self.config.node(NODE3), vm_capable=False)
        with self.refused("insufficient_resources"):
            self.choose()

    def test_a_node_that_does_not_answer_is_not_chosen(self) -> None:
        with open(self.paths.simulated_failure(NODE2), "w", encoding="ascii"):
            pass
        with self.refused("environment_error"):
            self.reserve(NODE2, 1)
        self.assertEqual([self.choose(3000, job_id=job) for job in (1, 2)], [[MASTER], [NODE3]])

    def test_a_shortage_says_how_short(self) -> None:
        with self.assertRaisesRegex(errors.OpPrereqError, "5000 MiB of memory.*4096 MiB free"):
            self.reserve(NODE2, 5000)

    def test_made_disks_of_a_simulated_node_are_no_longer_reserved(self) -> None:
        nodes: list[Node] = [self.config.node(NODE2), self.config.node(MASTER)]
        need = Need(0, 1000, "it")
        allocation.reserve(self.config, self.environment.nodes, 7, nodes, need)
        allocation.release_disk(self.config, 7, nodes, need)
        self.assertEqual(
            [self.config.reserved_resources(node.uuid) for node in nodes], [(0, 0), (0, 1000)]
        )
