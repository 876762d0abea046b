"""OP_INSTANCE_REINSTALL: the create script run again, of the same or another OS."""

from __future__ import annotations

from collections.abc import Mapping

from ganeti import errors, opcodes
from ganeti.cmdlib import installation
from ganeti.cmdlib.base import InstanceUnit, JobContext, check_admin_state, check_node_online
from ganeti.constants import AdminState, ErrorCode
from ganeti.node import osdef
from ganeti.objects import copy_of


class LUInstanceReinstall(InstanceUnit[opcodes.OpInstanceReinstall]):
    """Run the create script of the same or another OS on a stopped instance.

    A new OS and new parameters are stored only after the script has succeeded.
    """

    CANCELLABLE = True

    def check(self) -> None:
        """Check that the instance is down and has disks, and that its nodes have the OS."""
        super().check()
        name = self.instance.name
        check_node_online(self.primary, f"cannot reinstall '{name}' on it")
        if not self.instance.disks:
            raise errors.OpPrereqError(f"Instance '{name}' has no disks", ErrorCode.INVAL)
        check_admin_state(self.instance, {AdminState.DOWN}, "cannot reinstall it")
        if self.is_running():
            raise errors.OpPrereqError(
                f"Instance '{name}' is running, cannot reinstall it", ErrorCode.STATE
            )
        self._plan()

    def _plan(self) -> None:
        """Work out the OS and the parameters to install, and check them on the nodes."""
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

        def after(
            old: Mapping[str, object], changes: Mapping[str, object] | None
        ) -> dict[str, object]:
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
        # An instance with an unlisted variant, which was once forced, stays installable.
        force = op.force_variant or op.os_type is None
        installation.check(self.config, self.nodes, self.members, self._choice, force_variant=force)

    def dry_run_result(self) -> None:
        """Have the OS check its parameters; the result is null."""
        installation.verify(self.nodes, self.members, self._choice, None)

    def execute(self, run: JobContext) -> None:
        """Run the create script and store what changed; the result is null."""
        self._log_dropped_parameters(run)
        installation.verify(self.nodes, self.members, self._choice, run)
        installation.install(
            self.nodes,
            self.primary,
            self._changed,
            self._choice,
            run,
            reinstall=True,
            debug_level=self.op.debug_level,
        )
        if self._changed != self.instance:
            self.tx.save(self._changed)

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
