"""What the cases share: who asks, about what, and how an instance is made."""

import itertools

USER, PASSWORD = "admin", "secret"
NODE, OS = "node1.example.com", "dummy+default"
#: How the names of instances begin that cases make, whether or not one removes them.
LEFTOVERS = ("ask", "other", "-")
#: Objects whose keys are names of things, or data.
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
#: What a job was asked to do, and answered: as other cases have it.
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
    """A creation of something that nobody else creates; gone when all is over."""
    return create(name=f"other{next(NUMBER)}.example.com", **change)
