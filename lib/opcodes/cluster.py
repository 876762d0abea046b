"""Opcodes about the cluster as a whole, and about its OS definitions."""

from __future__ import annotations

from typing import Any

from ganeti import ht
from ganeti.opcodes.base import OpCode, opcode


@opcode
class OpClusterVerify(OpCode):
    """Check the cluster: answers follow-up jobs, one for the configuration, one a group."""

    debug_simulate_errors: bool = False
    error_codes: bool = False
    skip_checks: list[str] = []
    ignore_errors: list[str] = []
    verbose: bool = False
    group_name: ht.NonEmptyString | None = None
    verify_clutter: bool = False


@opcode
class OpClusterVerifyConfig(OpCode):
    """Check that the configuration does not contradict itself."""

    debug_simulate_errors: bool = False
    error_codes: bool = False
    ignore_errors: list[str] = []
    verbose: bool = False


@opcode
class OpClusterVerifyGroup(OpCode):
    """Check the nodes and instances of one group against the configuration."""

    SUMMARY_FIELD = "group_name"

    group_name: ht.NonEmptyString
    debug_simulate_errors: bool = False
    error_codes: bool = False
    skip_checks: list[str] = []
    ignore_errors: list[str] = []
    verbose: bool = False
    verify_clutter: bool = False


@opcode
class OpOsDiagnose(OpCode):
    """List the OS definitions, a row each, with the columns asked for."""

    output_fields: list[ht.NonEmptyString]
    names: list[Any] = []
