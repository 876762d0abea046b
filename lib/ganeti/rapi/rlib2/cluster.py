"""The cluster: reading it, changing its parameters, redistributing its files."""

from __future__ import annotations

from ganeti import errors, ht, luxi, opcodes
from ganeti.http import errors as http_errors
from ganeti.rapi.baserlib import Resource, ResourceRequest, verb
from ganeti.rapi.submit import Submit
from ganeti.serializer import Json, JsonObject

#: Versions as the documentation of the 2.0 API prints them.
_VERSIONS_2_0 = {"protocol_version": 20, "config_version": 2000000, "os_api_version": 10}


class R_2_info(Resource):
    """The cluster: its name, versions and defaults.

    Example (of the answer only some keys are shown)::

        GET /2/info

        {"name": "cluster.example.com", "master": "node1.example.com",
         "software_version": "0.1.0", "default_hypervisor": "fake"}
    """

    URI = "/2/info"
    SINCE = "2.0.0"
    ALIASES = ("/info",)

    @verb("cluster.info")
    def GET(self) -> JsonObject:
        """Describe the cluster, in one object with the keys of both 2.0 and 3.x."""
        info = self.request.master.call(luxi.QueryClusterInfo())
        if not isinstance(info, dict):
            raise errors.RequestError(
                "the master's answer about the cluster is not an object: " + ht.shorten(info)
            )
        return _as_2_0(_with_aliases(info)) if self.request.like_2_0 else _with_aliases(info)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _with_aliases(info: JsonObject) -> JsonObject:
    """Return the cluster with the other names that 2.0.6 and Ganeti 2.10.3 have for its values."""
    nic = _object(_object(info.get("nicparams")).get("default"))
    beparams: JsonObject = {
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


def _with_memory(beparams: JsonObject) -> JsonObject:
    return {"memory": beparams["maxmem"], **beparams} if "maxmem" in beparams else beparams


def _as_2_0(info: JsonObject) -> JsonObject:
    """Return the cluster with the values that changed their form since 2.0 in their old form."""
    architecture = info.get("architecture")
    if isinstance(architecture, list):
        info["architecture"] = ["64bit" if word == "64bits" else word for word in architecture]
    return {**info, **_VERSIONS_2_0}


#: These name programs that run as root on every node, so the API must not set them (Ganeti 2.16).
FORBIDDEN = frozenset({"compression_tools"})


class SubmitClusterModify(Submit):
    """Submits all parameters except those that the API must not set."""

    def __init__(self, *, access: str) -> None:
        super().__init__(opcodes.OpClusterSetParams, access=access)

    def body_fields(self, request: ResourceRequest) -> JsonObject:
        fields = super().body_fields(request)
        forbidden = sorted(FORBIDDEN.intersection(fields))
        if forbidden:
            raise http_errors.Forbidden(
                f"The parameter {forbidden[0]} cannot be set through the API",
                explain="It names programs that run as root on every node",
            )
        return fields

    def body_reference(self) -> list[str]:
        """Describe the fields without the forbidden ones."""
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
    """Change the cluster's parameters.

    Example::

        PUT /2/modify
        {"candidate_pool_size": 5}

        17
    """

    URI = "/2/modify"
    SINCE = "2.4.0"
    PUT = SubmitClusterModify(access="cluster.modify")


class R_2_redist_config(Resource):
    """Send the cluster's configuration files to all nodes again.

    Example::

        PUT /2/redistribute-config

        17
    """

    URI = "/2/redistribute-config"
    SINCE = "2.1.0"
    PUT = Submit(opcodes.OpClusterRedistConf, access="cluster.redistribute_config")
