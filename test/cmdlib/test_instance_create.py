"""Creating instances: the result of a success, and the cleanup after a failure."""

import os
from typing import Any

from ganeti import errors, objects, opcodes
from support.lu import MASTER, NODE2, NODE3, WEB, LUTestCase, RecordedRun

DISK = {"disk_template": "file", "disks": [{"size": 1024}]}


class TestCreated(LUTestCase):
    def test_a_created_instance_exists_and_runs(self) -> None:
        result = self.run_op(self.create_op(start=True, **DISK))
        self.assertEqual((result, self.guests()), ([MASTER], [WEB]))
        self.assertEqual(
            (self.instance().admin_state, self.instance().os, self.os_runs()), ("up", "noop", [WEB])
        )

    def test_disks_are_sparse_files_of_their_size(self) -> None:
        self.create(disk_template="file", disks=[{"size": "2G", "name": "root"}, {"size": 1024}])
        sizes = [os.stat(disk.logical_id[1]).st_size >> 20 for disk in self.instance().disks]
        self.assertEqual((sizes, self.instance().disks[0].name), ([2048, 1024], "root"))

    def test_an_instance_can_be_created_stopped(self) -> None:
        self.create()
        self.assertEqual((self.guests(), self.instance().admin_state), ([], "down"))

    def test_addresses_are_generated_and_unique(self) -> None:
        macs = [nic.mac for name in ("a", "b") for nic in self.create(name, nics=[{}, {}]).nics]
        self.assertEqual(len(set(macs)), 4)
        self.assertTrue(all(mac.startswith("aa:00:00:") for mac in macs), macs)

    def test_names_are_kept_in_lower_case_and_never_resolved(self) -> None:
        self.run_op(self.create_op("Web.Example.COM"))
        self.assertEqual(self.instance().name, WEB)

    def test_parameters_and_tags_are_stored(self) -> None:
        instance = self.create(beparams={"memory": "1G", "vcpus": 2}, tags=["b", "a", "b"])
        self.assertEqual(instance.beparams, {"minmem": 1024, "maxmem": 1024, "vcpus": 2})
        self.assertEqual(instance.tags, ["a", "b"])

    def test_sizes_are_multiples_of_4_mib(self) -> None:
        instance = self.create(
            beparams={"memory": 129}, disk_template="file", disks=[{"size": 1025}]
        )
        self.assertEqual((instance.beparams["maxmem"], instance.disks[0].size), (132, 1028))
        self.assertEqual(
            (self.effective.beparams["maxmem"], self.effective.disks), (132, [{"size": 1028}])
        )

    def test_a_dot_at_the_end_of_the_name_is_no_part_of_it(self) -> None:
        self.run_op(self.create_op("Web.example.com."))
        self.assertEqual(self.effective.instance_name, WEB)
        self.assertEqual(self.instance().name, WEB)

    def test_a_file_instance_without_disks_is_within_the_policy(self) -> None:
        self.assertEqual(self.create(disk_template="file", disks=[]).disks, [])

    def test_two_creations_of_one_job_make_two_instances(self) -> None:
        uuids = set()
        for index in range(3):
            self.job_id = 6  # run_op counts on to 7
            self.create(reason=[["gnt:opcode:instance_create", f"job=7;index={index}", 1]])
            uuids.add(self.instance().uuid)
            self.run_op(opcodes.OpInstanceRemove(instance_name="web"))
        self.assertEqual(len(uuids), 3)

    def test_defaults_can_be_left_out(self) -> None:
        instance = self.create(beparams={"memory": 128, "vcpus": 2}, identify_defaults=True)
        self.assertEqual(instance.beparams, {"vcpus": 2})

    def test_diskless_instances_have_nothing_to_install_on(self) -> None:
        self.create(disks=[{"size": 1024}])
        self.assertEqual((self.instance().disks, self.os_runs()), ([], []))
        self.log_has("diskless")

    def test_an_instance_without_installation_is_not_started(self) -> None:
        self.create(start=True, no_install=True, **DISK)
        self.assertEqual((self.os_runs(), self.guests()), ([], []))
        self.assertEqual(self.instance().admin_state, "down")

    def test_the_job_shows_what_was_chosen(self) -> None:
        self.create(disk_template=None, pnode=None, beparams={"memory": 512})
        view = self.effective.to_view()
        self.assertEqual(
            (view["disk_template"], view["pnode"], view["hypervisor"]), ("diskless", MASTER, "fake")
        )
        self.assertEqual(view["beparams"], {"minmem": 512, "maxmem": 512})

    def test_a_guest_that_belongs_to_nobody_is_not_adopted(self) -> None:
        self.create(start=True, **DISK)
        with open(self.paths.fake_guest(WEB), encoding="ascii") as file:
            guest = file.read()
        self.run_op(opcodes.OpInstanceRemove(instance_name=WEB))
        with open(self.paths.fake_guest(WEB), "w", encoding="ascii") as file:
            file.write(guest)
        with self.refused("wrong_state"):
            self.create(**DISK)
        self.assertEqual((self.config.instances(), self.files(), self.guests()), ([], [], [WEB]))

    def test_a_dry_run_creates_nothing(self) -> None:
        result = self.run_op(self.create_op(dry_run=True, start=True, **DISK))
        self.assertEqual(result, [self.config.master.uuid])
        self.assertEqual((self.config.instances(), self.files(), self.guests()), ([], [], []))

    def test_secret_parameters_reach_the_script_and_nothing_else(self) -> None:
        self.make_os("other", parameters="pw words\n")
        with open(f"{self.paths.os_search_path[0]}/other/more", "w", encoding="ascii") as file:
            file.write('echo "$OSP_PW" >> runs\n')
        self.create(os_type="other", osparams_secret={"pw": "hush"}, **DISK)
        with open(f"{self.paths.os_search_path[0]}/other/runs", encoding="ascii") as file:
            self.assertIn("hush", file.read())
        self.assertNotIn("hush", str(self.instance()))
        self.assertNotIn("hush", str(self.effective.to_view()))

    def test_an_os_checks_its_parameters_before_disks_are_made(self) -> None:
        self.make_os(
            "picky",
            parameters="size words\n",
            verify='[ "$OSP_SIZE" = 7 ] || { echo "size must be 7"; exit 3; }',
        )
        for values in (
            {"osparams": {"size": "8"}, **DISK},
            {"osparams_private": {"size": "8"}},
            {"osparams_secret": {"size": "8"}},
            {"no_install": True, **DISK},
            {"dry_run": True},
            {},
        ):
            with (
                self.subTest(values),
                self.assertRaisesRegex(errors.OpExecError, "(?s)3.*size must be 7"),
            ):
                self.create(os_type="picky", **values)
            self.assertFalse([line for line in self.run_.lines if "Creating" in line])
        self.assertEqual(self.create(os_type="picky", osparams={"size": 7}).osparams, {"size": "7"})

    def test_a_value_default_is_a_value_like_others(self) -> None:
        self.make_os("other", parameters="image words\n")
        self.assertEqual(
            self.create(os_type="other", osparams={"image": "default"}).osparams,
            {"image": "default"},
        )

    def test_parameters_that_exclude_each_other_are_refused(self) -> None:
        self.make_os("other", parameters="size words\n")
        with self.refused("wrong_input"):
            self.create(os_type="other", osparams={"size": "7"}, osparams_secret={"size": "7"})

    def test_scripts_see_the_times_and_the_debug_level(self) -> None:
        self.os_does("echo $DEBUG_LEVEL $INSTANCE_CTIME $INSTANCE_MTIME >> runs")
        made = self.create(debug_level=2, **DISK)
        level, ctime, mtime = self.os_runs()[-1].split()
        self.assertEqual((level, float(ctime), float(mtime) <= made.mtime), ("2", made.ctime, True))

    def test_the_longest_name_is_installed_and_started(self) -> None:
        name = ".".join(["a" * 63] * 3 + ["b" * 61])
        self.assertEqual(self.create(name, start=True, **DISK).name, name)
        self.assertEqual(self.guests(), [name])
        self.run_op(opcodes.OpInstanceRemove(instance_name=name, shutdown_timeout=0))
        self.assertEqual((self.files(), self.guests()), ([], []))


