"""The cluster as a whole."""

from __future__ import annotations

from typing import Any

from ganeti import errors, ht, luxi, opcodes
from ganeti.http import errors as http_errors
from ganeti.rapi.baserlib import Resource, ResourceRequest, verb
from ganeti.rapi.submit import Submit

#: Versions as the page of the 2.0 API prints them.
_VERSIONS_2_0 = {"protocol_version": 20, "config_version": 2000000, "os_api_version": 10}


class R_2_info(Resource):
    """The cluster: name, versions, defaults."""

    URI = "/2/info"
    SINCE = "2.0.0"
    ALIASES = ("/info",)

    @verb("cluster.info")
    def GET(self) -> dict[str, Any]:
        """Everything about the cluster, in one object with the keys of 2.0 and of 3.x."""
        info = self.request.master.call(luxi.QueryClusterInfo())
        if not isinstance(info, dict):
            raise errors.RequestError(
                "the master's answer about the cluster is no object: " + ht.shorten(info)
            )
        return _as_2_0(_with_aliases(info)) if self.request.like_2_0 else _with_aliases(info)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _with_aliases(info: dict[str, Any]) -> dict[str, Any]:
    """Add the names that 2.0.6 and Ganeti's own front (2.10.3) have for the same things."""
    nic = _object(_object(info.get("nicparams")).get("default"))
    beparams = {
        name: _with_memory(_object(values))
        for name, values in _object(info.get("beparams")).items()
    }
    return {
        **info,
        "beparams": beparams,
        "vg_name": info.get("volume_group_name"),
        "drbd_helper": info.get("drbd_usermode_helper"),
        "default_bridge": nic.get("link"),
    }


def _with_memory(beparams: dict[str, Any]) -> dict[str, Any]:
    return {"memory": beparams["maxmem"], **beparams} if "maxmem" in beparams else beparams


def _as_2_0(info: dict[str, Any]) -> dict[str, Any]:
    """Values that changed their form since 2.0, as they were."""
    architecture = info.get("architecture")
    if isinstance(architecture, list):
        info["architecture"] = ["64bit" if word == "64bits" else word for word in architecture]
    return {**info, **_VERSIONS_2_0}


#: Names of programs that run as root on every node: not by way of the network (Ganeti 2.16).
FORBIDDEN = frozenset({"compression_tools"})


class SubmitClusterModify(Submit):
    """All parameters but those that the API must not set."""

    def __init__(self, *, access: str) -> None:
        super().__init__(opcodes.OpClusterSetParams, access=access)

    def body_fields(self, request: ResourceRequest) -> dict[str, Any]:
        fields = super().body_fields(request)
        forbidden = sorted(FORBIDDEN.intersection(fields))
        if forbidden:
            raise http_errors.Forbidden(
                f"The parameter {forbidden[0]} cannot be set by way of the API",
                explain="It names programs that run as root on every node",
            )
        return fields

    def body_reference(self) -> list[str]:
        """Without those."""
        first, fields = super().body_reference()
        return [
            first,
            "\n".join(
                line
                for line in fields.split("\n")
                if not any(f"``{name}``" in line for name in FORBIDDEN)
            ),
        ]


class R_2_cluster_modify(Resource):
    """Change the cluster's parameters."""

    URI = "/2/modify"
    SINCE = "2.4.0"
    PUT = SubmitClusterModify(access="cluster.modify")


class R_2_redist_config(Resource):
    """Send the cluster's files to all nodes again."""

    URI = "/2/redistribute-config"
    SINCE = "2.1.0"
    PUT = Submit(opcodes.OpClusterRedistConf, access="cluster.redistribute_config")
