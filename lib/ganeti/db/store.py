"""The master's database: SQLite, opened so that a commit survives a power cut.

Theory. One thread writes. Changes that arrive while it is busy are queued and
go into its next transaction together, each behind a savepoint of its own, so
that one that fails takes no other with it. A change's future is resolved only
after the commit returned, which with WAL and ``synchronous=FULL`` means that
the log is on the disk. So a caller who got an answer can tell a client.

Readers have a connection per thread and never wait for the writer.

When the disk refuses (full, read-only, broken) every change of the transaction
fails with ``StoreUnavailable`` and nothing of it is kept. The connection is
then opened anew: after a failed fsync the kernel may call pages clean that never
reached the disk (PostgreSQL's lesson of 2018), so nothing in memory is trusted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from ganeti import errors
from ganeti.db import schema
from ganeti.utils import io
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], Any]
#: Called with a change's outcome: (what it returned, None), or (None, the error).
Done = Callable[[Any, BaseException | None], object]

#: Changes that go into one transaction at most: bounds how long the first waits.
MAX_BATCH = 512
#: Seconds between attempts to write a change that the disk refuses.
STORE_RETRY = 1.0


class StoreUnavailable(errors.Error):
    """The disk did not take a change; nothing of it is kept."""


class DatabaseDamaged(errors.ConfigurationError):
    """What the database holds is not what was written."""


class Store:
    """The open database. ``create`` or ``open`` makes one; close it at the end."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._changes: queue.SimpleQueue[tuple[Change, Done] | None] = queue.SimpleQueue()
        self._readers = threading.local()
        self._reader_list: list[sqlite3.Connection] = []
        self._reader_mutex = threading.Lock()
        self._connection = _connect(path)
        self._closed = False
        #: Called, by whatever thread, when a damaged page is met.
        self.on_damage: Callable[[str], object] = lambda words: None
        #: Did the disk refuse the last change?
        self.refusing = False
        #: Changes that were refused since it took the last one.
        self._refused = 0
        #: Held while the callbacks of one transaction run, so that what they start sees all
        #: of it. Its holder must not wait for a change.
        self.delivering: Callable[[], contextlib.AbstractContextManager[Any]] = (
            contextlib.nullcontext
        )
        self._mutex = threading.Lock()  # nothing is queued after the end
        self._thread = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._thread.start()

    @classmethod
    def create(cls, path: str) -> Store:
        """Make an empty database; ``FileExistsError`` if there is a file already."""
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = _connect(path)
        schema.create(connection)
        connection.close()
        io.fsync_directory(os.path.dirname(path))
        return cls(path)

    @classmethod
    def open(cls, path: str, *, upgrade: bool = False) -> Store:
        """Open an existing database; ``ConfigurationError`` says what is wrong with it.

        One of an older schema is refused, or with ``upgrade`` brought to this one: older
        programs cannot open it any more, so keep a copy before (``maintenance.upgrade``).
        ``DatabaseDamaged`` when it cannot be read, though it is ours.
        """
        if not os.path.exists(path):
            raise errors.ConfigurationError(f"there is no database at {path}")
        connection = None
        try:
            connection = _connect(path)
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if application != schema.APPLICATION_ID:
                raise errors.ConfigurationError(f"{path} is not a database of this program")
            if not 1 <= version <= schema.VERSION:
                raise errors.ConfigurationError(
                    f"{path} has schema {version}, this program reads schemas 1 to "
                    f"{schema.VERSION}; nothing was changed"
                )
            if version != schema.VERSION:
                if not upgrade:
                    raise errors.ConfigurationError(
                        f"{path} has schema {version}, not {schema.VERSION}; nothing was "
                        "changed; ganeti-masterd upgrades it when it starts"
                    )
                _upgrade(connection, path, version)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as err:
            raise DatabaseDamaged(f"cannot read the database {path}: {err}") from None
        finally:
            if connection is not None:
                connection.close()
        return cls(path)

    def write(
        self,
        change: Callable[[sqlite3.Connection], T],
        done: Callable[[Future[T]], object] | None = None,
    ) -> Future[T]:
        """Have ``change`` made; the future holds what it returned, once that is durable.

        What ``change`` raises becomes the future's exception, and its writes
        are undone. ``StoreUnavailable`` when the disk refused, or after ``close``.

        ``done`` is called with the future as ``enqueue`` says; a callback that is added
        to the future later may come late, on the thread that adds it.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # a queued change cannot be canceled
        if done is not None:
            future.add_done_callback(done)

        def resolve(result: Any, error: BaseException | None) -> None:
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.enqueue(change, resolve)
        return future

    def write_with_retries(
        self, change: Callable[[sqlite3.Connection], T], stop: threading.Event, *, title: str
    ) -> T:
        """Write ``change`` and return its result once that is durable.

        A change that the disk refuses is tried again each second until the disk takes it; once
        ``stop`` is set, the refusal is raised as ``StoreUnavailable`` instead. The log says once
        that ``title`` waits for the disk.
        """
        logged = False
        while True:
            try:
                result = self.write(change).result()
                break
            except StoreUnavailable as err:
                if not logged:
                    logged = True
                    logger.error("%s: waiting for the disk: %s", title, err)
                if stop.wait(STORE_RETRY):
                    raise
        if logged:
            logger.info("%s: the disk accepts changes again", title)
        return result

    def enqueue(self, change: Change, done: Done) -> None:
        """Queue a change as ``write`` does; call ``done`` once it is durable, or refused.

        The writer's thread calls it, in the order in which the changes were made. It must
        be quick, and not fail.
        """
        with self._mutex:
            closed = self._closed
            if not closed:
                self._changes.put((change, done))
        if closed:
            done(None, StoreUnavailable("the database is closed"))

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, showing what is committed; this thread's own.

        ``DatabaseDamaged`` when what is asked of it cannot be read.
        """
        connection = getattr(self._readers, "connection", None)
        if connection is None:
            connection = _connect(self._path)
            connection.execute("PRAGMA query_only=ON")
            self._readers.connection = connection
            with self._reader_mutex:
                self._reader_list.append(connection)
        try:
            yield connection
        except (sqlite3.DatabaseError, UnicodeDecodeError) as err:
            raise DatabaseDamaged(
                f"cannot read the database: {self._report_failure('read', err)}"
            ) from None

    def _report_failure(self, what: str, err: Exception) -> str:
        """Log what is wrong, report damage; return the words, without what a row holds."""
        words, quoted, _ = str(err).partition(_QUOTED)
        logger.error("Cannot %s the database %s: %s", what, self._path, words)
        if quoted or type(err) in (sqlite3.DatabaseError, UnicodeDecodeError):
            self.on_damage(f"cannot {what} it: {words}")
        return words

    def close(self) -> None:
        """Write the queued changes, then close; closing twice is harmless."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            self._changes.put(None)
        self._thread.join()
        with self._reader_mutex:
            for connection in self._reader_list:
                connection.close()
        self._connection.close()

    # -- the writer's thread ---------------------------------------------------

    def _write_all(self) -> None:
        closing = False
        while not closing:
            batch: list[tuple[Change, Done]] = []
            item = self._changes.get()
            while True:
                if item is None:
                    closing = True
                    break
                batch.append(item)
                if len(batch) == MAX_BATCH:
                    break
                try:
                    item = self._changes.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._write_batch(batch)

    def _write_batch(self, batch: list[tuple[Change, Done]]) -> None:
        """Write one transaction, then call back for each of its changes."""
        answers: list[tuple[Done, Any, BaseException | None]] = []
        committing = False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for change, done in batch:
                answers.append((done, *self._apply(change, alone=len(batch) == 1)))
            committing = True
            self._connection.execute("COMMIT")
            self._note_success()
        except Exception as err:  # whatever it is, this thread goes on
            words = _message_of(err)
            self._note_refusal(len(batch), words)
            self._reconnect()
            if committing:
                self._overwrite()
            refusal = StoreUnavailable(f"the disk did not take a change: {words}")
            answers = [(done, None, refusal) for _, done in batch]
        with self.delivering():
            for done, result, error in answers:
                try:
                    done(result, error)
                except Exception:  # the other callbacks must run as well
                    logger.exception("Whoever waited for a change failed")

    def _note_refusal(self, changes: int, words: str) -> None:
        """Log the first of a row of refusals: of many writers each would cause a line."""
        if not self.refusing:
            logger.error(
                "Cannot write to the database %s, and refuse every change until that "
                "works again: %s",
                self._path,
                words,
            )
        self.refusing = True
        self._refused += changes

    def _note_success(self) -> None:
        """Log that changes are written again, if they were not."""
        if self.refusing:
            logger.info(
                "Writing to the database %s works again; changes that were refused meanwhile: %d",
                self._path,
                self._refused,
            )
        self.refusing, self._refused = False, 0

    def _apply(self, change: Change, *, alone: bool) -> tuple[Any, BaseException | None]:
        """Make one change; its own failure is its own: it has a savepoint, or is alone."""
        execute = self._connection.execute
        if not alone:
            execute("SAVEPOINT one")
        try:
            result = change(self._connection)
        except (sqlite3.OperationalError, OSError):
            raise  # the disk, or our own mistake: all fail
        except Exception as err:
            if alone:
                execute("ROLLBACK")
                execute("BEGIN")  # there is nothing left to commit
            else:
                execute("ROLLBACK TO one")
                execute("RELEASE one")
            if type(err) is sqlite3.DatabaseError:  # a page that this one needs is damaged
                self._report_failure("change", err)
                err = StoreUnavailable(f"the database did not take a change: {err}")
            return None, err
        if not alone:
            execute("RELEASE one")
        return result, None

    def _overwrite(self) -> None:
        """Write over what a commit that failed left in the log.

        It may be there whole: the disk refused to sync it, but took it. A master that is
        killed before the next commit would find it there and apply what was refused. This
        replaces it, even if it is not synced either.
        """
        with contextlib.suppress(sqlite3.Error):
            schema.store_value(self._connection, "store.refused", "true")

    def _reconnect(self) -> None:
        """Drop the transaction and everything that the connection remembers."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
            self._connection = _connect(self._path)


#: Before what a row holds, in an error about bytes that are not UTF-8.
_QUOTED = " with text "


def _message_of(err: Exception) -> str:
    """The words of an error, without what a row holds."""
    text = describe_os_error(err) if isinstance(err, OSError) else str(err)
    return text.partition(_QUOTED)[0]


def _upgrade(connection: sqlite3.Connection, path: str, version: int) -> None:
    """Bring a database to this program's schema, or leave it as it is."""
    logger.info("Bringing %s from schema %d to %d", path, version, schema.VERSION)
    try:
        schema.upgrade(connection, version)
    except sqlite3.OperationalError as err:  # a full disk, say: no damage
        raise errors.ConfigurationError(
            f"cannot bring {path} from schema {version} to {schema.VERSION}: {err}; "
            "nothing was changed"
        ) from None


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=256
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    schema.prepare(connection)
    return connection
