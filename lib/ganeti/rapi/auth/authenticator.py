"""Users authenticated by the users file, at a bounded cost.

HTTP Basic sends the password with every request, and a good hash takes a tenth of a second. So
credentials that were verified are remembered for a minute of use, as a keyed digest that
includes the stored password: a changed line invalidates them at once. ``throttle`` may refuse
other credentials. Else they wait in a bounded queue for one of a few threads; waiting holds no
thread that answers requests. Requests that send the same credentials from the same address share
one check, so that a program which opens twenty connections at once waits once.

Each check of a password computes one hash of each costly kind that the file has, either the
user's or a decoy's. So the time it takes does not reveal which names exist.

Refused credentials are logged with the user's name and the address, for fail2ban and for
people: always for the first failures of each address (``utils.limits.LogBudget``). A request
without credentials is not a failure, because clients try without them first.
"""

from __future__ import annotations

import binascii
import datetime
import hmac
import ipaddress
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from ganeti.constants import HTTP_BASIC_REALM
from ganeti.http.errors import HttpError, TooManyRequests, Unauthorized
from ganeti.rapi.auth.passwords import CONTROL, MAX_LENGTH, NOBODY, Password
from ganeti.rapi.auth.rights import Vocabulary
from ganeti.rapi.auth.throttle import FairQueue, Throttle
from ganeti.rapi.auth.users import (
    MAX_COMPLAINTS,
    BrokenFile,
    User,
    UserEntry,
    cure,
    decoys,
    error_text,
    exposure_warnings,
    named_users,
    parse_users,
    read_file,
)
from ganeti.utils.dir_cache import SETTLED_NS
from ganeti.utils.limits import LogBudget, network

logger = logging.getLogger(__name__)

CHALLENGE = ("WWW-Authenticate", f'Basic realm="{HTTP_BASIC_REALM}"')

# -- the header ------------------------------------------------------------------------


def denied(message: str | None = None) -> Unauthorized:
    """Return a 401 with the challenge for HTTP Basic."""
    return Unauthorized(message, headers=[CHALLENGE])


def parse_basic(header: str | None) -> tuple[str, str]:
    """Return the name and password of an ``Authorization`` header (RFC 7617).

    Raises ``Unauthorized``.
    """
    if not header:
        raise denied()
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        raise denied("Only HTTP Basic authentication is supported")
    rest = rest.strip(" ")
    try:
        data = binascii.a2b_base64(rest, strict_mode=True)
    except ValueError:  # binascii.Error is one
        data = b""
    # Strict mode still accepts surplus padding. Encode again to refuse a second spelling.
    if not data or binascii.b2a_base64(data, newline=False) != rest.encode("latin-1"):
        raise denied("Header Authorization is not valid Base64")
    # RFC 7617 leaves the encoding to the client, and old ones use latin-1 without saying so.
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if CONTROL.search(text):
        raise denied("Header Authorization contains control characters (RFC 7617, 2)")
    name, colon, password = text.partition(":")
    if not colon:
        raise denied("Header Authorization contains no colon between name and password")
    return name, password


# -- the file --------------------------------------------------------------------------


#: Seconds that a lookup waits for a file that was changed a moment ago to settle.
SETTLING = 1.2 * SETTLED_NS / 1e9

#: Path, time of the last change in nanoseconds, size, inode; None without a file.
_Stamp = tuple[str, int, int, int] | None


