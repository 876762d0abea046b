"""What lists of revoked certificates (CRLs, RFC 5280, 5) say of themselves.

Theory. OpenSSL looks for a client's certificate in the list of its authority. Where that
list is missing, or its time is over, it refuses every certificate of the authority: nobody
can know whether one is good. That locks people out at a moment when nobody changed anything,
so it is said when the lists are read. The standard library decodes no list; the few fields
that matter here come first in it.
"""

from __future__ import annotations

import base64
import datetime
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_PEM = re.compile(rb"-----BEGIN X509 CRL-----\s(.*?)-----END X509 CRL-----", re.DOTALL)
#: Tags of DER (X.690): what we look for.
_INTEGER, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x02, 0x17, 0x18, 0xA0
#: The attribute of a common name, as a name holds it.
_COMMON_NAME = b"\x06\x03\x55\x04\x03"


@dataclass(frozen=True)
class Crl:
    """One list: whose it is, as the bytes of a name, and from when to when it counts; None:
    without an end."""

    issuer: bytes
    begins: datetime.datetime
    ends: datetime.datetime | None

    def problem(self, now: datetime.datetime) -> str:
        """Return why OpenSSL does not accept the list now; '' if it does."""
        if self.begins > now:
            return f"begins on {self.begins:%Y-%m-%d %H:%M} UTC only"
        if self.ends is not None and self.ends <= now:
            return f"ended on {self.ends:%Y-%m-%d %H:%M} UTC"
        return ""


@dataclass(frozen=True)
class _Item:
    """A value in DER: its tag, its content, and all of its bytes."""

    tag: int
    content: memoryview
    whole: memoryview


def read(paths: Iterable[str]) -> list[Crl]:
    """Return the lists in these files of PEM text; one that cannot be parsed is left out."""
    found = []
    for path in paths:
        with open(path, "rb") as file:
            for block in _PEM.findall(file.read()):
                try:
                    found.append(_parse(base64.b64decode(block)))
                except ValueError:
                    continue  # OpenSSL reports what it cannot use
    return found


def warnings(context: ssl.SSLContext, crls: Sequence[Crl], now: datetime.datetime) -> list[str]:
    """Return warnings about clients that are refused because of the lists themselves.

    ``context`` has the authorities.
    """
    if not crls:
        return []
    by_issuer: dict[bytes, list[Crl]] = {}
    for crl in crls:
        by_issuer.setdefault(crl.issuer, []).append(crl)
    found = []
    for issuer, lists in by_issuer.items():
        problems = [crl.problem(now) for crl in lists]
        if all(problems):
            found.append(
                f"The CRL of {_readable(issuer)} {problems[-1]}: every client with a "
                "certificate of that authority is refused until there is a current "
                "one; replace the file, then send SIGHUP"
            )
    for certificate in context.get_ca_certs(binary_form=True):
        try:
            subject = _subject(certificate)
        except (ValueError, IndexError):
            continue
        if subject not in by_issuer:
            found.append(
                f"There is no CRL of {_readable(subject)}, while others have one: every "
                "client with a certificate of that authority is refused; add its CRL"
            )
    return found


def _parse(der: bytes) -> Crl:
    """Parse the first fields of a ``TBSCertList`` (RFC 5280, 5.1)."""
    inner = list(_children(_first(_first(memoryview(der)))))
    if inner and inner[0].tag == _INTEGER:
        inner.pop(0)  # the version
    _, issuer, begins, *rest = inner
    has_end = bool(rest) and rest[0].tag in (_UTC_TIME, _GENERALIZED_TIME)
    return Crl(bytes(issuer.whole), _moment(begins), _moment(rest[0]) if has_end else None)


def _subject(der: bytes) -> bytes:
    """Return the subject of a certificate (RFC 5280, 4.1)."""
    inner = list(_children(_first(_first(memoryview(der)))))
    if inner[0].tag == _VERSION:
        inner.pop(0)
    return bytes(inner[4].whole)


def _first(data: memoryview) -> memoryview:
    """Return the content of the first value in ``data``."""
    for item in _children(data):
        return item.content
    raise ValueError("there is nothing")


def _children(data: memoryview) -> Iterator[_Item]:
    """Yield the values in ``data``; raises ``ValueError`` where one is cut off."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("a value has no length")
        length, start = data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, start = int.from_bytes(data[start : start + size], "big"), start + size
        end = start + length
        if start > len(data) or end > len(data):
            raise ValueError("a value is longer than what holds it")
        yield _Item(data[at], data[start:end], data[at:end])
        at = end


def _moment(item: _Item) -> datetime.datetime:
    """Parse a ``Time`` (RFC 5280, 4.1.2.5)."""
    text = bytes(item.content).decode("ascii")
    if item.tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def _readable(name: bytes) -> str:
    """Return the common name within a name, for a message."""
    at = name.find(_COMMON_NAME)
    if at < 0:
        return "an authority without a common name"
    start = at + len(_COMMON_NAME)
    length = name[start + 1] if start + 1 < len(name) else 0
    text = name[start + 2 : start + 2 + length]
    return f"'{text.decode('utf-8', errors='replace')}'"
