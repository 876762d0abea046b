"""Creating an instance with either body."""

from ganeti.http.message import MAX_LARGE_BODY
from ganeti.opcodes import OpInstanceCreate, OpInstanceMultiAlloc
from ganeti.rapi.rlib2.instances import R_2_instances
from support.rapi import RapiTestCase

URI = "/2/instances"
NESTED = {
    "__version__": 1,
    "mode": "create",
    "name": "web.example.com",
    "os": "noop",
    "disk_template": "file",
    "disks": [{"size": "1G"}],
    "nics": [{}],
}
FLAT = {"name": "web.example.com", "os": "noop", "disk_template": "file", "disks": [512]}


def nested(**fields):
    """Return the opcode that NESTED is submitted as, with other fields."""
    return OpInstanceCreate(
        **{
            "mode": "create",
            "instance_name": "web.example.com",
            "os_type": "noop",
            "disk_template": "file",
            "disks": [{"size": 1024}],
            "nics": [{}],
            "name_check": False,
            "ip_check": False,
            **fields,
        }
    )


def flat(**fields):
    """Return the opcode that FLAT is submitted as, with other fields."""
    return nested(**{"disks": [{"size": 512}], "nics": [{"mac": "auto"}], **fields})


class TestNested(RapiTestCase):
    def test_a_nested_body_becomes_the_opcode(self):
        self.post(URI, NESTED)
        self.assert_submitted(nested())

    def test_the_opcodes_own_names_are_accepted(self):
        body = dict(NESTED, instance_name="web.example.com", os_type="noop")
        del body["name"], body["os"]
        self.post(URI, body)
        self.assert_submitted(nested())

    def test_null_is_not_given(self):
        self.post(URI, dict(NESTED, pnode=None, beparams=None, start=None))
        self.assert_submitted(nested())

    def test_what_is_given_is_sent(self):
        self.post(
            URI + "?dry-run=1",
            dict(
                NESTED,
                beparams={"memory": "128M"},
                start=False,
                name_check=True,
                depends=[[4, []]],
                priority=-10,
            ),
        )
        self.assert_submitted(
            nested(
                dry_run=True,
                beparams={"memory": "128M"},
                start=False,
                name_check=True,
                depends=[[4, []]],
                priority=-10,
            )
        )

    def test_sizes_are_sent_in_mib(self):
        for size, mib in ((1024.0, 1024), (1025, 1025), ("1.5g", 1536), ("0.2g", 205)):
            self.master.calls.clear()
            self.post(URI, dict(NESTED, disks=[{"size": size}]))
            self.assert_submitted(nested(disks=[{"size": mib}]))

    def test_a_name_may_end_with_a_dot(self):
        self.post(URI, dict(NESTED, name="web.example.com."))
        self.assert_submitted(nested(instance_name="web.example.com."))

    def test_rights_are_about_the_name_as_it_will_be_stored(self):
        verb = R_2_instances.POST
        for key in ("name", "instance_name"):
            self.assertEqual(verb.object_name({}, {key: "WEB.example.com."}), "web.example.com")
        self.assertIsNone(verb.object_name({}, {"name": 5}))

    def test_a_value_of_a_type_that_no_job_takes_is_refused(self):
        for key, value, text in (
            ("beparams", {"vcpus": "x"}, "'vcpus' (value 'x')"),
            ("beparams", {"memory": None}, "'memory' (value null)"),
            ("beparams", {"minmem": "default"}, "'minmem'"),
            ("hvparams", {"acpi": "maybe"}, "'acpi'"),
            ("hvparams", {"num_ttys": []}, "'num_ttys'"),
            ("nics", [{"vlan": 5}], "'nics'"),
            ("disks", [{"size": 1, "spindles": "x"}], "'disks'"),
        ):
            self.assert_refused(400, "POST", URI, dict(NESTED, **{key: value}), text=text)

    def test_an_invalid_size_is_refused(self):
        for size in ("big", -1, True, []):
            self.assert_refused(
                400, "POST", URI, dict(NESTED, disks=[{"size": size}]), text="'disks[0].size'"
            )

    def test_checking_the_address_needs_the_name_resolved(self):
        self.post(URI, dict(NESTED, ip_check=True))
        self.assert_submitted(nested(ip_check=True, name_check=True))

    def test_missing_keys_are_refused(self):
        for key in ("name", "mode", "disks", "nics"):
            body = {name: value for name, value in NESTED.items() if name != key}
            self.assert_refused(400, "POST", URI, body, text=key)

    def test_wrong_types_and_unknown_keys_are_refused(self):
        for key, value in (
            ("disks", "1G"),
            ("nics", [{"colour": "red"}]),
            ("start", "yes"),
            ("name", "no name"),
            ("mode", "clone"),
            ("disk_template", "tape"),
            ("hypervisor", "bochs"),
            ("bogus", 1),
        ):
            self.assert_refused(
                400, "POST", URI, dict(NESTED, **{key: value}), text="Invalid body parameters"
            )

    def test_both_names_of_a_key_are_refused(self):
        self.assert_refused(
            400, "POST", URI, dict(NESTED, instance_name="x"), text="'instance_name'"
        )

    def test_null_is_no_size(self):
        self.assert_refused(
            400, "POST", URI, dict(NESTED, disks=[{"size": None}]), text="disks[0].size"
        )

    def test_null_for_one_of_two_names_is_ignored(self):
        given = {key: value for key, value in NESTED.items() if key != "name"}
        for names in (
            {"name": NESTED["name"], "instance_name": None},
            {"name": None, "instance_name": NESTED["name"]},
        ):
            self.master.calls.clear()
            self.post(URI, {**given, **names})
            self.assert_submitted(nested(instance_name=NESTED["name"]))

    def test_dry_run_belongs_to_the_query(self):
        self.assert_refused(400, "POST", URI, dict(NESTED, dry_run=True), text="dry_run")


