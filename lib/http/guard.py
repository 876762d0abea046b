"""Who is it: credentials checked at a cost that guessing cannot turn against us.

Theory. HTTP Basic sends the password with every request, and a good hash takes a
tenth of a second. So what was right is remembered for a minute of use, as a keyed
digest. What is not known so waits for one of few threads, in a line (``http.line``)
that is bounded, and in which those who failed before stand behind those who did not.
A program that opens twenty connections at once waits there once, and whoever waits
holds no thread that answers requests.

Failures are counted for each pair of address and user name, so that guessing gets
slower and slower without keeping the user out from elsewhere, and, more loosely,
for each address. A failure a minute is forgiven. This machine itself is not slowed
down: it may be a proxy, which speaks for everybody.

Every check of a password works out one hash of each costly kind that the file has, be
it the user's or a decoy: the time does not tell which names there are.
"""

from __future__ import annotations

import datetime
import hmac
import ipaddress
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from ganeti.http.auth import Entry, User, UsersFile, denied, parse_basic
from ganeti.http.errors import TooManyRequests
from ganeti.http.line import Line
from ganeti.http.passwords import MAX_LENGTH, NOBODY, Password

#: Seconds since its last use that a right password is remembered.
REMEMBERED = 60.0
#: Passwords, and addresses and names, that are remembered at most; the oldest go.
MAX_KNOWN = 1024
MAX_FAILURES = 8192
#: Failures that cost nothing: of one user from one address, of all users from there.
FREE_TRIES, FREE_TRIES_OF_ADDRESS = 5, 50
#: Seconds: the longest pause after a failure, and the time in which one is forgiven.
MAX_PAUSE, FORGIVEN = 60.0, 60.0


@dataclass
class _Failures:
    count: float = 0.0
    last: float = 0.0
    until: float = 0.0


