"""The full description of instances."""

import os
from typing import Any

from ganeti import opcodes
from support.lu import NODE2, NODE3, WEB, LUTestCase

KEYS = """name config_state run_state pnode pnode_group_uuid pnode_group_name snodes
    snodes_group_uuids snodes_group_names os nics disk_template disks hypervisor network_port
    hv_instance hv_actual be_instance be_actual os_instance os_actual serial_no mtime ctime
    uuid""".split()


class TestInstanceQueryData(LUTestCase):
    def data(self, *names: str, **values: Any) -> Any:
        return self.run_op(opcodes.OpInstanceQueryData(instances=list(names), **values))

    def test_keys_and_values_are_those_of_ganeti(self) -> None:
        self.create(start=True, beparams={"memory": 256})
        found = self.data("web")[WEB]
        self.assertEqual(sorted(found), sorted(KEYS))
        self.assertEqual(
            (found["config_state"], found["run_state"], found["pnode_group_name"]),
            ("up", "up", "default"),
        )
        self.assertEqual(
            (found["be_instance"], found["be_actual"]["vcpus"]), ({"minmem": 256, "maxmem": 256}, 1)
        )
        self.assertEqual(found["hv_actual"], {})  # global parameters are left out

    def test_every_instance_is_listed_where_none_is_named(self) -> None:
        self.create("a")
        self.create("b")
        self.assertEqual(sorted(self.data()), ["a", "b"])

    def test_an_unknown_instance_is_refused(self) -> None:
        with self.refused("unknown_entity"):
            self.data("nope")

    def test_a_static_query_asks_no_node(self) -> None:
        self.create(start=True, disk_template="file", disks=[{"size": 1024}])
        found = self.data("web", static=True)[WEB]
        self.assertEqual((found["run_state"], found["disks"][0]["pstatus"]), (None, None))

    def test_a_dead_guest_is_down(self) -> None:
        self.create(start=True)
        self.kill_guest()
        found = self.data()[WEB]
        self.assertEqual((found["config_state"], found["run_state"]), ("up", "down"))

    def test_disks_and_nics_are_described(self) -> None:
        self.create(
            disk_template="file",
            disks=[{"size": 1024, "name": "root"}],
            nics=[{"mac": "aa:00:00:00:00:01", "ip": "192.0.2.1"}],
        )
        found = self.data()[WEB]
        (disk,) = found["disks"]
        path = disk["logical_id"][1]
        self.assertEqual(
            (disk["iv_name"], disk["size"], disk["name"], disk["pstatus"]),
            ("disk/0", 1024, "root", [path, None, None, None, None, False, 1]),
        )
        self.assertEqual(
            found["nics"][0][2:],
            ["192.0.2.1", "aa:00:00:00:00:01", "bridged", "br0", "", None, None],
        )
        os.unlink(path)
        self.assertIsNone(self.data()[WEB]["disks"][0]["pstatus"])

    def test_the_secret_of_a_mirrored_disk_is_hidden(self) -> None:
        self.create(disk_template="drbd", disks=[{"size": 1024}], pnode=NODE2, snode=NODE3)
        found = self.data()[WEB]
        (disk,) = found["disks"]
        self.assertEqual((found["snodes"], disk["logical_id"][5]), ([NODE3], None))
        self.assertEqual(
            (disk["drbd_info"]["primary_node"], disk["drbd_info"]["port"]), (NODE2, 11000)
        )
        self.assertTrue(disk["pstatus"] and disk["sstatus"])
        self.assertNotIn(self.instance().disks[0].logical_id[5], str(found))

    def test_an_instance_on_a_silent_node_has_no_live_data(self) -> None:
        self.create(pnode=NODE2, disk_template="plain", disks=[{"size": 1024}])
        with open(self.paths.simulated_failure(NODE2), "w", encoding="ascii"):
            pass
        self.assertIsNone(self.data()[WEB]["run_state"])
        self.log_has("does not answer")
        self.change(self.config.node(NODE2), offline=True)
        self.assertIsNone(self.data()[WEB]["run_state"])
        self.log_has("offline")

    def test_locks_are_taken_only_on_request(self) -> None:
        self.create()
        wants = [
            self.wants(opcodes.OpInstanceQueryData(instances=["web"], use_locking=locking))
            for locking in (False, True)
        ]
        self.assertEqual(
            [[want.full_name for want in some if not want.exclusive] for some in wants],
            [["cluster/BGL"], ["cluster/BGL", f"instance/{WEB}"]],
        )
