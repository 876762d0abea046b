"""Shared parts of the cases: users, objects, and the creation of an instance."""

import itertools

USER, PASSWORD = "admin", "secret"
NODE, OS = "node1.example.com", "dummy+default"
#: The beginning of the names of instances that cases create, removed or not.
LEFTOVERS = ("ask", "other", "-")
#: Objects whose keys are names of objects, or data.
MAPS = (
    "os_hvp",
    "osparams",
    "diskparams",
    "custom_beparams",
    "custom_hvparams",
    "enabled_data_collectors",
    "data_collector_interval",
    "default_iallocator_params",
)
#: A job's input and result, which other cases cover.
OPAQUE = ("ops", "opresult", "ops[]")
NUMBER = itertools.count(1)
CREATE = {
    "__version__": 1,
    "mode": "create",
    "name": "ask.example.com",
    "os_type": OS,
    "disk_template": "diskless",
    "disks": [],
    "nics": [],
    "pnode": NODE,
    "name_check": False,
    "ip_check": False,
    "start": False,
    "ignore_ipolicy": True,
}


def create(**change):
    body = {**CREATE, **change}
    return "POST", "/2/instances", {key: value for key, value in body.items() if value != "absent"}


def other(**change):
    """Return a creation of something that no other case creates; it is removed in the end."""
    return create(name=f"other{next(NUMBER)}.example.com", **change)