class TestVersion(RapiTestCase):
    def test_an_unknown_version_is_refused(self):
        for version in (2, "1", True, -1):
            self.assert_refused(
                400, "POST", URI, dict(NESTED, __version__=version), text="'__version__'"
            )

    def test_version_0_is_a_flat_body(self):
        self.post(URI, dict(FLAT, __version__=0))
        self.assert_submitted(flat())

    def test_a_body_that_is_no_object_is_refused(self):
        for body in (None, b"null", [1], "x"):
            self.assert_refused(400, "POST", URI, body, text="must be an object")


class TestFlat(RapiTestCase):
    def test_a_value_of_a_type_that_no_job_takes_is_refused(self):
        for key, value in (
            ("vcpus", "x"),
            ("auto_balance", "maybe"),
            ("acpi", "maybe"),
            ("kernel_path", 5),
            ("memory", True),
            ("disks", [None]),
        ):
            self.assert_refused(400, "POST", URI, dict(FLAT, **{key: value}), text=f"'{key}")

    def test_whole_numbers_may_have_a_point(self):
        self.post(URI, dict(FLAT, memory=256.0, vcpus=2.0))
        self.assert_submitted(flat(beparams={"memory": 256, "vcpus": 2.0}))

    def test_the_required_keys_are_enough(self):
        self.post(URI, FLAT)
        self.assert_submitted(flat())

    def test_parameters_at_the_top_are_sorted_into_beparams_and_hvparams(self):
        self.post(
            URI, dict(FLAT, memory="1G", vcpus=2, auto_balance=False, kernel_path="/k", acpi=True)
        )
        self.assert_submitted(
            flat(
                beparams={"memory": 1024, "vcpus": 2, "auto_balance": False},
                hvparams={"kernel_path": "/k", "acpi": True},
            )
        )

    def test_mac_ip_and_bridge_describe_the_one_nic(self):
        self.post(URI, dict(FLAT, mac="aa:00:00:00:00:01", ip="192.0.2.5", bridge="br1"))
        self.assert_submitted(
            flat(
                nics=[
                    {
                        "mac": "aa:00:00:00:00:01",
                        "ip": "192.0.2.5",
                        "mode": "bridged",
                        "link": "br1",
                    }
                ]
            )
        )

    def test_an_address_by_name_has_the_name_resolved(self):
        self.post(URI, dict(FLAT, ip="auto"))
        self.assert_submitted(flat(nics=[{"mac": "auto", "ip": "auto"}], name_check=True))

    def test_plain_fields_are_submitted_as_given(self):
        given = {
            "pnode": "node1",
            "snode": "node2",
            "hypervisor": "fake",
            "start": False,
            "file_driver": "loop",
            "file_storage_dir": "sub",
            "ip_check": False,
        }
        self.post(URI, dict(FLAT, **given))
        self.assert_submitted(flat(**given))

    def test_null_and_nothing_are_not_given(self):
        self.post(URI, dict(FLAT, pnode="", iallocator=None, memory=None))
        self.assert_submitted(flat())

    def test_sizes_with_units_are_sent_in_mib(self):
        self.post(URI, dict(FLAT, disks=["1G", 20]))
        self.assert_submitted(flat(disks=[{"size": 1024}, {"size": 20}]))

    def test_a_diskless_instance_has_no_disks(self):
        self.post(URI, dict(FLAT, disk_template="diskless", disks=[]))
        self.assert_submitted(flat(disk_template="diskless", disks=[]))

    def test_missing_keys_are_refused(self):
        for key in FLAT:
            body = {name: value for name, value in FLAT.items() if name != key}
            self.assert_refused(
                400, "POST", URI, body, text=f"Required parameter '{key}' is missing"
            )

    def test_invalid_sizes_are_refused(self):
        for disks in (20, [True], [-1], ["big"], [{"size": 1}]):
            self.assert_refused(400, "POST", URI, dict(FLAT, disks=disks), text="'disks")

    def test_nested_parameters_need_a_version(self):
        self.assert_refused(400, "POST", URI, dict(FLAT, beparams={"memory": 1}), text="'beparams'")

    def test_a_mac_that_is_no_text_is_refused(self):
        self.assert_refused(400, "POST", URI, dict(FLAT, mac=5), text="'mac'")