class Guard:
    """Finds the users of ``Authorization`` headers. Safe to use from several threads."""

    def __init__(self, users: UsersFile, *, threads: int | None = None,
                 clock: Callable[[], float] = time.monotonic,
                 today: Callable[[], datetime.date] | None = None) -> None:
        self._users = users
        self._clock = clock
        self._today = today or (lambda: datetime.datetime.now(datetime.timezone.utc).date())
        self._key = os.urandom(32)
        self._mutex = threading.Lock()
        self._known: OrderedDict[bytes, float] = OrderedDict()
        #: By address and name, or b"" for all names; a name as a digest, as it may be long.
        self._failures: OrderedDict[tuple[str, bytes], _Failures] = OrderedDict()
        #: Checks that wait or run, by what is asked and from where.
        self._checks: dict[tuple[bytes, str], Future[User]] = {}
        self._line: Line[User] = Line(threads or max(1, (os.cpu_count() or 1) - 1))

    def authenticate(self, header: str, peer: str = "") -> User | Future[User]:
        """Who sent this header from there; raises, or later fails with, ``Unauthorized`` or
        ``TooManyRequests``."""
        name, password = parse_basic(header)
        if len(password) > MAX_LENGTH:
            raise denied(_WRONG)
        entry, decoys = self._users.find(name)
        mark = self._mark(name, password, entry)
        if entry is not None and self._remembers(mark) and not self._is_over(entry):
            return entry.user
        here, peer = _is_here(peer), _network(peer)
        with self._mutex:
            running = self._checks.get((mark, peer))
        if running is not None:
            return running
        suspicious = self._slow_down(peer, name, here)

        def check() -> User:
            # Who has expired fails like any other: a guesser does not learn what was right.
            right = _check(name, password, entry, decoys)
            if not right or entry is None or self._is_over(entry):
                self._failed(peer, name)
                raise denied(_WRONG)
            self._succeeded(peer, name, mark)
            return entry.user
        if not decoys:
            return check()
        return self._shared(mark, peer, self._line.add(
            check, suspicious=suspicious, address="" if here else peer, name=name))

    def _shared(self, mark: bytes, peer: str, found: Future[User]) -> Future[User]:
        """For who sends the same from there before it is known."""
        def forget(_: Future[User]) -> None:
            with self._mutex:
                if self._checks.get((mark, peer)) is found:
                    del self._checks[mark, peer]
        with self._mutex:
            self._checks[mark, peer] = found
        found.add_done_callback(forget)
        return found

    def certified(self, name: str) -> User | None:
        """The user whom a verified client certificate names; None when there is none."""
        entry, _ = self._users.find(name)
        if entry is not None and self._is_over(entry):
            raise denied(_WRONG)
        return None if entry is None else entry.user

    def _is_over(self, entry: Entry) -> bool:
        expired = entry.user.rights.has_expired(self._today())
        if expired:
            logging.warning("User %s has expired", entry.user.name)
        return expired

    # -- what was right -----------------------------------------------------------------

    def _mark(self, name: str, password: str, entry: Entry | None) -> bytes:
        """Of these credentials and this line of the file: another password makes another."""
        parts = (name, password, "" if entry is None else entry.password.scheme,
                 "" if entry is None else entry.password.text)
        text = "\0".join(f"{len(part)}:{part}" for part in parts)
        return hmac.digest(self._key, text.encode("utf-8", "surrogateescape"), "sha256")

    def _remembers(self, mark: bytes) -> bool:
        now = self._clock()
        with self._mutex:
            last = self._known.get(mark)
            if last is None or now - last > REMEMBERED:
                self._known.pop(mark, None)
                return False
            self._known[mark] = now
            self._known.move_to_end(mark)
            return True

    def _succeeded(self, peer: str, name: str, mark: bytes) -> None:
        with self._mutex:
            self._failures.pop((peer, self._digest(name)), None)
            self._known[mark] = self._clock()
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)

    # -- what was wrong -----------------------------------------------------------------

    def _slow_down(self, peer: str, name: str, here: bool) -> bool:
        """Did anybody fail from there lately? Raises ``TooManyRequests`` within a pause."""
        now = self._clock()
        with self._mutex:
            found = [self._failures.get(key) for key in ((peer, self._digest(name)), (peer, b""))]
        pauses = [failures.until - now for failures in found if failures is not None]
        if pauses and max(pauses) > 0 and not here:
            raise TooManyRequests("Too many wrong passwords from this address",
                                  retry_after=int(max(pauses)) + 1)
        return any(failures is not None and now - failures.last <= FORGIVEN * failures.count
                   for failures in found)

    def _failed(self, peer: str, name: str) -> None:
        now = self._clock()
        with self._mutex:
            for key, free in (((peer, self._digest(name)), FREE_TRIES),
                              ((peer, b""), FREE_TRIES_OF_ADDRESS)):
                failures = self._failures.pop(key, None) or _Failures(last=now)
                forgiven = (now - failures.last) / FORGIVEN
                failures.count = max(0.0, failures.count - forgiven) + 1
                failures.last = now
                over = failures.count - free
                failures.until = now + (min(MAX_PAUSE, 2.0 ** min(over, 6)) if over >= 0 else 0)
                self._failures[key] = failures
            while len(self._failures) > MAX_FAILURES:
                self._failures.popitem(last=False)

    def _digest(self, name: str) -> bytes:
        return hmac.digest(self._key, name.encode("utf-8", "surrogateescape"), "sha256")[:16]


_WRONG = "Wrong user name or password"


def _check(name: str, password: str, entry: Entry | None, decoys: Sequence[Password]) -> bool:
    """At the same cost for every name."""
    stored = entry.password if entry is not None else NOBODY
    right = _matches(stored, name, password)
    for decoy in decoys:
        if decoy.costs != stored.costs:
            _matches(decoy, name, password)
    return right


def _matches(stored: Password, name: str, password: str) -> bool:
    try:
        return stored.matches(name, password)
    except ValueError as err:           # OpenSSL does not like the parameters after all
        logging.error("A {%s} password cannot be checked: %s", stored.scheme, err)
        return False


def _network(peer: str) -> str:
    """Whom failures are counted for: of an IPv6 address its /64, which one machine has whole."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    return peer if address.version == 4 else str(
        ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def _is_here(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return not peer
