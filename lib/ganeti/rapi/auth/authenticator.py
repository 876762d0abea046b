"""Credentials checked at a cost that guessing cannot turn against us.

Theory. HTTP Basic sends the password with every request, and a good hash takes a
tenth of a second. So what was right is remembered for a minute of use, as a keyed
digest. What is not known waits for one of few threads, in a bounded queue (``FairQueue``)
in which those who failed before come after those who did not. A program that opens
twenty connections at once waits there once, and waiting holds no thread that answers
requests.

The queue is bounded, so that nobody waits for long, and bounded for each address, so that
nobody fills it alone. Entries are ordered by (has a bad record, entries queued for the same
address, entries queued for the same user). So neither one busy address nor many that all
try one name keep others from their turn. In a full queue, an entry that would come earlier
replaces the last one.

Failures are counted for each pair of address and user name, so that guessing gets
slower and slower without keeping the user out from elsewhere, and, more loosely,
for each address. A failure a minute is forgiven. This machine itself is not slowed
down: it may be a proxy, which speaks for everybody.

Every check of a password works out one hash of each costly kind that the file has, be
it the user's or a decoy: the time does not tell which names there are.

Refused credentials leave a line with the user's name and the address, for fail2ban and for
people: the first ones of each address always (``http.limits.LogBudget``). A request without
credentials is not a failure, as clients try without them first.
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
from typing import Any, Generic, TypeVar

from ganeti.http.errors import HttpError, TooManyRequests, Unauthorized
from ganeti.http.limits import LogBudget, network
from ganeti.rapi.auth.passwords import MAX_LENGTH, NOBODY, Password
from ganeti.rapi.auth.users import User, UserEntry, UsersFile, denied, parse_basic

logger = logging.getLogger(__name__)

# -- the queue of costly checks --------------------------------------------------------


MAX_WAITING = 32
MAX_WAITING_OF_ADDRESS = 12

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _QueuedCheck(Generic[T]):
    work: Callable[[], T]
    address: str
    name: str
    #: Has it a bad record; how many of its address, and of its name, waited before it.
    rank: tuple[bool, int, int]
    result: Future[T]


class FairQueue(Generic[T]):
    """Runs what is added on ``threads`` threads, started when there is work for them."""

    def __init__(self, threads: int) -> None:
        self._size = threads
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._waiting: list[_QueuedCheck[T]] = []

    def add(self, work: Callable[[], T], *, suspicious: bool, address: str, name: str) -> Future[T]:
        """Return a future of what ``work`` returns or raises.

        Raises ``TooManyRequests`` if the queue is full; the future fails with that if others
        displace it later. ``address`` is '' for a peer that may speak for many.
        """
        displaced = None
        with self._changed:
            of_address = sum(check.address == address for check in self._waiting)
            if not address:
                of_address = 0
            elif of_address >= MAX_WAITING_OF_ADDRESS:
                raise _too_many()
            of_name = sum(check.name == name for check in self._waiting)
            check = _QueuedCheck(work, address, name, (suspicious, of_address, of_name), Future())
            if len(self._waiting) >= MAX_WAITING:
                displaced = max(reversed(self._waiting), key=_rank)
                if displaced.rank <= check.rank:
                    raise _too_many()
                self._waiting.remove(displaced)
            self._waiting.append(check)
            self._start()
            self._changed.notify()
        if displaced is not None:
            displaced.result.set_exception(_too_many())
        return check.result

    def _start(self) -> None:
        while len(self._threads) < self._size:
            number = len(self._threads)
            self._threads.append(
                threading.Thread(target=self._run, name=f"hash-{number}", daemon=True)
            )
            self._threads[-1].start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                check = min(self._waiting, key=_rank)
                self._waiting.remove(check)
            try:
                found = check.work()
            except Exception as err:
                check.result.set_exception(err)
            else:
                check.result.set_result(found)
            del check  # it holds a password


def _rank(check: _QueuedCheck[Any]) -> tuple[bool, int, int]:
    return check.rank


def _too_many() -> TooManyRequests:
    return TooManyRequests("Too many passwords wait to be checked", retry_after=1)


# -- the authenticator -----------------------------------------------------------------


#: Seconds since its last use that a right password is remembered.
REMEMBERED = 60.0
#: Passwords, and addresses and names, that are remembered at most; the oldest go.
MAX_KNOWN = 1024
MAX_FAILURES = 8192
#: Failures that cost nothing: of one user from one address, of all users from there.
FREE_TRIES, FREE_TRIES_OF_ADDRESS = 5, 50
#: Seconds: the longest pause after a failure, and the time in which one is forgiven.
MAX_PAUSE, FORGIVEN = 60.0, 60.0
#: Characters of a name that are logged; it may be as long as a header.
MAX_LOGGED = 64
#: Seconds until it is logged again that the same user has expired.
EXPIRED_LOG_INTERVAL = 3600.0


@dataclass
class _Failures:
    count: float = 0.0
    last: float = 0.0
    until: float = 0.0


class Throttle:
    """Failures by address and user, and the pauses that they cost.

    Safe to use from several threads.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = os.urandom(32)
        self._mutex = threading.Lock()
        #: By address and name, or b"" for all names; a name as a digest, as it may be long.
        self._failures: OrderedDict[tuple[str, bytes], _Failures] = OrderedDict()

    def check(self, address: str, name: str, is_local: bool) -> bool:
        """Return whether anybody failed from this address lately.

        Raises ``TooManyRequests`` within a pause.
        """
        now = self._clock()
        keys = (address, self._digest(name)), (address, b"")
        with self._mutex:
            known = [self._failures[key] for key in keys if key in self._failures]
        pause = max((failures.until - now for failures in known), default=0.0)
        if pause > 0 and not is_local:
            raise TooManyRequests(
                "Too many wrong passwords from this address", retry_after=int(pause) + 1
            )
        return any(now - failures.last <= FORGIVEN * failures.count for failures in known)

    def record_failure(self, address: str, name: str) -> None:
        """Count a failure, and lengthen the pause before the next try."""
        now = self._clock()
        with self._mutex:
            for key, free in (
                ((address, self._digest(name)), FREE_TRIES),
                ((address, b""), FREE_TRIES_OF_ADDRESS),
            ):
                failures = self._failures.pop(key, None) or _Failures(last=now)
                forgiven = (now - failures.last) / FORGIVEN
                failures.count = max(0.0, failures.count - forgiven) + 1
                failures.last = now
                failures.until = now + _pause_after(failures.count - free)
                self._failures[key] = failures
            while len(self._failures) > MAX_FAILURES:
                self._failures.popitem(last=False)

    def record_success(self, address: str, name: str) -> None:
        """Forget the failures of this user from this address; those of the address stay."""
        with self._mutex:
            self._failures.pop((address, self._digest(name)), None)

    def _digest(self, name: str) -> bytes:
        return hmac.digest(self._key, name.encode("utf-8", "surrogateescape"), "sha256")[:16]


