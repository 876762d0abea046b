"""Disks: read from the request, located on nodes."""

from typing import Any

from ganeti import errors
from ganeti.cmdlib import disks
from ganeti.cmdlib.disks import DiskPlacement, DiskSpec, DrbdLink
from support.lu import MASTER, NODE2, NODE3, LUTestCase


class TestReadDisks(LUTestCase):
    def test_sizes_modes_and_names_are_read(self) -> None:
        self.assertEqual(
            disks.read(
                [
                    {"size": 1025},
                    {"size": "1G", "mode": "ro", "name": "root", "vg": "x"},
                    {"size": 0, "name": "none", "mode": None},
                ],
                "file",
            ),
            [DiskSpec(1028), DiskSpec(1024, "ro", "root", "x"), DiskSpec(0)],
        )

    def test_a_diskless_instance_has_no_disks(self) -> None:
        self.assertEqual(disks.read([{"size": 5}], "diskless"), [])

    def test_wrong_types_and_unknown_keys_are_refused(self) -> None:
        for disk in (
            {"size": -5},
            {"size": "x"},
            {"size": True},
            {"size": [1]},
            {"size": 5, "bogus": 1},
            {"size": 5, "name": 7},
        ):
            with self.subTest(disk), self.assertRaises(errors.TypeEnforcementError):
                disks.read([disk], "file")

    def test_values_that_do_not_fit_are_wrong_input(self) -> None:
        for given in (
            [{}],
            [{"size": None}],
            [{"size": 5, "adopt": "lv"}],
            [{"size": 5, "spindles": 1}],
            [{"size": 5, "provider": "x"}],
            [{"size": 5, "name": "a\0b"}],
            [{"size": 5, "name": "7"}],
            [{"size": 5}] * 17,
        ):
            with self.subTest(given), self.refused("wrong_input"):
                disks.read(given, "file")

    def test_names_are_unique(self) -> None:
        with self.refused("resource_not_unique"):
            disks.read([{"size": 5, "name": "a"}, {"size": 5, "name": "a"}], "file")

    def test_a_template_must_be_enabled_and_supported(self) -> None:
        disks.check_template(self.config.cluster, "drbd")
        with self.refused("wrong_input"):
            disks.check_template(self.config.cluster, "sharedfile")
        self.change(self.config.cluster, enabled_disk_templates=["rbd"])
        with self.refused("wrong_input"):
            disks.check_template(self.config.cluster, "rbd")

    def test_mirrored_disks_take_a_little_more(self) -> None:
        specs = [DiskSpec(1000), DiskSpec(24)]
        self.assertEqual(disks.space_needed(specs, "plain"), 1024)
        self.assertEqual(disks.space_needed(specs, "drbd"), 1024 + 256)


class TestLayOut(LUTestCase):
    def assign_locations(self, template: str, nodes: list[str], **values: Any) -> list[list[Any]]:
        placement = DiskPlacement(
            self.config.cluster, "web", "uuid", [*map(self.config.node, nodes)], **values
        )
        made = disks.assign_locations(
            [DiskSpec(5), DiskSpec(6)],
            template,
            placement,
            lambda: DrbdLink(11000, (1, 2), "secret"),
        )
        self.assertEqual([disk.size for disk in made], [5, 6])
        return [disk.logical_id for disk in made]

    def test_file_disks_are_below_the_storage_directory(self) -> None:
        base = self.paths.file_storage_dir
        for values, folder in (
            ({}, f"{base}/web/"),
            ({"file_storage_dir": "a/b"}, f"{base}/a/b/web/"),
        ):
            found = self.assign_locations("file", [MASTER], file_driver="blktap", **values)
            self.assertEqual([logical_id[0] for logical_id in found], ["blktap"] * 2)
            self.assertTrue(all(logical_id[1].startswith(folder) for logical_id in found), found)
            self.assertTrue(found[1][1].endswith(".file.disk1"))

    def test_storage_directories_may_be_whole_paths(self) -> None:
        base = self.paths.file_storage_dir
        for below, folder in ((base, base), (f"{base}/a/b", f"{base}/a/b"), (None, base)):
            self.assertEqual(disks.storage_dir(self.config.cluster, "file", below), folder)
        with self.assertRaises(errors.OpExecError):
            disks.storage_dir(self.config.cluster, "file", f"{base}/../x")

    def test_storage_directories_stay_inside(self) -> None:
        for below in ("/abs", "..", "a/../..", "a//b", "./a", "a\0b"):
            with self.subTest(below), self.assertRaises(errors.OpExecError):
                disks.storage_dir(self.config.cluster, "file", below)

    def test_a_cluster_without_storage_directory_is_refused(self) -> None:
        self.change(self.config.cluster, file_storage_dir="")
        with self.refused("wrong_state"):
            disks.storage_dir(self.config.cluster, "file", None)

    def test_volumes_are_in_the_volume_group_of_the_cluster(self) -> None:
        (group, volume), _ = self.assign_locations("plain", [NODE2])
        self.assertEqual((group, volume.endswith(".plain.disk0")), ("xenvg", True))
        first, _ = self.assign_locations("drbd", [NODE2, NODE3])
        nodes = [self.config.node(name).uuid for name in (NODE2, NODE3)]
        self.assertEqual(first, [*nodes, 11000, 1, 2, "secret"])

    def test_identifiers_follow_from_job_opcode_and_name(self) -> None:
        cluster = self.config.cluster
        self.assertEqual(
            disks.instance_uuid(cluster, 7, 2, "web"), disks.instance_uuid(cluster, 7, 2, "web")
        )
        different = {
            disks.instance_uuid(cluster, 7, 0, "web"),
            disks.instance_uuid(cluster, 7, 1, "web"),
            disks.instance_uuid(cluster, 8, 0, "web"),
            disks.instance_uuid(cluster, 7, 0, "db"),
            disks.part_uuid("u", "disk", 0),
            disks.part_uuid("u", "disk", 1),
            disks.part_uuid("u", "nic", 0),
        }
        self.assertEqual(len(different), 7)
