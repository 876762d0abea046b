"""The cluster as a whole."""

from __future__ import annotations

from typing import Any

from ganeti import errors, ht, luxi
from ganeti.rapi.baserlib import Resource, verb

#: Versions as the page of the 2.0 API prints them.
_VERSIONS_2_0 = {"protocol_version": 20, "config_version": 2000000, "os_api_version": 10}


class R_2_info(Resource):
    """The cluster: name, versions, defaults."""

    URI = "/2/info"
    ALIASES = ("/info",)

    @verb()
    def GET(self) -> dict[str, Any]:
        """Everything about the cluster, in one object with the keys of 2.0 and of 3.x."""
        info = self.exchange.master.call(luxi.QueryClusterInfo())
        if not isinstance(info, dict):
            raise errors.RequestError("the master's answer about the cluster is no object: "
                                      + ht.shorten(info))
        return _as_2_0(_with_aliases(info)) if self.exchange.like_2_0 else _with_aliases(info)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _with_aliases(info: dict[str, Any]) -> dict[str, Any]:
    """Add the names that 2.0.6 and Ganeti's own front (2.10.3) have for the same things."""
    nic = _object(_object(info.get("nicparams")).get("default"))
    beparams = {name: _with_memory(_object(values))
                for name, values in _object(info.get("beparams")).items()}
    return {**info, "beparams": beparams,
            "vg_name": info.get("volume_group_name"),
            "drbd_helper": info.get("drbd_usermode_helper"),
            "default_bridge": nic.get("link")}


def _with_memory(beparams: dict[str, Any]) -> dict[str, Any]:
    return {"memory": beparams["maxmem"], **beparams} if "maxmem" in beparams else beparams


def _as_2_0(info: dict[str, Any]) -> dict[str, Any]:
    """Values that changed their form since 2.0, as they were."""
    architecture = info.get("architecture")
    if isinstance(architecture, list):
        info["architecture"] = ["64bit" if word == "64bits" else word for word in architecture]
    return {**info, **_VERSIONS_2_0}