class UsersFile:
    """The users in the first of ``paths`` that exists, read again when it has changed.

    Each lookup compares the file's time stamp, so that a change counts at once and without a
    signal. A file that cannot be read as a whole is logged once, and the previous users stay in
    force; without a file there are no users. Complaints are logged once for each version of the
    file. Safe to use from several threads.

    A later path is considered at the start and at a reload only. If an earlier file goes away in
    between, the later one does not take its place: some editors remove a file for a moment while
    they replace it, and the users of a forgotten file would come back.

    If a file was changed a moment ago and does not end with a newline, its last line may be half
    written. Cut short, a line might give more rights or a shorter password than in full. So its
    user waits until the file has settled.
    """

    def __init__(
        self,
        paths: Sequence[str],
        vocabulary: Vocabulary = Vocabulary(),
        clock_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._paths = tuple(paths)
        #: Number of paths that are considered now.
        self._candidates = len(self._paths)
        self._vocabulary = vocabulary
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._mutex = threading.Lock()
        self._users: Mapping[str, UserEntry] = {}
        self._decoys: tuple[Password, ...] = ()
        #: Names on a last line that may be half written.
        self._doubtful: Sequence[str] = ()
        #: Bytes after the last newline of the version in which they were believed.
        self._last_line = b""
        self._stamp: _Stamp = None
        #: Time of the clock when the file was first seen with this stamp.
        self._first_seen = 0
        self._settled = True
        #: Error that was logged last.
        self._error = ""
        #: Complaints about the version in force, and those that were logged last.
        self._complaints: tuple[_Stamp, list[str]] = (None, [])
        self._logged: tuple[_Stamp, list[str]] = (None, [])

    def find(self, name: str) -> tuple[UserEntry | None, tuple[Password, ...]]:
        """Return a user's entry (None: no such user), and the file's decoys.

        Waits ``SETTLING`` seconds if the user's line may be half written.
        """
        with self._mutex:
            self._refresh()
            if name not in self._doubtful:
                return self._users.get(name), self._decoys
        self._sleep(SETTLING)
        with self._mutex:
            self._refresh()
            return self._users.get(name), self._decoys

    def load(self) -> list[str]:
        """Read the file for the first time; return complaints, which are not logged.

        Raises ``BrokenFile``, whose text names the file and the cure, if the file exists and
        cannot be used.
        """
        with self._mutex:
            self._candidates = len(self._paths)
            stamp = self._current_stamp()
            path = self._paths[0] if stamp is None else stamp[0]
            try:
                self._load_version(stamp, requested=True)
            except FileNotFoundError:  # removed since we looked; the next lookup notices
                self._settled = False
            except OSError as err:
                raise BrokenFile(
                    f"cannot read the users file {path}: {error_text(err)}; {cure(path, err)}"
                ) from err
            except BrokenFile as err:
                raise BrokenFile(
                    f"the users file {path} is broken, and no user could log in: {err}"
                ) from err
            self._logged = self._complaints
            return list(self._complaints[1])

    def reload(self) -> int | None:
        """Read the file now, even if it seems unchanged; return its number of users.

        If the file cannot be used, log that, keep the previous users and return None.
        """
        with self._mutex:
            self._error = ""  # so that the error is logged again if it persists
            self._candidates = len(self._paths)
            self._reload_if_usable(self._current_stamp(), requested=True)
            self._log_complaints()
            return None if self._error else len(self._users)

    def _refresh(self) -> None:
        stamp = self._current_stamp()
        if stamp != self._stamp or not self._settled:
            self._reload_if_usable(stamp)
        if self._settled:  # otherwise complaints may be about half a file
            self._log_complaints()

    def _current_stamp(self) -> _Stamp:
        for path in self._paths[: self._candidates]:
            try:
                return _stamp(path, os.stat(path))
            except FileNotFoundError:
                continue
            except OSError:
                return path, 0, 0, 0  # it exists; reading it will report the error
        return None

    def _reload_if_usable(self, stamp: _Stamp, requested: bool = False) -> None:
        """Load the current content; if it cannot be used, log why and keep the users."""
        path = "" if stamp is None else stamp[0]
        try:
            self._load_version(stamp, requested)
            self._error = ""
        except FileNotFoundError:
            self._settled = False  # removed since we looked
        except (OSError, BrokenFile) as err:
            reason = error_text(err) if isinstance(err, OSError) else str(err)
            self._log_error(f"{path}: {reason}")

    def _load_version(self, stamp: _Stamp, requested: bool = False) -> None:
        """Load the users of this version.

        ``requested``: at a start or reload, the file is taken to be complete. Raises ``OSError``
        and ``BrokenFile``.
        """
        self._note_version(stamp)
        if stamp is None:
            self._users, self._decoys, self._doubtful = {}, (), ()
            self._complaints = stamp, [self._no_file_complaint()]
            return
        path = stamp[0]
        data, found = read_file(path)
        if _stamp(path, found) != stamp:
            self._settled = False  # written to since we looked
        users, complaints = parse_users(data, self._vocabulary)
        self._users = self._without_unfinished_line(users, data, requested)
        self._decoys = decoys(self._users.values())
        if not self._users:
            complaints.append(
                "it contains no users, so nobody can log in; add one with: rapi-passwd NAME"
            )
        complaints += exposure_warnings(found.st_mode, self._users)
        over = len(complaints) - MAX_COMPLAINTS
        more = [f"and {over} more"] if over > 0 else []
        texts = [f"{path}: {text}" for text in [*complaints[:MAX_COMPLAINTS], *more]]
        if path != self._paths[0]:
            texts.insert(0, f"{self._paths[0]} does not exist; the users are those of {path}")
        self._complaints = stamp, texts
        self._candidates = self._paths.index(path) + 1

    def _without_unfinished_line(
        self, users: Mapping[str, UserEntry], data: bytes, requested: bool
    ) -> Mapping[str, UserEntry]:
        """Return the users except those of a last line that may be half written."""
        last = data.rpartition(b"\n")[2]
        # A line that counted before cannot give its user more than it gave then.
        counted_before = last == self._last_line
        if self._settled or requested or counted_before:
            self._last_line, self._doubtful = last, ()
        else:
            self._doubtful = named_users(last)
        return {name: entry for name, entry in users.items() if name not in self._doubtful}

    def _no_file_complaint(self) -> str:
        """Return the complaint about a missing users file."""
        first = self._paths[0]
        text = f"There is no users file ({first}), so nobody can log in; create one with: "
        others = [path for path in self._paths[self._candidates :] if os.path.exists(path)]
        if not others:
            return text + "rapi-passwd NAME"
        return (
            f"{text}rapi-passwd --file {first} NAME; after a reload (SIGHUP) or restart, the users "
            f"of {others[0]} would count"
        )

    def _note_version(self, stamp: _Stamp) -> None:
        """Remember which version is read, and whether it has settled.

        A time stamp in the future (a clock was set back) says nothing about the file's age. Such
        a version has settled once it has been seen for long enough.
        """
        now = self._clock_ns()
        if stamp != self._stamp:
            self._stamp, self._first_seen = stamp, now
        if stamp is None:
            self._settled = True
        else:
            unchanged_for = max(now - stamp[1], abs(now - self._first_seen))
            # A program that writes in place may be seen halfway, so that a file which has just
            # changed is read again even if its time stamp stays.
            self._settled = unchanged_for > SETTLED_NS

    def _log_error(self, text: str) -> None:
        if text != self._error:
            logger.error("Users file not reloaded, keeping previous users: %s", text)
        self._error = text

    def _log_complaints(self) -> None:
        if self._complaints != self._logged:
            for text in self._complaints[1]:
                logger.warning("%s", text)
            self._logged = self._complaints


def _stamp(path: str, found: os.stat_result) -> _Stamp:
    return path, found.st_mtime_ns, found.st_size, found.st_ino


# -- the authenticator -----------------------------------------------------------------


#: Seconds since their last use that verified credentials are remembered.
REMEMBERED = 60.0
#: Credentials that are remembered; beyond that, the least recently used are forgotten.
MAX_KNOWN = 1024
#: Characters of a name that are logged; a name may be as long as a header.
MAX_LOGGED = 64
#: Seconds until it is logged again that the same user has expired.
EXPIRED_LOG_INTERVAL = 3600.0


class Authenticator:
    """Finds the user who sent a request. Safe to use from several threads."""

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
        #: Cache key -> the clock's time of the last use, least recently used first.
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._throttle = Throttle(clock)
        #: Checks that wait or run, by (cache key, address).
        self._checks: dict[tuple[bytes, str], Future[User]] = {}
        self._queue: FairQueue[User] = FairQueue(threads or max(1, (os.cpu_count() or 1) - 1))
        #: Not bounded for all addresses together, since each line goes with one of the access log.
        self._refusal_log = LogBudget("refused credentials", together=None, clock=clock)
        #: User -> the clock's time when it was last logged that the user has expired.
        self._expired_logged_at: dict[str, float] = {}

    def authenticate(self, header: str, peer: str = "") -> User | Future[User]:
        """Return the user who sent an ``Authorization`` header, or a future of that user.

        ``peer`` is the client's address. Raises ``Unauthorized`` or ``TooManyRequests``, or the
        future does; both are logged.
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
        """Log the line that fail2ban looks for; ``name`` is None if the header has none."""
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
        """Do the work of ``authenticate``, but do not log refusals that are raised at once."""
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
            # An expired user fails like an unknown one, so that guessing learns nothing.
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
        """Log the refusal if the check ended with one."""
        err = future.exception()
        if err is not None:
            self._log_refusal(name, peer, err)

    def _share_check(self, cache_key: bytes, address: str, found: Future[User]) -> Future[User]:
        """Let requests with the same credentials and address share a check while it is running."""

        def forget(_: Future[User]) -> None:
            with self._mutex:
                if self._checks.get((cache_key, address)) is found:
                    del self._checks[cache_key, address]

        with self._mutex:
            self._checks[cache_key, address] = found
        found.add_done_callback(forget)
        return found

    def certified(self, name: str, peer: str = "") -> User | None:
        """Return the user named by a verified client certificate; None if there is no such user.

        Raises ``Unauthorized`` if the user has expired.
        """
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
            logger.warning("Refusing user %s, who has expired", name)
        return True

    # -- the cache of verified credentials --------------------------------------------------

    def _cache_key(self, name: str, password: str, entry: UserEntry | None) -> bytes:
        """Return a digest of the credentials and the stored password.

        A changed password in the users file thus invalidates what was remembered.
        """
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
    """Return a name escaped for quotes, so that it cannot end them and forge an address."""
    return name.replace("\\", "\\\\").replace("'", "\\x27")


def _verify(name: str, password: str, entry: UserEntry | None, decoys: Sequence[Password]) -> bool:
    """Return whether a password is right; cost the same for every name."""
    stored = entry.password if entry is not None else NOBODY
    right = _matches(stored, name, password)
    for decoy in decoys:
        if decoy.costs != stored.costs:
            _matches(decoy, name, password)
    return right


def _matches(stored: Password, name: str, password: str) -> bool:
    try:
        return stored.matches(name, password)
    except ValueError as err:  # OpenSSL refuses parameters that we allow
        logger.error("Cannot check a {%s} password: %s", stored.scheme, err)
        return False


def _is_local(peer: str) -> bool:
    """Return whether a peer is on this machine; a local socket's peer is ''."""
    if not peer:
        return True
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False