class TestPlaces(LUTestCase):
    def test_mirrored_disks_need_two_simulated_nodes(self) -> None:
        drbd = {"disk_template": "drbd", "disks": [{"size": 1024}]}
        result = self.run_op(self.create_op(pnode=NODE2, snode=NODE3, **drbd))
        self.assertEqual(result, [NODE2, NODE3])
        for values in (
            {"pnode": NODE2},
            {"pnode": NODE2, "snode": NODE2},
            {"pnode": MASTER, "snode": NODE2},
        ):
            with self.refused("wrong_input"):
                self.create("other", **drbd, **values)

    def test_volumes_are_kept_by_simulated_nodes_only(self) -> None:
        plain = {"disk_template": "plain", "disks": [{"size": 1024}]}
        self.assertEqual(self.create(pnode=NODE2, **plain).disk_template, "plain")
        with self.refused("wrong_input"):
            self.create("other", **plain)

    def test_a_secondary_node_without_use_is_ignored(self) -> None:
        self.create(snode=NODE2)
        self.assertEqual(self.instance().secondary_nodes, [])
        self.log_has("Ignoring the secondary node")

    def test_a_node_is_chosen_where_none_is_given(self) -> None:
        self.create("a", start=True, beparams={"memory": 1024})
        for allocator in (None, "hail", "."):
            op = self.create_op(pnode=None, iallocator=allocator, dry_run=True)
            self.run_op(op)
            self.assertEqual(self.effective.pnode, NODE2)

    def test_two_nodes_are_chosen_for_mirrored_disks(self) -> None:
        result = self.run_op(
            self.create_op(pnode=None, disk_template="drbd", disks=[{"size": 1024}])
        )
        self.assertEqual(result, [NODE2, NODE3])

    def test_a_node_that_takes_no_instances_is_refused(self) -> None:
        for values in ({"offline": True}, {"drained": True}, {"vm_capable": False}):
            self.change(self.config.node(NODE2), **values)
            with self.refused("wrong_state"):
                self.create(pnode=NODE2)
            self.change(self.config.node(NODE2), offline=False, drained=False, vm_capable=True)

    def test_one_creation_waits_for_no_other_on_its_node(self) -> None:
        self.hold(self.create_op("other.example.com"))
        self.create()

    def test_two_creations_of_one_name_wait_for_each_other(self) -> None:
        wants = {
            tuple(filter(lambda want: want.exclusive, self.wants(self.create_op(name))))
            for name in ("web", "WEB", "Web.")
        }
        self.assertEqual(len(wants), 1)


