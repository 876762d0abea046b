"""The line that an access log has for each answer.

As text it is Ganeti's own (``lib/http/server.py`` of 3.0), so that what reads those
logs reads ours; as fields it has all that is known. Either escapes what a client
sent: ``utils.log`` makes one line of it, whatever it holds.
"""

from __future__ import annotations

from typing import Any

from ganeti.http.server import AccessRecord

#: Characters of a target that are written. A stranger can send 8 KiB of them thousands of times
#: a second; those of the API, lists of tags and jobs aside, are far shorter.
MAX_TARGET = 512


def cut(target: str) -> str:
    """Return a target as it is logged: a long one ends in ``...[+N]``, N characters more."""
    more = len(target) - MAX_TARGET
    return target if more <= 0 else f"{target[:MAX_TARGET]}...[+{more}]"


def line(access: AccessRecord) -> str:
    """``CLIENT:PORT METHOD TARGET HTTP/VERSION STATUS``; a dash for what was no request.

    A list that did not come to its end is marked.
    """
    request = access.request
    if request is None:
        asked = "-"
    else:
        asked = f"{request.method} {cut(request.target)} HTTP/{request.version}"
    part = "" if access.response.whole else " (a part)"
    return f"{access.peer}:{access.port} {asked} {access.response.status}{part}"


def fields(access: AccessRecord) -> dict[str, Any]:
    """Everything, null for what is not known. ``bytes``: of the body, ``whole`` unless a list
    broke off; ``seconds`` from the request's last byte to its answer; ``id`` is of this answer
    alone, while ``request_id`` is the client's, if it sent one, and may come again."""
    request, response = access.request, access.response
    return {
        "client": access.peer,
        "port": access.port,
        "user": response.user or None,
        "method": None if request is None else request.method,
        "target": None if request is None else cut(request.target),
        "status": response.status,
        "bytes": 0 if request is not None and request.method == "HEAD" else response.size,
        "whole": response.whole,
        "seconds": round(access.seconds, 6),
        "job": response.job_id,
        "request_id": response.request_id or None,
        "id": response.log_id or response.request_id or None,
    }
