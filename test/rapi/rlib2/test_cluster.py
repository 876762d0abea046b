"""The cluster: keys of all versions, and its changes."""

from ganeti import luxi
from ganeti.opcodes import OpClusterRedistConf, OpClusterSetParams
from support.rapi import RapiTestCase

INFO = {
    "name": "cluster",
    "software_version": "3.0.2",
    "architecture": ["64bits", "x86_64"],
    "protocol_version": 3000000,
    "config_version": 3000000,
    "os_api_version": 20,
    "volume_group_name": "xenvg",
    "drbd_usermode_helper": "/bin/true",
    "nicparams": {"default": {"link": "br0", "mode": "bridged"}},
    "beparams": {"default": {"minmem": 128, "maxmem": 256, "vcpus": 1}},
}


class TestClusterInfo(RapiTestCase):
    def setUp(self):
        super().setUp()
        self.master.answers[luxi.QueryClusterInfo] = INFO

    def test_what_the_master_says_is_kept(self):
        info = self.get("/2/info")
        self.assertEqual(
            {key: info[key] for key in INFO if key != "beparams"},
            {key: INFO[key] for key in INFO if key != "beparams"},
        )

    def test_info_has_the_names_of_all_versions(self):
        info = self.get("/info")
        self.assertEqual(
            (
                info["vg_name"],
                info["drbd_helper"],
                info["default_bridge"],
                info["beparams"]["default"]["memory"],
            ),
            ("xenvg", "/bin/true", "br0", 256),
        )

    def test_info_of_a_master_that_knows_less_has_nulls(self):
        self.master.answers[luxi.QueryClusterInfo] = {"beparams": {"default": {"vcpus": 1}}}
        info = self.get("/2/info")
        self.assertIsNone(info["default_bridge"])
        self.assertEqual(info["beparams"], {"default": {"vcpus": 1}})

    def test_an_answer_that_is_no_object_is_502(self):
        self.master.answers[luxi.QueryClusterInfo] = [1]
        self.assert_refused(502, "GET", "/2/info")


class TestInfoAs20(TestClusterInfo):
    options = {"like_2_0": True}

    def test_what_the_master_says_is_kept(self):
        info = self.get("/2/info")
        self.assertEqual(
            (
                info["architecture"],
                info["config_version"],
                info["protocol_version"],
                info["os_api_version"],
            ),
            (["64bit", "x86_64"], 2000000, 20, 10),
        )


class TestClusterChange(RapiTestCase):
    def test_modify_submits_the_fields(self):
        self.put("/2/modify", {"candidate_pool_size": 3, "beparams": {"vcpus": 2}})
        self.assert_submitted(OpClusterSetParams(candidate_pool_size=3, beparams={"vcpus": 2}))

    def test_what_the_api_must_not_set_is_forbidden(self):
        self.assert_refused(
            403,
            "PUT",
            "/2/modify",
            {"compression_tools": ["gzip"]},
            text="compression_tools cannot be set",
        )

    def test_redistribute_config_takes_no_unknown_field(self):
        self.put("/2/redistribute-config")
        self.assert_submitted(OpClusterRedistConf())
        self.master.calls.clear()
        self.assert_refused(400, "PUT", "/2/redistribute-config", {"x": 1}, text="'x'")