def _pause_after(excess: float) -> float:
    """Return the seconds to pause after so many failures more than are free."""
    return min(MAX_PAUSE, 2.0 ** min(excess, 6)) if excess >= 0 else 0.0


class Authenticator:
    """Finds the users of ``Authorization`` headers. Safe to use from several threads."""

    def __init__(
        self,
        users: UsersFile,
        *,
        threads: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime.date] | None = None,
    ) -> None:
        self._users = users
        self._clock = clock
        self._today = today or (lambda: datetime.datetime.now(datetime.timezone.utc).date())
        self._key = os.urandom(32)
        self._mutex = threading.Lock()
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._throttle = Throttle(clock)
        #: Checks that wait or run, by what is asked and from where.
        self._checks: dict[tuple[bytes, str], Future[User]] = {}
        self._queue: FairQueue[User] = FairQueue(threads or max(1, (os.cpu_count() or 1) - 1))
        #: Each of these lines comes with one of the access log, so that their sum needs no bound.
        self._refusal_log = LogBudget("refused credentials", together=None, clock=clock)
        #: When it was last logged that a user has expired.
        self._expired_logged_at: dict[str, float] = {}

    def authenticate(self, header: str, peer: str = "") -> User | Future[User]:
        """Return the user who sent this header, or a future of that user.

        Raises ``Unauthorized`` or ``TooManyRequests``, or the future does; both are logged.
        """
        self._refusal_log.summarize()
        name = None
        try:
            name, password = parse_basic(header)
            found = self._authenticate(name, password, peer)
        except HttpError as err:
            self._log_refusal(name, peer, err)
            raise
        return found

    def _log_refusal(self, name: str | None, peer: str, err: BaseException) -> None:
        """Log what fail2ban looks for; ``name`` is None where the header holds none."""
        tried = None if name is None else _shortened(name)
        user = "" if tried is None else f"user '{_quoted(tried)}' "
        where = f"from {peer or 'a local socket'}"
        if isinstance(err, TooManyRequests):
            text = f"{err.message}: refusing {user}{where} for {err.retry_after} s"
        elif not isinstance(err, Unauthorized):
            return
        elif tried is None:
            text = f"Authentication failed {where}: {err.message}"
        else:
            text = f"Authentication failed for {user}{where}"
        self._refusal_log.log(logging.WARNING, peer, text, {"client": peer, "tried": tried})

    def _authenticate(self, name: str, password: str, peer: str) -> User | Future[User]:
        """As ``authenticate``, but refusals that are raised at once are not logged."""
        if len(password) > MAX_LENGTH:
            raise denied(_WRONG)
        entry, decoys = self._users.find(name)
        cache_key = self._cache_key(name, password, entry)
        if entry is not None and self._is_remembered(cache_key) and not self._has_expired(entry):
            return entry.user
        is_local, address = _is_local(peer), network(peer)
        with self._mutex:
            running = self._checks.get((cache_key, address))
        if running is not None:
            return running
        suspicious = self._throttle.check(address, name, is_local)

        def check() -> User:
            # An expired user fails like any other, so that guessing learns nothing.
            right = _verify(name, password, entry, decoys)
            if not right or entry is None or self._has_expired(entry):
                self._throttle.record_failure(address, name)
                raise denied(_WRONG)
            self._throttle.record_success(address, name)
            self._remember(cache_key)
            return entry.user

        if not decoys:
            return check()
        found = self._queue.add(
            check, suspicious=suspicious, address="" if is_local else address, name=name
        )
        found.add_done_callback(lambda future: self._log_failed_check(name, peer, future))
        return self._share_check(cache_key, address, found)

    def _log_failed_check(self, name: str, peer: str, future: Future[User]) -> None:
        """Log the refusal that a check ended with, if it did."""
        err = future.exception()
        if err is not None:
            self._log_refusal(name, peer, err)

    def _share_check(self, cache_key: bytes, address: str, found: Future[User]) -> Future[User]:
        """Let requests with the same credentials and address share a check until it is done."""

        def forget(_: Future[User]) -> None:
            with self._mutex:
                if self._checks.get((cache_key, address)) is found:
                    del self._checks[cache_key, address]

        with self._mutex:
            self._checks[cache_key, address] = found
        found.add_done_callback(forget)
        return found

    def certified(self, name: str, peer: str = "") -> User | None:
        """Return the user whom a verified client certificate names; None if there is none."""
        entry, _ = self._users.find(name)
        if entry is not None and self._has_expired(entry):
            refusal = denied(_WRONG)
            self._log_refusal(name, peer, refusal)
            raise refusal
        return None if entry is None else entry.user

    def _has_expired(self, entry: UserEntry) -> bool:
        rights = entry.user.rights
        if rights.expires is None or not rights.has_expired(self._today()):
            return False
        name, now = entry.user.name, self._clock()
        with self._mutex:
            logged_at = self._expired_logged_at.get(name)
            due = logged_at is None or now - logged_at >= EXPIRED_LOG_INTERVAL
            if due:
                self._expired_logged_at[name] = now
        if due:
            logger.warning("User %s has expired, and is refused", name)
        return True

    # -- the cache of right credentials --------------------------------------------------

    def _cache_key(self, name: str, password: str, entry: UserEntry | None) -> bytes:
        """Return a digest of credentials and the user's line: a changed line changes the key."""
        parts = (
            name,
            password,
            "" if entry is None else entry.password.scheme,
            "" if entry is None else entry.password.text,
        )
        text = "\0".join(f"{len(part)}:{part}" for part in parts)
        return hmac.digest(self._key, text.encode("utf-8", "surrogateescape"), "sha256")

    def _is_remembered(self, cache_key: bytes) -> bool:
        now = self._clock()
        with self._mutex:
            last = self._known.get(cache_key)
            if last is None or now - last > REMEMBERED:
                self._known.pop(cache_key, None)
                return False
            self._known[cache_key] = now
            self._known.move_to_end(cache_key)
            return True

    def _remember(self, cache_key: bytes) -> None:
        with self._mutex:
            self._known[cache_key] = self._clock()
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)


_WRONG = "Wrong user name or password"


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_LOGGED else f"{name[:MAX_LOGGED]}..."


def _quoted(name: str) -> str:
    """Escape a name for use between quotes, so that it cannot end them and forge an address."""
    return name.replace("\\", "\\\\").replace("'", "\\x27")


def _verify(name: str, password: str, entry: UserEntry | None, decoys: Sequence[Password]) -> bool:
    """Return whether a password is right, at the same cost for every name."""
    stored = entry.password if entry is not None else NOBODY
    right = _matches(stored, name, password)
    for decoy in decoys:
        if decoy.costs != stored.costs:
            _matches(decoy, name, password)
    return right


def _matches(stored: Password, name: str, password: str) -> bool:
    try:
        return stored.matches(name, password)
    except ValueError as err:  # OpenSSL does not like the parameters after all
        logger.error("A {%s} password cannot be checked: %s", stored.scheme, err)
        return False


def _is_local(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return not peer
