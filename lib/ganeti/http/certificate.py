"""What the certificate that we show says: its names, its end, and whether clients accept it.

Theory. The standard library decodes a certificate only for the peer of a connection that
verified it. So we are that peer for a moment: a handshake in memory, about 3 ms, with a
client that trusts what is in the certificate's own file. It tells what a client of the API
would see, and needs no other program.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ganeti.http import tls

#: Days before its end from which on a certificate is worth a warning.
SOON = 30
#: Names that are written out; a certificate may have hundreds.
_SHOWN = 5
#: X509_V_FLAG_NO_CHECK_TIME, for which ``ssl`` has no name.
_ANY_TIME = ssl.VerifyFlags(0x200000)
#: Messages of a handshake come in two or three turns.
_TURNS = 10


@dataclass(frozen=True)
class Certificate:
    """A certificate's facts; ``problem`` says why clients reject it, '' if they need not.

    ``names`` are those that it is valid for: the alternative ones, else the common name.
    ``ends`` is its last moment, in UTC. Both are empty where they cannot be found out.
    """

    path: str
    names: tuple[str, ...] = ()
    ends: datetime.datetime | None = None
    problem: str = ""

    def days_left(self, now: datetime.datetime) -> int | None:
        """Whole days until its end, negative afterwards; None where that is not known."""
        return None if self.ends is None else (self.ends - now).days

    def covers(self, host: str) -> bool:
        """Return whether one of its names is this host's; True if it has no known names.

        A ``*`` is one whole label (RFC 9525, 6.3).
        """
        labels = host.lower().rstrip(".").split(".")
        for name in map(str.lower, self.names):
            if name.split(".") == labels or _same_address(name, host):
                return True
            if name.startswith("*.") and len(labels) > 2 and name.split(".")[1:] == labels[1:]:
                return True
        return not self.names

    def describe(self, now: datetime.datetime) -> str:
        """Names and end for a log line: ``example.com, valid until 2027-01-31 (9 days left)``."""
        more = f" and {len(self.names) - _SHOWN} more" if len(self.names) > _SHOWN else ""
        names = ", ".join(self.names[:_SHOWN]) + more or "unknown names"
        days = self.days_left(now)
        if self.ends is None or days is None:
            return f"{names}, end unknown"
        until = f"{self.ends:%Y-%m-%d}"
        if self.ends < now:
            return f"{names}, ended on {until}"
        return f"{names}, valid until {until} ({_days(days)} left)"

    def warnings(self, hosts: Iterable[str], now: datetime.datetime) -> list[str]:
        """Return what makes clients fail, soon or now. ``hosts``: names that we are reached by."""
        if self.problem:
            return [f"Clients that verify certificates will reject {self.path}: {self.problem}"]
        found = []
        days = self.days_left(now)
        if days is not None and days < SOON:
            found.append(
                f"The certificate in {self.path} ends on {self.ends:%Y-%m-%d}, in "
                f"{_days(days)}; replace the file, then send SIGHUP"
            )
        hosts = sorted(set(hosts) - {""})
        if hosts and not any(map(self.covers, hosts)):
            found.append(
                f"The certificate in {self.path} is for {', '.join(self.names[:_SHOWN])}"
                f", and not for {' or '.join(hosts)}: clients that verify it must use "
                "a name that it has"
            )
        return found


def inspect(context: ssl.SSLContext, path: str) -> Certificate:
    """Return the facts about the certificate that a server's ``context`` has from ``path``."""
    try:
        return _facts(path, _shown(context, path, check_time=True))
    except ssl.SSLCertVerificationError as err:
        problem = str(err.verify_message)
    except ssl.SSLError as err:
        return Certificate(path, problem=tls.handshake_problem(err))
    except (OSError, ValueError):  # the file has gone; names that are not text
        return Certificate(path)
    try:
        return _facts(path, _shown(context, path, check_time=False), problem)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return Certificate(path, problem=problem)


def _shown(context: ssl.SSLContext, path: str, *, check_time: bool) -> dict[str, Any]:
    """Return the certificate as a client sees it that trusts those in ``path``."""
    verifier = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    verifier.check_hostname = False
    verifier.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority
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
    """Do one step of a handshake; return whether this end has finished."""
    try:
        end.do_handshake()
        return True
    except ssl.SSLWantReadError:
        return False


def _facts(path: str, found: dict[str, Any], problem: str = "") -> Certificate:
    alternative = tuple(
        _short_address(str(value)) if kind == "IP Address" else str(value)
        for kind, value in found.get("subjectAltName", ())
        if kind in ("DNS", "IP Address")
    )
    common = tuple(
        str(value)
        for part in found.get("subject", ())
        for kind, value in part
        if kind == "commonName"
    )
    return Certificate(path, alternative or common, _moment(found.get("notAfter")), problem)


def _moment(text: str | None) -> datetime.datetime | None:
    """Parse a certificate's time, ``Jan  5 09:34:43 2030 GMT``; None if it cannot be."""
    if text is None:
        return None
    try:
        seconds = ssl.cert_time_to_seconds(text)
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    except (ValueError, OverflowError):
        return None


def _short_address(text: str) -> str:
    """Return an address in its short form; OpenSSL writes ``0:0:0:0:0:0:0:1``."""
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
