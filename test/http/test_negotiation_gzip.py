"""gzip for clients that accept it."""

import gzip
import json

import pytest

from ganeti.http import negotiation


@pytest.mark.parametrize(
    "value",
    [
        "gzip",
        "GZIP",
        "x-gzip",
        "deflate, gzip",
        "gzip;q=0.5",
        "gzip ; q=1.000",
        "gzip, *",
        "gzip;q=1.0, *;q=0.5",
        "gzip, *;q=0",
        "identity;q=0, *",
        "*, identity;q=0.5",
        "gzip, identity;q=0.5",
        "identity;q=0, gzip",
        "gzip, identity",
        "gzip, deflate, br, zstd",
        ",gzip,",
    ],
)
def test_gzip_is_used_for_clients_that_accept_it(value):
    assert negotiation.accepts_gzip(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "identity",
        "deflate",
        "gzip;q=0",
        "gzip;q=0.000",
        "*;q=0",
        "gzip;q=0, *",
        "*",
        "*;q=0.1",
        "br, *",
        "gzip;q=0.5, *",
        "identity, *",
        "identity;q=0",
        "gzip;q=0.5, identity",
        "gzip;q=2",
        "gzip;q=x",
        "gzip q=1",
        "gzip;level=1",
        "gzip;q=0.0001",
        "gzip/1",
    ],
)
def test_the_plain_body_is_used_for_other_clients(value):
    assert not negotiation.accepts_gzip(value)


def test_packed_pieces_unpack_to_the_whole():
    parts = [b"a" * 5000, b"", b"b" * 5000]
    packed = list(negotiation.gzip_pieces(parts))
    assert all(packed) and gzip.decompress(b"".join(packed)) == b"".join(parts)


def test_a_packed_body_unpacks_to_itself():
    body = json.dumps([{"name": f"web{number}"} for number in range(1000)]).encode()
    packed = negotiation.gzip(body)
    assert gzip.decompress(packed) == body and len(packed) < len(body) / 5
    assert packed == negotiation.gzip(body)


@pytest.mark.parametrize(
    "parts", [[], [b""], [b"x"], [b"a" * 500_000, b"", bytes(range(256)) * 900]]
)
def test_a_spool_returns_the_body_it_was_given(parts):
    seen = []
    for how, read in (("packed", gzip.decompress), ("plain", bytes)):
        spool = negotiation.Spool(iter(parts), seen.append)
        pieces = list(getattr(spool, how)())
        assert all(pieces) and read(b"".join(pieces)) == b"".join(parts)
        assert max(map(len, pieces), default=0) <= 64 * 1024
        assert not list(spool.packed())
    assert seen == [*parts, *parts]
