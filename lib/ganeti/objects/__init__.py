"""The cluster's objects as typed dataclasses, with their stored form.

base      the fields that every object has, and its form in the database
cluster   Cluster, Group, Node; references between objects
instance  Instance with its Disk and Nic

Every object has a ``uuid``, a ``serial_no`` that grows with each change, and
``ctime`` and ``mtime`` in seconds since the epoch. All readers share the objects in
the configuration, so never change one in place: change a ``copy_of`` it and save the
copy in a transaction.
"""

from ganeti.objects.base import ConfigObject, Part, copy_of
from ganeti.objects.cluster import Cluster, Group, Node, contradictions
from ganeti.objects.instance import Disk, Instance, Nic

__all__ = [
    "Cluster",
    "ConfigObject",
    "Disk",
    "Group",
    "Instance",
    "Nic",
    "Node",
    "Part",
    "contradictions",
    "copy_of",
]
