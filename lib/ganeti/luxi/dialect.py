"""The words of a real luxid that a front must recognize, and what they mean.

luxid 3.0 reports many conditions as a ``GenericError`` or in a form that names no class, so that
only the text tells them apart. Every such text is matched here and nowhere else. Where our own
master uses other words for the same condition, both are recognized.

The texts were recorded from luxid 3.0.2.
"""

from __future__ import annotations

import re

from ganeti import errors

# -- versions -----------------------------------------------------------------------

Version = tuple[int, int]

#: The first release whose LUXI is the one that we speak. Our own master reports a lower version.
OLDEST_VERSION: Version = (3, 0)

_VERSION_NUMBER = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:[.~\s-]|$)", re.ASCII)


def parse_version(software_version: object) -> Version | None:
    """Return (3, 0) for "3.0.2", and None for anything else than a real master's version."""
    found = _VERSION_NUMBER.match(software_version) if isinstance(software_version, str) else None
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return version if version >= OLDEST_VERSION else None


# -- submissions --------------------------------------------------------------------

_DRAINED = "Queue drained"
#: luxid parses the opcodes together with the call.
_BAD_SUBMISSION = "Failed to parse request: SubmitJob: "
_UNKNOWN_OPCODE = re.compile(r"Unknown opcode (OP_[A-Z0-9_]+)", re.ASCII)
_UNKNOWN_FIELDS = re.compile(r'Superfluous dictionary keys: \["([a-z0-9_", ]+)"\]', re.ASCII)
_NO_SUCH_DEPENDENCY = re.compile(
    r"relative dependency -\d+ of job \d+ leads to no job"  # our own master
    r"|Invalid value for job ID ' ?-?\d+'",
    re.ASCII,
)


def _is_generic(error: errors.Error) -> bool:
    """Return whether an error has no class that tells more than its words do."""
    return type(error) is errors.GenericError


def is_drained(error: errors.Error) -> bool:
    """Return whether a job was refused because the queue is drained."""
    return _is_generic(error) and str(error) == _DRAINED


def is_dependency_on_no_job(error: errors.Error) -> bool:
    """Return whether a job was refused for a relative dependency that leads below job 1."""
    return _is_generic(error) and _NO_SUCH_DEPENDENCY.fullmatch(str(error)) is not None


def unreadable_submission(error: errors.Error) -> str | None:
    """Return why luxid could not parse the opcodes of a job; None for any other error.

    This happens for what another version of Ganeti knows, and for words (hypervisors, disk
    templates ...) of which luxid has a list and we take any.
    """
    words = str(error)
    if not isinstance(error, errors.RequestError) or not words.startswith(_BAD_SUBMISSION):
        return None
    return words.removeprefix(_BAD_SUBMISSION)


def unknown_opcode(reason: str) -> str | None:
    """Return the OP_ID that luxid does not know, from ``unreadable_submission``'s reason."""
    found = _UNKNOWN_OPCODE.match(reason)
    return None if found is None else found[1]


def unknown_fields(reason: str) -> list[str]:
    """Return the fields that luxid does not know, from ``unreadable_submission``'s reason."""
    found = _UNKNOWN_FIELDS.match(reason)
    return [] if found is None else found[1].split('","')


# -- queries ------------------------------------------------------------------------

_PARSE_FAILURE = "Failed to parse request: "
#: A value of another type than the field that it is compared with.
_TYPE_MISMATCHES = ("Cannot convert value ", "parsing job id: ")


def filter_problem(error: errors.Error) -> str | None:
    """Return what is wrong with the filter of a Query; None for an error about anything else.

    The kind and the fields of that Query must be known to be right.
    """
    words = str(error)
    if isinstance(error, errors.RequestError):
        is_about_filter = words.startswith(_PARSE_FAILURE)
    else:
        is_about_filter = _is_generic(error) and words.startswith(_TYPE_MISMATCHES)
    # Where it came up in luxid's parser precedes the problem.
    return words.rpartition("error: ")[2] if is_about_filter else None


# -- job filters and jobs -----------------------------------------------------------


def is_missing_filter(error: errors.Error) -> bool:
    """Return whether a call failed because there is no job filter with its uuid; our own master
    uses these words, too."""
    return str(error).endswith("does not exist")


def is_no_change(result: object) -> bool:
    """Return whether the result of WaitForJobChange says that nothing has changed."""
    return result == "nochange"
