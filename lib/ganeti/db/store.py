"""The master's database: SQLite, opened so that a commit survives a power failure.

Theory. One thread writes. Changes that arrive while it is busy are queued and go into its next
transaction together (group commit). Each has its own savepoint, so that one that fails does not
affect the others. A change's future is resolved only after the commit has returned, and with WAL
and ``synchronous=FULL`` the log is on the disk by then. So a caller that got its answer may pass
it on to a client.

Each reading thread has its own connection, and never waits for the writer.

When the disk refuses (full, read-only, broken), every change of the transaction fails with
``StoreUnavailable``, and nothing of it is kept. The connection is then opened anew: after a failed
fsync the kernel may mark pages as clean that never reached the disk (PostgreSQL learned this in
2018), so nothing that the connection remembers can be trusted.
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
#: Writes through the connection; what it returns is the result of the change.
Change = Callable[[sqlite3.Connection], object]
#: Called with the outcome of a change: its result and None, or None and the error.
Done = Callable[[Any, BaseException | None], object]

#: Maximum number of changes in one transaction: bounds how long the first of them waits.
MAX_BATCH = 512
#: Seconds between attempts to write a change that the disk refuses.
STORE_RETRY = 1.0


class StoreUnavailable(errors.Error):
    """The disk refused a change; nothing of it is kept."""


class DatabaseDamaged(errors.ConfigurationError):
    """The content of the database is not what was written."""


class Store:
    """The open database, made by ``create`` or ``open``; close it at the end."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._changes: queue.SimpleQueue[tuple[Change, Done] | None] = queue.SimpleQueue()
        self._readers = threading.local()
        self._reader_list: list[sqlite3.Connection] = []
        self._reader_mutex = threading.Lock()
        self._connection = _connect(path)
        self._closed = False
        #: Called by any thread that finds a damaged page.
        self.on_damage: Callable[[str], object] = lambda words: None
        #: Whether the disk refused the last change.
        self.refusing = False
        #: Number of changes refused since the disk took the last one.
        self._refused = 0
        #: Makes the context in which the callbacks of one transaction run. The queue holds a lock
        #: in it, so that work which one callback starts sees what the others do. Code that holds
        #: this lock must not wait for a change: the writer waits for the lock.
        self.delivering: Callable[[], contextlib.AbstractContextManager[None]] = (
            contextlib.nullcontext
        )
        self._mutex = threading.Lock()  # so that nothing is queued after ``close``
        self._thread = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._thread.start()

    @classmethod
    def create(cls, path: str) -> Store:
        """Make and open an empty database; raise ``FileExistsError`` if the file exists."""
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = _connect(path)
        schema.create(connection)
        connection.close()
        io.fsync_directory(os.path.dirname(path))
        return cls(path)

    @classmethod
    def open(cls, path: str, *, upgrade: bool = False) -> Store:
        """Open an existing database.

        Raises ``ConfigurationError`` if there is none, if it belongs to another program, or if
        its schema is older or newer; ``DatabaseDamaged`` if it cannot be read. With ``upgrade``,
        an older schema is brought to this one. Older programs cannot open the database then, so
        keep a copy first (``maintenance.upgrade``).
        """
        if not os.path.exists(path):
            raise errors.ConfigurationError(f"there is no database at {path}")
        connection = None
        try:
            connection = _connect(path)
            application_id, version = schema.identify(connection)
            if application_id != schema.APPLICATION_ID:
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
            raise DatabaseDamaged(f"cannot read the database {path}: {err}") from err
        finally:
            if connection is not None:
                connection.close()
        return cls(path)

    def write(
        self,
        change: Callable[[sqlite3.Connection], T],
        done: Callable[[Future[T]], object] | None = None,
    ) -> Future[T]:
        """Queue a change; return a future of its result, resolved once that is durable.

        An exception of ``change`` becomes that of the future, and its writes are undone. The
        future raises ``StoreUnavailable`` if the disk refuses, or after ``close``.

        ``done`` is called with the future in the order of the changes (``enqueue``). A callback
        added to the future later may run late, and on the thread that adds it.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # a queued change cannot be canceled
        if done is not None:
            future.add_done_callback(done)

        def resolve(result: T, error: BaseException | None) -> None:
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
        """Queue a change as ``write`` does; call ``done`` once it is durable or refused.

        The writer's thread calls it, in the order in which the changes were made. It must be
        quick, and must not raise.
        """
        with self._mutex:
            closed = self._closed
            if not closed:
                self._changes.put((change, done))
        if closed:
            done(None, StoreUnavailable("the database is closed"))

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection for reading, which sees what is committed.

        Raises ``DatabaseDamaged`` if a query in the ``with`` block finds damage.
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
            # The chain is cut because SQLite's message may quote a row, and so a secret.
            raise DatabaseDamaged(
                f"cannot read the database: {self._report_failure('read', err)}"
            ) from None

    def _report_failure(self, what: str, err: Exception) -> str:
        """Log an error and report damage; return the message without the content of a row."""
        words, quoted, _ = str(err).partition(_QUOTED)
        logger.error("Cannot %s the database %s: %s", what, self._path, words)
        if quoted or type(err) in (sqlite3.DatabaseError, UnicodeDecodeError):
            self.on_damage(f"cannot {what} it: {words}")
        return words

    def close(self) -> None:
        """Write the queued changes and close the database; doing it twice is harmless."""
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

    # -- on the writer's thread -----------------------------------------------------

    def _write_all(self) -> None:
        """Write batches of whatever is queued, until ``close`` queues None."""
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
        """Write one transaction, then call the callback of each of its changes."""
        answers: list[tuple[Done, object, BaseException | None]] = []
        committing = False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for change, done in batch:
                answers.append((done, *self._apply(change, alone=len(batch) == 1)))
            committing = True
            self._connection.execute("COMMIT")
            self._note_success()
        except Exception as err:  # this thread must live on, whatever happened
            words = _message_of(err)
            self._note_refusal(len(batch), words)
            self._reconnect()
            if committing:
                self._overwrite()
            # Every change fails, also those that were applied: the transaction is gone.
            refusal = StoreUnavailable(f"the disk did not take a change: {words}")
            answers = [(done, None, refusal) for _, done in batch]
        with self.delivering():
            for done, result, error in answers:
                try:
                    done(result, error)
                except Exception:  # the other callbacks must run as well
                    logger.exception("Commit callback failed")

    def _note_refusal(self, changes: int, words: str) -> None:
        """Log the first refusal only: many clients may try to change something."""
        if not self.refusing:
            logger.error(
                "Cannot write to the database %s; refusing every change until that works again: %s",
                self._path,
                words,
            )
        self.refusing = True
        self._refused += changes

    def _note_success(self) -> None:
        """Log that changes are written again, if they were refused."""
        if self.refusing:
            logger.info(
                "Writing to the database %s works again; refused changes: %d",
                self._path,
                self._refused,
            )
        self.refusing, self._refused = False, 0

    def _apply(self, change: Change, *, alone: bool) -> tuple[object, BaseException | None]:
        """Make one change; return its result and error.

        An error affects no other change: this one has a savepoint, or is alone in its
        transaction, which saves the savepoint's two statements.
        """
        execute = self._connection.execute
        if not alone:
            execute("SAVEPOINT one")
        try:
            result = change(self._connection)
        except (sqlite3.OperationalError, OSError):
            raise  # the disk, or a mistake of ours: the whole transaction fails
        except Exception as err:
            if alone:
                execute("ROLLBACK")
                execute("BEGIN")  # for the COMMIT of ``_write_batch``, which writes nothing now
            else:
                execute("ROLLBACK TO one")
                execute("RELEASE one")
            # This very class means damage. A subclass means, say, that a constraint is violated.
            if type(err) is sqlite3.DatabaseError:
                self._report_failure("change", err)
                err = StoreUnavailable(f"the database did not take a change: {err}")
            return None, err
        if not alone:
            execute("RELEASE one")
        return result, None

    def _overwrite(self) -> None:
        """Overwrite what a failed commit left in the log.

        The log may contain that commit whole, if the disk took it but refused to sync it. If
        the master is killed before the next commit, its successor would apply changes whose
        clients were told that they had failed. Another commit takes the place of that one in the
        log, even if it is not synced either.
        """
        with contextlib.suppress(sqlite3.Error):
            schema.store_value(self._connection, "store.refused", "true")

    def _reconnect(self) -> None:
        """Roll back, and open the connection anew to forget what it has cached."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
            self._connection = _connect(self._path)


#: Precedes the content of a row in SQLite's message about bytes that are not UTF-8.
_QUOTED = " with text "


def _message_of(err: Exception) -> str:
    """Return the message of an error without the content of a row."""
    text = describe_os_error(err) if isinstance(err, OSError) else str(err)
    return text.partition(_QUOTED)[0]


def _upgrade(connection: sqlite3.Connection, path: str, version: int) -> None:
    """Bring a database to this program's schema, or raise ``ConfigurationError`` and leave it."""
    logger.info("Upgrading %s from schema %d to %d", path, version, schema.VERSION)
    try:
        schema.upgrade(connection, version)
    except sqlite3.OperationalError as err:  # not damage; a full disk, for example
        raise errors.ConfigurationError(
            f"cannot upgrade {path} from schema {version} to {schema.VERSION}: {err}; "
            "nothing was changed"
        ) from err


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=256
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    schema.prepare(connection)
    return connection
