"""Facts about our own certificate: its names, its end, and whether clients accept it.

The standard library decodes a certificate only for the peer of a connection that has verified
it. So we become that peer for a moment: a handshake in memory, about 3 ms, with a client that
trusts the certificates in the file itself. It needs no other program, and shows what a client of
the API would see.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ganeti.http import tls

#: Days before a certificate's end when warnings begin.
SOON = 30
#: Names that a message shows; a certificate may have hundreds.
_SHOWN = 5
#: X509_V_FLAG_NO_CHECK_TIME, for which ``ssl`` has no name.
_ANY_TIME = ssl.VerifyFlags(0x200000)
#: Steps of each side that a handshake may take; two or three are enough.
_TURNS = 10


@dataclass(frozen=True)
class Certificate:
    """Facts about a certificate.

    ``names`` are the alternative names, or the common name if there are none; ``ends`` is the last
    moment of its validity, in UTC. ``names`` is empty and ``ends`` is None if they could not be
    read. ``problem`` says why clients reject the certificate; it is '' if they accept it.
    """

    path: str
    names: tuple[str, ...] = ()
    ends: datetime.datetime | None = None
    problem: str = ""

    def days_left(self, now: datetime.datetime) -> int | None:
        """Return the whole days until the end, negative after it; None if it is not known."""
        return None if self.ends is None else (self.ends - now).days

    def covers(self, host: str) -> bool:
        """Return whether the certificate is for this host; True if its names are not known."""
        labels = host.lower().rstrip(".").split(".")
        for name in map(str.lower, self.names):
            if name.split(".") == labels or _same_address(name, host):
                return True
            # The wildcard is the whole leftmost label, and matches one label (RFC 9525, 6.3).
            if name.startswith("*.") and len(labels) > 2 and name.split(".")[1:] == labels[1:]:
                return True
        return not self.names

    def describe(self, now: datetime.datetime) -> str:
        """Return a clause like ``example.com, valid until 2027-01-31 (9 days left)``."""
        more = f" and {len(self.names) - _SHOWN} more" if len(self.names) > _SHOWN else ""
        names = ", ".join(self.names[:_SHOWN]) + more or "unknown names"
        days = self.days_left(now)
        if self.ends is None or days is None:
            return f"{names}, end unknown"
        until = f"{self.ends:%Y-%m-%d}"
        if self.ends < now:
            return f"{names}, expired on {until}"
        return f"{names}, valid until {until} ({_days(days)} left)"

    def warnings(self, hosts: Iterable[str], now: datetime.datetime) -> list[str]:
        """Return warnings about what makes clients fail, now or soon.

        ``hosts`` are the names and addresses by which clients reach us.
        """
        if self.problem:
            return [f"Clients that verify certificates will reject {self.path}: {self.problem}"]
        found = []
        days = self.days_left(now)
        if days is not None and days < SOON:
            found.append(
                f"The certificate in {self.path} ends on {self.ends:%Y-%m-%d}, in "
                f"{_days(days)}; replace the file and send SIGHUP"
            )
        hosts = sorted(set(hosts) - {""})
        if hosts and not any(map(self.covers, hosts)):
            found.append(
                f"The certificate in {self.path} is for {', '.join(self.names[:_SHOWN])}"
                f", not for {' or '.join(hosts)}; clients that verify it must use one of its names"
            )
        return found


def inspect(context: ssl.SSLContext, path: str) -> Certificate:
    """Return facts about the certificate that a server's ``context`` loaded from ``path``."""
    try:
        return _facts(path, _shown(context, path, check_time=True))
    except ssl.SSLCertVerificationError as err:
        problem = str(err.verify_message)
    except ssl.SSLError as err:
        return Certificate(path, problem=tls.handshake_problem(err))
    except (OSError, ValueError):  # the file was removed, or has names that are not text
        return Certificate(path)
    try:
        return _facts(path, _shown(context, path, check_time=False), problem)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return Certificate(path, problem=problem)


def _shown(context: ssl.SSLContext, path: str, *, check_time: bool) -> Mapping[str, object]:
    """Return the certificate as a client sees it who trusts the certificates in ``path``.

    Raises ``ssl.SSLError``, ``OSError`` and ``ValueError``.
    """
    verifier = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    verifier.check_hostname = False
    # Without this flag, OpenSSL would trust only certificates of authorities.
    verifier.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if not check_time:
        verifier.verify_flags |= _ANY_TIME
    verifier.load_verify_locations(path)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = verifier.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_TURNS):
        if _step(client):
            break
        _step(server)
    return client.getpeercert() or {}


def _step(end: ssl.SSLObject) -> bool:
    """Do one step of a handshake; return whether this side has finished."""
    try:
        end.do_handshake()
        return True
    except ssl.SSLWantReadError:
        return False


def _facts(path: str, found: Mapping[str, object], problem: str = "") -> Certificate:
    """Return the facts in a certificate as ``getpeercert`` returns it."""
    alternative = found.get("subjectAltName", ())
    names: list[str] = []
    if isinstance(alternative, tuple):
        kinds = ("DNS", "IP Address")
        names = [_short_address(str(value)) for kind, value in alternative if kind in kinds]
    end = found.get("notAfter")
    ends = _moment(end) if isinstance(end, str) else None
    return Certificate(path, tuple(names or tls.common_names(found)), ends, problem)


def _moment(text: str) -> datetime.datetime | None:
    """Parse a time like ``Jan  5 09:34:43 2030 GMT``; return None if that fails."""
    try:
        seconds = ssl.cert_time_to_seconds(text)
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    except (ValueError, OverflowError):
        return None


def _short_address(text: str) -> str:
    """Return an address in its short form (OpenSSL: ``0:0:0:0:0:0:0:1``), other text unchanged."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return text


def _same_address(name: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host)
    except ValueError:
        return False


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"
