"""Wikimedia's reader of this API, unmodified, from PyPI."""

import os

from spicerack.ganeti import GanetiError, GanetiRAPI

rapi = GanetiRAPI(
    os.environ["RAPI_URL"],
    os.environ["RAPI_USER"],
    os.environ["RAPI_PASSWORD"],
    10,
    os.environ["CACERT"],
)
assert rapi.master == "node1.example.com", rapi.master
assert rapi.fetch_instance_mac("instance1.example.com").count(":") == 5
assert [group["name"] for group in rapi.groups()] == ["default"]
NODES = int(os.environ["RAPI_NODES"])
assert rapi.groups(bulk=True)[0]["node_cnt"] == NODES
assert len(rapi.nodes()) == len(rapi.nodes(bulk=True)) == NODES
try:
    rapi.fetch_instance("nosuch.example.com")
except GanetiError as err:
    assert "404" in str(err), err
else:
    raise AssertionError("an unknown instance was found")
print("spicerack reads")