class TestRefused(LUTestCase):
    def refuse(self, code: str, **values: Any) -> None:
        """Assert that creating with these values fails with this code and leaves nothing behind."""
        name = values.pop("name", "new.example.com")
        with self.refused(code):
            self.create(name, **{"start": True, **DISK, **values})
        self.assertIsNone(self.config.find_instance("new.example.com"))
        self.assertEqual(self.files(), [])

    def test_an_existing_name_is_refused_in_any_case(self) -> None:
        self.create()
        self.refuse("already_exists", name=WEB)
        self.refuse("already_exists", name="WEB.example.com")

    def test_unknown_nodes_groups_and_networks_are_refused(self) -> None:
        self.refuse("unknown_entity", pnode="nope")
        self.refuse("unknown_entity", pnode=None, group_name="nope")
        self.refuse("unknown_entity", nics=[{"network": "nope"}])

    def test_an_instance_that_does_not_fit_is_refused(self) -> None:
        self.refuse("insufficient_resources", beparams={"memory": "5G"})
        self.refuse("insufficient_resources", disks=[{"size": "101G"}])
        self.refuse("insufficient_resources", beparams={"memory": "5G"}, pnode=None)

    def test_memory_is_needed_only_by_an_instance_that_starts(self) -> None:
        self.assertEqual(self.create(beparams={"memory": "5G"}).beparams["maxmem"], 5120)

    def test_contradicting_arguments_are_refused(self) -> None:
        for values in (
            {"iallocator": "hail"},
            {"ip_check": True},
            {"os_type": None},
            {"opportunistic_locking": True},
            {"mode": "import"},
            {"forthcoming": True},
            {"commit": True},
            {"instance_communication": True},
            {"disk_template": "rbd"},
            {"nics": [{"mode": "routed"}]},
            {"nics": [{"ip": ""}]},
            {"hvparams": {"migration_mode": "live"}},
            {"beparams": {"maxmem": 64}},
        ):
            with self.subTest(values):
                self.refuse("wrong_input", **values)

    def test_a_wrong_state_is_refused(self) -> None:
        self.refuse("wrong_state", hypervisor="kvm")
        self.change(self.config.cluster, blacklisted_os=["noop"])
        self.refuse("wrong_state")

    def test_an_instance_outside_the_policy_is_refused(self) -> None:
        for values in ({"nics": []}, {"disks": [{"size": 100}]}, {"beparams": {"vcpus": 9}}):
            self.refuse("wrong_input", **values)
        self.create(nics=[], ignore_ipolicy=True)
        self.log_has("policy")

    def test_an_address_in_use_is_refused(self) -> None:
        mac = self.create().nics[0].mac
        self.refuse("resource_not_unique", nics=[{"mac": mac.upper()}])
        self.refuse("resource_not_unique", nics=[{"mac": "aa:00:00:00:00:01"}] * 2)

    def test_errors_have_the_classes_of_ganeti(self) -> None:
        for error, values in (
            (errors.TypeEnforcementError, {"beparams": {"bogus": 1}}),
            (errors.TypeEnforcementError, {"disks": [{"bogus": 1}]}),
            (errors.TagError, {"tags": ["a b"]}),
            (errors.TagError, {"tags": [f"t{n}" for n in range(4097)]}),
            (errors.HypervisorError, {"hvparams": {"migration_mode": "x"}}),
            (errors.OpExecError, {"os_type": "nope"}),
            (errors.OpExecError, {"os_type": "noop+variant"}),
            (errors.OpExecError, {"osparams": {"x": "y"}}),
            (errors.OpExecError, {"file_storage_dir": "../x"}),
            (errors.OpExecError, {"iallocator": "nope", "pnode": None}),
        ):
            with self.subTest(values), self.assertRaises(error):
                self.create(**{**DISK, **values})
        self.assertEqual((self.config.instances(), self.files()), ([], []))

    def test_reservations_end_with_a_refusal(self) -> None:
        self.refuse("wrong_input", nics=[{"mac": "aa:00:00:00:00:01", "mode": "routed"}])
        self.create(nics=[{"mac": "aa:00:00:00:00:01"}])
        node = self.config.master.uuid
        self.assertEqual(self.config.reserved_resources(node), (0, 0))


