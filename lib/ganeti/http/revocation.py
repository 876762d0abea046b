"""Warnings about certificate revocation lists (CRLs, RFC 5280, 5).

OpenSSL looks up a client's certificate in the CRL of its authority. If that CRL is missing or has
expired, OpenSSL refuses every certificate of the authority, since it cannot know which are still
good. That locks clients out at a moment when nobody has changed anything, so we warn when the
CRLs are read. The standard library does not decode CRLs; the few fields that matter come first.
"""

from __future__ import annotations

import base64
import datetime
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_PEM = re.compile(rb"-----BEGIN X509 CRL-----\s(.*?)-----END X509 CRL-----", re.DOTALL)
#: Tags of DER (X.690).
_INTEGER, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x02, 0x17, 0x18, 0xA0
#: Object identifier of the attribute commonName in DER.
_COMMON_NAME = b"\x06\x03\x55\x04\x03"


@dataclass(frozen=True)
class Crl:
    """A CRL: its issuer as a name in DER, and the time of its validity.

    ``ends`` is None for a CRL without an end.
    """

    issuer: bytes
    begins: datetime.datetime
    ends: datetime.datetime | None

    def problem(self, now: datetime.datetime) -> str:
        """Return why OpenSSL does not accept the CRL now; '' if it does."""
        if self.begins > now:
            return f"is not valid before {self.begins:%Y-%m-%d %H:%M} UTC"
        if self.ends is not None and self.ends <= now:
            return f"expired on {self.ends:%Y-%m-%d %H:%M} UTC"
        return ""


@dataclass(frozen=True)
class _Item:
    """A value in DER: its tag, its content, and the whole encoding."""

    tag: int
    content: memoryview
    whole: memoryview


def read(paths: Iterable[str]) -> list[Crl]:
    """Return the CRLs in these PEM files, except those that cannot be parsed."""
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
    """Return warnings about authorities whose clients are all refused because of the CRLs.

    ``context`` has loaded the certificates of the authorities.
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
                "certificate of that authority is refused until there is a valid CRL; "
                "replace the file and send SIGHUP"
            )
    for certificate in context.get_ca_certs(binary_form=True):
        try:
            subject = _subject(certificate)
        except (ValueError, IndexError):
            continue
        if subject not in by_issuer:
            found.append(
                f"There is no CRL of {_readable(subject)}, though other authorities have one: "
                "every client with a certificate of that authority is refused; add its CRL"
            )
    return found


def _parse(der: bytes) -> Crl:
    """Parse the first fields of a ``CertificateList`` (RFC 5280, 5.1); raises ``ValueError``."""
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
    raise ValueError("a value is missing")


def _children(data: memoryview) -> Iterator[_Item]:
    """Yield the values in ``data``; raise ``ValueError`` if one is cut off."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("a value has no length")
        length, start = data[at + 1], at + 2
        if length & 0x80:  # the long form (X.690, 8.1.3.5): the number of bytes of the length
            size = length & 0x7F
            length, start = int.from_bytes(data[start : start + size], "big"), start + size
        end = start + length
        if start > len(data) or end > len(data):
            raise ValueError("a value is longer than its container")
        yield _Item(data[at], data[start:end], data[at:end])
        at = end


def _moment(item: _Item) -> datetime.datetime:
    """Parse a ``Time`` (RFC 5280, 4.1.2.5)."""
    text = bytes(item.content).decode("ascii")
    if item.tag == _UTC_TIME:
        century = "19" if text[:2] >= "50" else "20"
        text = century + text
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def _readable(name: bytes) -> str:
    """Return the common name in a name, for a message."""
    at = name.find(_COMMON_NAME)
    if at < 0:
        return "an authority without a common name"
    start = at + len(_COMMON_NAME)  # of the string: tag, length, text
    length = name[start + 1] if start + 1 < len(name) else 0
    text = name[start + 2 : start + 2 + length]
    return f"'{text.decode('utf-8', errors='replace')}'"
