"""What this API is: versions, features, and lists of what there is."""

from __future__ import annotations

from ganeti import constants
from ganeti.rapi.baserlib import Resource, children, verb


class R_root(Resource):
    """The root of everything."""

    URI = "/"
    SINCE = "2.0.0"
    PUBLIC = True

    @verb("")
    def GET(self) -> list[dict[str, str]]:
        """List the resources at the root: a list of ``{"name", "uri"}``."""
        return children("/")


class R_version(Resource):
    """The version of this API, for clients that speak several."""

    URI = "/version"
    SINCE = "2.0.0"
    PUBLIC = True

    @verb("")
    def GET(self) -> int:
        """Answers the number 2, also while the master is away."""
        return constants.RAPI_VERSION


class R_2(Resource):
    """The root of version 2."""

    URI = "/2"
    SINCE = "2.0.0"
    PUBLIC = True

    @verb("")
    def GET(self) -> list[dict[str, str]]:
        """List the resources of version 2: a list of ``{"name", "uri"}``."""
        return children("/2")


class R_2_features(Resource):
    """What this API can do beyond its first version."""

    URI = "/2/features"
    SINCE = "2.1.3"
    PUBLIC = True

    @verb("")
    def GET(self) -> list[str]:
        """List the names of features, as Ganeti's clients know them since 2.1.3."""
        return list(constants.RAPI_FEATURES)