class TestUndone(LUTestCase):
    def assert_nothing_is_left(self) -> None:
        self.assertIsNone(self.config.find_instance(WEB))
        self.assertEqual((self.files(), self.guests()), ([], []))

    def test_a_failed_script_leaves_nothing_behind(self) -> None:
        self.os_does("exit 1")
        with self.assertRaises(errors.OpExecError):
            self.create(start=True, **DISK)
        self.assert_nothing_is_left()

    def test_a_failed_disk_leaves_nothing_behind(self) -> None:
        with open(self.paths.file_storage_dir + "/" + WEB, "w", encoding="ascii"):
            pass
        with self.assertRaises(errors.BlockDeviceError):
            self.create(start=True, **DISK)
        os.unlink(self.paths.file_storage_dir + "/" + WEB)
        self.assert_nothing_is_left()

    def test_a_failed_start_leaves_nothing_behind(self) -> None:
        with self.assertRaises(errors.HypervisorError):
            self.run_op(self.create_op(start=True, **DISK), self.break_at_start)
        os.unlink(self.paths.fake_hypervisor_dir)
        self.assert_nothing_is_left()

    def break_at_start(self, run: RecordedRun) -> None:
        """Make the directory of guests unusable just before the guest is started."""

        def break_it(text: str) -> None:
            if "Starting" in text:
                os.rmdir(self.paths.fake_hypervisor_dir)
                os.symlink("/dev/null", self.paths.fake_hypervisor_dir)

        run.on_log = break_it

    def test_a_canceled_job_leaves_nothing_behind(self) -> None:
        self.os_does("exec sleep 60")
        for words in ("Creating", "create script"):
            with self.assertRaises(errors.JobCanceled):
                self.run_op(self.create_op(start=True, **DISK), lambda run: run.cancel_at(words))
            self.log_has(words)
            self.assert_nothing_is_left()

    def test_a_failed_commit_leaves_nothing_behind(self) -> None:
        op = self.create_op(start=True, **DISK)

        def somebody_takes_the_name(run: RecordedRun) -> None:
            run.on_log = lambda text: self.change(other) if "Starting" in text else None

        other = objects.Instance(
            uuid="other",
            name=WEB,
            primary_node=self.config.master.uuid,
            hypervisor="fake",
            disk_template="diskless",
        )
        with self.refused("already_exists"):
            self.run_op(op, somebody_takes_the_name)
        self.assertEqual((self.files(), self.instance().uuid), ([], "other"))

    def test_a_job_can_be_canceled_between_two_disks(self) -> None:
        with self.assertRaises(errors.JobCanceled):
            self.run_op(
                self.create_op(disk_template="file", disks=[{"size": 1024}] * 3),
                lambda run: run.cancel_at("Creating disk 1"),
            )
        self.assertFalse([line for line in self.run_.lines if "Creating disk 2" in line])
        self.assert_nothing_is_left()
