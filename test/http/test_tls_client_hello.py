"""Protocols that a client offers, in messages of OpenSSL and in other data."""

import contextlib
import ssl

import pytest

from ganeti.http.tls import client_hello_is_complete, read_client_hello


def hello(*protocols):
    """Return the first bytes of a client that offers these protocols."""
    context, out = ssl._create_unverified_context(), ssl.MemoryBIO()
    if protocols:
        context.set_alpn_protocols(protocols)
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    return out.read()


@pytest.mark.parametrize("protocols", [("h2",), ("h2", "http/1.1"), ("x" * 255, "y")])
def test_offered_protocols_are_read(protocols):
    assert read_client_hello(hello(*protocols)) == [name.encode() for name in protocols]
    assert read_client_hello(hello(*protocols) + b"and more") is not None


def test_a_hello_without_protocols_offers_none():
    assert read_client_hello(hello()) is None


def test_an_incomplete_hello_offers_none():
    data = hello("h2")
    for length in range(len(data)):
        assert (
            not client_hello_is_complete(data[:length]) and read_client_hello(data[:length]) is None
        )
    assert client_hello_is_complete(data)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x17\x03\x03\x00\x01a",
        b"\x16\x03\x01\x00\x04\x02\0\0\0",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\0\0\0",
    ],
)
def test_other_bytes_offer_no_protocols(data):
    assert read_client_hello(data) is None
