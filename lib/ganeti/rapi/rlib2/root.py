"""The versions and features of this API, and lists of its resources."""

from __future__ import annotations

from ganeti import constants
from ganeti.rapi.baserlib import Resource, children, verb


class R_root(Resource):
    """The root of the API.

    Example::

        GET /

        [{"name": "2", "uri": "/2"}, {"name": "version", "uri": "/version"}]
    """

    URI = "/"
    SINCE = "2.0.0"
    PUBLIC = True

    @verb("")
    def GET(self) -> list[dict[str, str]]:
        """List the resources at the root: an array of ``{"name", "uri"}``."""
        return children("/")


class R_version(Resource):
    """The version of this API, for clients that speak several.

    Example::

        GET /version

        2
    """

    URI = "/version"
    SINCE = "2.0.0"
    PUBLIC = True

    @verb("")
    def GET(self) -> int:
        """Answer the number 2, even while the master does not run."""
        return constants.RAPI_VERSION


class R_2(Resource):
    """The root of version 2.

    Example (of the answer only some entries are shown)::

        GET /2

        [{"name": "instances", "uri": "/2/instances"}, {"name": "jobs", "uri": "/2/jobs"}]
    """

    URI = "/2"
    SINCE = "2.0.0"
    PUBLIC = True

    @verb("")
    def GET(self) -> list[dict[str, str]]:
        """List the resources of version 2: an array of ``{"name", "uri"}``."""
        return children("/2")


class R_2_features(Resource):
    """The features that this API has beyond its first version.

    Example::

        GET /2/features

        ["instance-create-reqv1", "instance-reinstall-reqv1", "node-migrate-reqv1",
         "node-evac-res1"]
    """

    URI = "/2/features"
    SINCE = "2.1.3"
    PUBLIC = True

    @verb("")
    def GET(self) -> list[str]:
        """List the names of features, which Ganeti's clients have asked for since 2.1.3."""
        return list(constants.RAPI_FEATURES)
