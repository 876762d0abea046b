"""OP_INSTANCE_REINSTALL."""

from __future__ import annotations

from typing import Any

from ganeti import errors, opcodes
from ganeti.cmdlib import installation
from ganeti.cmdlib.base import Run
from ganeti.cmdlib.common import (InstanceUnit, check_admin_state, check_node_online,
                                  is_running)
from ganeti.constants import AdminState, ErrorCode
from ganeti.objects import copy_of


class LUInstanceReinstall(InstanceUnit[opcodes.OpInstanceReinstall]):
    """Run the OS create script again on a stopped instance, perhaps another OS's.

    The new OS is recorded once its script has succeeded.
    """

    CANCELLABLE = True

    def check(self) -> None:
        """It is down, has disks, and its node has the OS."""
        super().check()
        name = self.instance.name
        check_node_online(self.primary, f"cannot reinstall '{name}' on it")
        if not self.instance.disks:
            raise errors.OpPrereqError(f"Instance '{name}' has no disks", ErrorCode.INVAL)
        check_admin_state(self.instance, {AdminState.DOWN}, "cannot reinstall it")
        if is_running(self.nodes, self.primary, self.instance):
            raise errors.OpPrereqError(f"Instance '{name}' is running, cannot reinstall it",
                                       ErrorCode.STATE)
        self._changed = copy_of(self.instance)
        self._changed.os = self.op.os_type or self.instance.os
        self._changed.osparams = installation.updated(self.instance.osparams, self.op.osparams)
        self._changed.osparams_private = installation.updated(
            self.instance.osparams_private, self.op.osparams_private)
        if not self._changed.os:
            raise errors.OpPrereqError(f"Instance '{name}' has no OS, and none is given",
                                       ErrorCode.INVAL)
        if self.op.os_type is not None:
            installation.check_allowed(self.config, self._changed.os)
        choice = installation.OsChoice(self._changed.os, self._changed.osparams,
                                       self._changed.osparams_private,
                                       self.op.osparams_secret or {})
        # What was once forced stays installable.
        force = self.op.force_variant or self.op.os_type is None
        installation.check(self.config, self.nodes, self.primary, choice, force_variant=force)

    def execute(self, run: Run) -> Any:
        """Null."""
        run.log(f"Running the create script of the OS '{self._changed.os}'")
        self.nodes.agent(self.primary).run_os_create(
            self._changed, reinstall=True, run=run, secrets=self.op.osparams_secret or {})
        if self._changed != self.instance:
            self.tx.save(self._changed)
        return None
