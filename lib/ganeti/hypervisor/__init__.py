"""Hypervisor drivers by name, as in the option ``--enabled-hypervisors``."""

from ganeti.hypervisor.hv_base import Guest, Hypervisor
from ganeti.hypervisor.hv_fake import FakeHypervisor

DRIVERS: dict[str, type[Hypervisor]] = {FakeHypervisor.NAME: FakeHypervisor}

__all__ = ["DRIVERS", "FakeHypervisor", "Guest", "Hypervisor"]
