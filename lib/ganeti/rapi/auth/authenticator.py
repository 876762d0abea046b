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
        """Its result, or what it raises, or ``TooManyRequests``, which may come at once as well.

        ``address`` is '' for one who may speak for many.
        """
        pushed_out = None
        with self._changed:
            of_address = sum(place.address == address for place in self._waiting)
            if not address:
                of_address = 0
            elif of_address >= MAX_WAITING_OF_ADDRESS:
                raise _too_many()
            of_name = sum(place.name == name for place in self._waiting)
            place = _QueuedCheck(work, address, name, (suspicious, of_address, of_name), Future())
            if len(self._waiting) >= MAX_WAITING:
                pushed_out = max(reversed(self._waiting), key=_rank)
                if pushed_out.rank <= place.rank:
                    raise _too_many()
                self._waiting.remove(pushed_out)
            self._waiting.append(place)
            self._start()
            self._changed.notify()
        if pushed_out is not None:
            pushed_out.result.set_exception(_too_many())
        return place.result

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
                place = min(self._waiting, key=_rank)
                self._waiting.remove(place)
            try:
                found = place.work()
            except Exception as err:
                place.result.set_exception(err)
            else:
                place.result.set_result(found)
            del place  # it holds a password


def _rank(place: _QueuedCheck[Any]) -> tuple[bool, int, int]:
    return place.rank


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
#: Seconds until the log tells again that the same user has expired.
EXPIRED_AGAIN = 3600.0


@dataclass
class _Failures:
    count: float = 0.0
    last: float = 0.0
    until: float = 0.0


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
        #: By address and name, or b"" for all names; a name as a digest, as it may be long.
        self._failures: OrderedDict[tuple[str, bytes], _Failures] = OrderedDict()
        #: Checks that wait or run, by what is asked and from where.
        self._checks: dict[tuple[bytes, str], Future[User]] = {}
        self._line: FairQueue[User] = FairQueue(threads or max(1, (os.cpu_count() or 1) - 1))
        #: Each of these stands beside a line of the access log, so that their sum needs no bound.
        self._lines = LogBudget("refused credentials", together=None, clock=clock)
        #: When the log told last that a user has expired.
        self._told_expired: dict[str, float] = {}

    def authenticate(self, header: str, peer: str = "") -> User | Future[User]:
        """Who sent this header from there; raises, or later fails with, ``Unauthorized`` or
        ``TooManyRequests``, which are logged."""
        self._lines.summarize()
        name = None
        try:
            name, password = parse_basic(header)
            found = self._find(name, password, peer)
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
        self._lines.log(logging.WARNING, peer, text, {"client": peer, "tried": tried})

    def _find(self, name: str, password: str, peer: str) -> User | Future[User]:
        """As ``authenticate``, without the lines for what is refused at once."""
        if len(password) > MAX_LENGTH:
            raise denied(_WRONG)
        entry, decoys = self._users.find(name)
        mark = self._mark(name, password, entry)
        if entry is not None and self._remembers(mark) and not self._is_over(entry):
            return entry.user
        here, source = _is_here(peer), network(peer)
        with self._mutex:
            running = self._checks.get((mark, source))
        if running is not None:
            return running
        suspicious = self._slow_down(source, name, here)

        def check() -> User:
            # Who has expired fails like any other: a guesser does not learn what was right.
            right = _check(name, password, entry, decoys)
            if not right or entry is None or self._is_over(entry):
                self._failed(source, name)
                raise denied(_WRONG)
            self._succeeded(source, name, mark)
            return entry.user

        if not decoys:
            return check()
        found = self._line.add(
            check, suspicious=suspicious, address="" if here else source, name=name
        )
        found.add_done_callback(lambda future: self._log_later(name, peer, future))
        return self._shared(mark, source, found)

    def _log_later(self, name: str, peer: str, future: Future[User]) -> None:
        """Log the refusal that a check ended with, if it did."""
        err = future.exception()
        if err is not None:
            self._log_refusal(name, peer, err)

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

    def certified(self, name: str, peer: str = "") -> User | None:
        """The user whom a verified client certificate names; None when there is none."""
        entry, _ = self._users.find(name)
        if entry is not None and self._is_over(entry):
            refusal = denied(_WRONG)
            self._log_refusal(name, peer, refusal)
            raise refusal
        return None if entry is None else entry.user

    def _is_over(self, entry: UserEntry) -> bool:
        if not entry.user.rights.has_expired(self._today()):
            return False
        name, now = entry.user.name, self._clock()
        with self._mutex:
            told = self._told_expired.get(name)
            again = told is None or now - told >= EXPIRED_AGAIN
            if again:
                self._told_expired[name] = now
        if again:
            logging.warning("User %s has expired, and is refused", name)
        return True

    # -- what was right -----------------------------------------------------------------

    def _mark(self, name: str, password: str, entry: UserEntry | None) -> bytes:
        """Of these credentials and this line of the file: another password makes another."""
        parts = (
            name,
            password,
            "" if entry is None else entry.password.scheme,
            "" if entry is None else entry.password.text,
        )
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
            raise TooManyRequests(
                "Too many wrong passwords from this address", retry_after=int(max(pauses)) + 1
            )
        return any(
            failures is not None and now - failures.last <= FORGIVEN * failures.count
            for failures in found
        )

    def _failed(self, peer: str, name: str) -> None:
        now = self._clock()
        with self._mutex:
            for key, free in (
                ((peer, self._digest(name)), FREE_TRIES),
                ((peer, b""), FREE_TRIES_OF_ADDRESS),
            ):
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


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_LOGGED else f"{name[:MAX_LOGGED]}..."


def _quoted(name: str) -> str:
    """A name for between quotes: none within it can end it, and forge an address."""
    return name.replace("\\", "\\\\").replace("'", "\\x27")


def _check(name: str, password: str, entry: UserEntry | None, decoys: Sequence[Password]) -> bool:
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
    except ValueError as err:  # OpenSSL does not like the parameters after all
        logging.error("A {%s} password cannot be checked: %s", stored.scheme, err)
        return False


def _is_here(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return not peer
