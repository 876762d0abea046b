"""Contradictions in the configuration."""

from typing import Any

from ganeti import objects, opcodes
from support.lu import MASTER, NODE2, NODE3, LUTestCase


class TestClusterVerifyConfig(LUTestCase):
    def setUp(self) -> None:
        super().setUp()
        # The ssconf files cannot be written from a configuration that contradicts itself.
        self.config.ssconf.flush()
        setattr(self.config.ssconf, "mark", lambda *kinds: None)

    def verify(self, **values: Any) -> bool:
        found = self.run_op(opcodes.OpClusterVerifyConfig(**values))
        self.assertIsInstance(found, bool)
        return bool(found)

    def finds(self, words: str) -> None:
        self.assertFalse(self.verify())
        self.log_has(words)

    def test_a_sound_cluster_has_no_errors(self) -> None:
        self.create(disk_template="file", disks=[{"size": 1024}])
        self.create(
            "mirrored", disk_template="drbd", disks=[{"size": 1024}] * 2, pnode=NODE2, snode=NODE3
        )
        self.assertTrue(self.verify(verbose=True))
        self.assertFalse([line for line in self.run_.lines if "ERROR" in line])

    def test_a_simulated_error_is_reported(self) -> None:
        self.assertFalse(self.verify(debug_simulate_errors=True, error_codes=True))
        self.log_has("ERROR:ECLUSTERCFG:cluster:")
        self.assertTrue(self.verify(debug_simulate_errors=True, ignore_errors=["ECLUSTERCFG"]))

    def test_a_node_in_no_group_is_found(self) -> None:
        self.change(self.config.node(NODE2), group="gone")
        self.finds("gone")

    def test_an_instance_on_no_node_is_found(self) -> None:
        self.change(self.create(), primary_node="gone")
        self.finds("gone")
        self.change(
            self.instance(),
            primary_node=self.config.master.uuid,
            secondary_nodes=[self.config.master.uuid],
        )
        self.finds("secondary")

    def test_a_missing_master_node_is_found(self) -> None:
        transaction = self.config.begin()
        transaction.remove(self.config.node(MASTER))
        transaction.commit()
        self.assertFalse(self.verify(error_codes=True))
        self.log_has("master node")

    def test_wrong_parameters_of_an_instance_are_found(self) -> None:
        for values, words in (
            ({"beparams": {"bogus": 1}}, "bogus"),
            ({"beparams": {"maxmem": 1}}, "maxmem"),
            ({"hvparams": {"bogus": 1}}, "bogus"),
            ({"hypervisor": "kvm"}, "kvm"),
            ({"disk_template": "rbd"}, "rbd"),
        ):
            with self.subTest(values):
                instance = self.create(f"{words}.example.com")
                self.change(instance, **values)
                self.finds(words)
                self.run_op(opcodes.OpInstanceRemove(instance_name=words, ignore_failures=True))
        self.assertTrue(self.verify())

    def test_wrong_parameters_of_the_cluster_are_found(self) -> None:
        for values, words in (
            ({"enabled_hypervisors": []}, "no hypervisor"),
            ({"enabled_hypervisors": ["lxc"]}, "lxc"),
            ({"enabled_hypervisors": ["fake"], "beparams": {"default": {"bogus": 1}}}, "bogus"),
        ):
            self.change(self.config.cluster, **values)
            self.finds(words)

    def test_addresses_and_ports_used_twice_are_found(self) -> None:
        first, second = self.create("a"), self.create("b")
        twin = objects.copy_of(second.nics[0])
        twin.mac = first.nics[0].mac
        self.change(second, nics=[twin], network_port=11000)
        self.finds(twin.mac)
        self.change(first, network_port=11000)
        self.finds("port 11000")

    def test_a_tag_that_breaks_the_rules_is_found(self) -> None:
        self.change(self.config.node(NODE2), tags=["a b"])
        self.finds("tag")
