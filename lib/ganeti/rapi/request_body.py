"""The body of a request: JSON, said to be JSON or not said to be anything, and not packed."""

from __future__ import annotations

import codecs
import re
from typing import Any

from ganeti import serializer
from ganeti.http import errors as http_errors
from ganeti.http.message import Headers, Request

JSON = "application/json"
_JSON_TYPE = re.compile(r"application/json\s*(;.*)?", re.ASCII | re.IGNORECASE)


def read_body(request: Request) -> Any:
    """The body's JSON value, None when it is empty; 415 and 400 as they come."""
    if not request.body:
        return None
    check_body_kind(request.headers)
    try:
        # Windows' programs begin a text so; RFC 8259 (8.1) lets us pass over it.
        return serializer.loads(request.body.removeprefix(codecs.BOM_UTF8))
    except serializer.ParseError as err:
        raise http_errors.BadRequest(f"Unable to parse JSON data: {err}") from None


def check_body_kind(headers: Headers) -> None:
    """Raise ``UnsupportedMediaType`` for a body that is no JSON, or is packed."""
    media_type = headers.get("Content-Type")
    if media_type is not None and _JSON_TYPE.fullmatch(media_type.strip()) is None:
        raise http_errors.UnsupportedMediaType(f"A body must be {JSON}, not {media_type[:80]}")
    codings = {
        word.strip(" \t").lower() for word in (headers.get("Content-Encoding") or "").split(",")
    } - {"", "identity"}
    if codings:
        raise http_errors.UnsupportedMediaType(
            f"A body must not be packed (Content-Encoding: {min(codings)[:80]})",
            headers=[("Accept-Encoding", "identity")],
        )
