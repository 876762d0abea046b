"""Golden pairs: NAME.http is what a client sends, NAME.json what it must mean.

Every pair is replayed whole, byte by byte, and cut in two at every place.
"""

import json
from pathlib import Path

import pytest

from ganeti.http.errors import HttpError
from ganeti.http.reader import RequestReader

WIRE = Path(__file__).resolve().parent / "wire" / "http"
PAIRS = sorted(path.stem for path in WIRE.glob("*.http"))


def seen(request, fields):
    """The fields of a request, in the form that the expectations have."""
    values = {name: getattr(request, name) for name in fields}
    values["headers"] = [list(item) for item in request.headers]
    values["body"] = request.body.decode("latin-1")
    return values


def read(pieces):
    """What a stream means that arrives in these pieces, in the form of the expectations."""
    reader = RequestReader()
    requests = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (request := reader.next()) is not None:
                requests.append(request)
        except HttpError as err:
            return requests, {"refused": err.code}
    return requests, {"waits": reader.phase.name}


def check(pieces, expected):
    """Compare, field by field."""
    requests, end = read(pieces)
    wanted = expected["requests"]
    assert [seen(request, want) for request, want in zip(requests, wanted)] == wanted
    assert len(requests) == len(wanted)
    assert end == {key: expected[key] for key in ("refused", "waits") if key in expected}


def load(name):
    """Bytes and expectation of a pair."""
    return ((WIRE / f"{name}.http").read_bytes(),
            json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8")))


def test_there_are_pairs():
    assert len(PAIRS) >= 80
    assert PAIRS == sorted(path.stem for path in WIRE.glob("*.json"))


@pytest.mark.parametrize("name", PAIRS)
def test_means_what_it_must(name):
    data, expected = load(name)
    check([data], expected)


@pytest.mark.parametrize("name", PAIRS)
def test_means_the_same_wherever_it_is_cut(name):
    data, expected = load(name)
    check([data[index:index + 1] for index in range(len(data))], expected)
    for cut in range(1, len(data)):
        check([data[:cut], data[cut:]], expected)
