"""Read the recorded requests of ``test/data``; its README.md says what they are."""

import json

from support import DATA


def names(kind):
    """Return SUBJECT/NAME of every request below ``test/data/KIND``, sorted."""
    folder = DATA / kind
    return sorted(
        path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.http")
    )


def unpaired(kind):
    """Return the files below ``test/data/KIND`` that are half a pair, or none."""
    folder = DATA / kind
    paired = {f"{name}.{ending}" for name in names(kind) for ending in ("http", "json")}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return sorted(found ^ paired)


def read(kind, name):
    """Return the bytes of a request, and what it is expected to lead to."""
    request = DATA / kind / f"{name}.http"
    expected = request.with_suffix(".json")
    return request.read_bytes(), json.loads(expected.read_text(encoding="utf-8"))
