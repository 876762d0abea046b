"""Networks over the API."""

from ganeti import luxi
from ganeti.opcodes import (
    OpNetworkAdd,
    OpNetworkConnect,
    OpNetworkDisconnect,
    OpNetworkRemove,
    OpNetworkRename,
    OpNetworkSetParams,
    OpTagsSet,
)
from support.rapi import RapiTestCase

NET = "/2/networks/net"
NAME = {"network_name": "net"}
FOUND = {"name": "net", "network": "192.0.2.0/24", "free_count": 254, "gateway": None}


class TestNetworkRead(RapiTestCase):
    def test_networks_are_listed(self):
        self.objects(FOUND)
        self.assertEqual(self.get("/2/networks"), [{"id": "net", "name": "net", "uri": NET}])
        (network,) = self.get("/2/networks?bulk=1")
        self.assertEqual(network["free_count"], 254)

    def test_one_network_is_read_by_name(self):
        self.objects(FOUND)
        self.assertEqual(self.get(NET)["network"], "192.0.2.0/24")
        self.objects()
        self.assert_refused(404, "GET", NET)
        self.assert_refused(400, "GET", f"{NET}?lock=1", text="'lock'")


class TestNetworkChange(RapiTestCase):
    def test_a_network_is_added_or_its_fields_refused(self):
        self.post("/2/networks?dry-run=1", {"name": "net", "network": "192.0.2.0/24"})
        self.assert_submitted(OpNetworkAdd(**NAME, network="192.0.2.0/24", dry_run=True))
        self.master.calls.clear()
        self.assert_refused(
            400, "POST", "/2/networks", {"name": "net", "network": "x"}, text="'network'"
        )

    def test_a_network_is_removed(self):
        self.delete(NET, {"force": True})
        self.assert_submitted(OpNetworkRemove(**NAME, force=True))

    def test_modify_submits_the_fields(self):
        self.put(f"{NET}/modify", {"gateway": "192.0.2.1"})
        self.assert_submitted(OpNetworkSetParams(**NAME, gateway="192.0.2.1"))

    def test_connect_submits_group_mode_and_link(self):
        body = {"group_name": "g", "network_mode": "bridged", "network_link": "br0"}
        self.put(f"{NET}/connect", body)
        self.assert_submitted(OpNetworkConnect(**NAME, **body))

    def test_disconnect_submits_the_group(self):
        self.put(f"{NET}/disconnect", {"group_name": "g"})
        self.assert_submitted(OpNetworkDisconnect(**NAME, group_name="g"))

    def test_tags_of_a_network_are_submitted(self):
        self.put(f"{NET}/tags?tag=a")
        self.assert_submitted(OpTagsSet(kind="network", name="net", tags=["a"]))


class TestRename(RapiTestCase):
    def version(self, text):
        self.master.answers[luxi.QueryClusterInfo] = {"software_version": text}

    def test_rename_is_submitted_to_3_1(self):
        self.version("3.1.1")
        self.put(f"{NET}/rename", {"new_name": "n"})
        self.assert_submitted(OpNetworkRename(**NAME, new_name="n"))

    def test_rename_is_refused_on_3_0(self):
        self.version("3.0.2")
        self.assert_refused(
            501,
            "PUT",
            f"{NET}/rename",
            {"new_name": "n"},
            text="Ganeti 3.0.2 has no opcode OP_NETWORK_RENAME",
        )