class TestMany(RapiTestCase):
    URI = "/2/instances-multi-alloc"

    def setUp(self):
        super().setUp()
        self.one = {key: value for key, value in NESTED.items() if key != "__version__"}

    def test_each_is_a_creation(self):
        self.post(
            f"{self.URI}?dry-run=1",
            {"instances": [self.one, {**self.one, "name": "db"}], "iallocator": "hail"},
        )
        self.assert_submitted(
            OpInstanceMultiAlloc(
                instances=[nested().to_wire(), nested(instance_name="db").to_wire()],
                iallocator="hail",
                dry_run=True,
            )
        )

    def test_the_wrong_instance_is_named(self):
        for instances, text in (
            (None, "'instances'"),
            ({}, "'instances'"),
            ([1], "'instances[0]' must be"),
            ([self.one, {**self.one, "name": "a b"}], "'instances[1]' cannot be created"),
            ([{**self.one, "disks": [{"size": "x"}]}], "'instances[0]' cannot be created"),
            ([{**self.one, "instance_name": "x"}], "'instances[0]' cannot be created"),
            ([NESTED], "__version__"),
        ):
            self.assert_refused(400, "POST", self.URI, {"instances": instances}, text=text)
        self.assert_refused(400, "POST", self.URI, text="'instances'")

    def test_a_body_of_many_may_be_large(self):
        self.assertEqual(self.route("POST", self.URI).max_body, MAX_LARGE_BODY)
