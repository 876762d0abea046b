"""OP_INSTANCE_REINSTALL."""

from __future__ import annotations

from typing import Any

from ganeti import errors, opcodes
from ganeti.cmdlib import installation
from ganeti.cmdlib.base import InstanceUnit, JobContext, check_admin_state, check_node_online
from ganeti.cmdlib.common import is_running
from ganeti.constants import AdminState, ErrorCode
from ganeti.node import osdef
from ganeti.objects import Node, copy_of


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
            raise errors.OpPrereqError(
                f"Instance '{name}' is running, cannot reinstall it", ErrorCode.STATE
            )
        self._plan()

    def _plan(self) -> None:
        """What the instance will have been installed with."""
        op, name = self.op, self.instance.name
        os_name = op.os_type or self.instance.os
        if not os_name:
            raise errors.OpPrereqError(
                f"Instance '{name}' has no OS, and none is given", ErrorCode.INVAL
            )
        if op.os_type is not None:
            installation.check_allowed(self.config, os_name)
        self._changed = copy_of(self.instance)
        self._changed.os = os_name
        definition = installation.definition_on(self.nodes, self.primary, os_name)
        given = [
            name
            for kind in (op.osparams, op.osparams_private, op.osparams_secret)
            for name in kind or ()
        ]
        same_os = definition.name == osdef.split_name(self.instance.os)[0]

        def after(old: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
            return installation.updated(
                installation.kept_parameters(definition, old, given, same_os=same_os), changes
            )

        self._changed.osparams = after(self.instance.osparams, op.osparams)
        self._changed.osparams_private = after(self.instance.osparams_private, op.osparams_private)
        self._choice = installation.OsChoice(
            os_name,
            self._changed.osparams,
            self._changed.osparams_private,
            installation.as_text(op.osparams_secret),
        )
        # What was once forced stays installable.
        force = op.force_variant or op.os_type is None
        installation.check(
            self.config, self.nodes, self._members, self._choice, force_variant=force
        )

    @property
    def _members(self) -> list[Node]:
        """The instance's nodes, the primary first."""
        return [self.primary, *map(self.config.node_by_uuid, self.instance.secondary_nodes)]

    def dry_run_result(self) -> Any:
        """Null, once the OS has accepted its parameters."""
        installation.verify(self.nodes, self._members, self._choice, None)

    def execute(self, run: JobContext) -> Any:
        """Null."""
        self._log_dropped_parameters(run)
        installation.verify(self.nodes, self._members, self._choice, run)
        run.log(f"Running the create script of the OS '{self._changed.os}'")
        self.nodes.agent(self.primary).run_os_create(
            self._changed,
            reinstall=True,
            run=run,
            secrets=self._choice.secret,
            debug_level=self.op.debug_level or 0,
        )
        if self._changed != self.instance:
            self.tx.save(self._changed)
        return None

    def _log_dropped_parameters(self, run: JobContext) -> None:
        before, after = (
            {*values.osparams, *values.osparams_private}
            for values in (self.instance, self._changed)
        )
        asked = {*(self.op.osparams or {}), *(self.op.osparams_private or {})}
        dropped = sorted(before - after - asked)
        if dropped:
            run.log(
                f"Dropping the stored parameters that the OS '{self._changed.os}' does not "
                "have: " + ", ".join(dropped)
            )
