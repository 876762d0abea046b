"""ganeti-masterd: puts configuration, locks, queue and socket together."""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import grp
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence

from ganeti import constants, daemon, errors, hooks, locking, mcpu, other_ganeti, pathutils
from ganeti.cmdlib import recovery
from ganeti.cmdlib.base import Environment
from ganeti.config.config import Config
from ganeti.daemon import options, privileges
from ganeti.db import files
from ganeti.jqueue.queue import JobQueue
from ganeti.maintenance import check, repair, upgrade
from ganeti.node.agents import Nodes
from ganeti.query.engine import Sources
from ganeti.server import luxi_server
from ganeti.utils import host, io
from ganeti.utils.event_loop import Loop
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

#: Seconds that running jobs have to end when the daemon is stopped.
STOP_GRACE = 5.0
#: Python looks for garbage after every 700th new object by default. With thousands of jobs in
#: memory that takes a tenth of the master's time.
GC_THRESHOLDS = 20_000, 20, 20
#: Days after which a job that has ended is archived.
ARCHIVE_DAYS = 30.0
#: Seconds between two searches for such jobs.
ARCHIVE_EVERY = 3600.0
#: Days after which an archived job is deleted; 0: never. With Ganeti, administrators delete them
#: from cron.
PURGE_DAYS = 0.0


class MasterDaemon(daemon.Daemon):
    """The master job daemon."""

    name = "ganeti-masterd"
    #: Set by ``start``, before which nothing here uses them.
    _queue: JobQueue
    _server: luxi_server.LuxiServer
    _background_check: check.BackgroundCheck

    def __init__(
        self,
        paths: pathutils.Paths,
        *,
        archive_days: float = ARCHIVE_DAYS,
        purge_days: float = PURGE_DAYS,
    ) -> None:
        self.paths = paths
        self._purge_days = purge_days
        self._archive_days = archive_days
        self._stop_thread: threading.Thread | None = None
        self.pid_file = paths.pid_file(self.name)
        self.log_file = paths.master_log
        self.user = paths.user(pathutils.MASTERD_USER)
        self.group = pathutils.DAEMONS_GROUP
        self._loop = Loop()
        #: Closes what ``start`` has opened, also if it failed halfway, in the opposite order.
        self._opened = contextlib.ExitStack()

    def check_role(self) -> None:
        """Raise ``DaemonError`` unless there is a cluster on this machine and it is ours."""
        sign = other_ganeti.find(self.paths)
        if sign is not None and isinstance(sign.error, PermissionError):
            raise daemon.DaemonError(privileges.explain_permission(sign.error, self.user))
        if sign is not None:
            raise daemon.DaemonError(
                sign.refusal(f"ganeti-masterd would take it over; {other_ganeti.SERVE_IT}")
            )
        if files.has_orphaned_log(self.paths):
            raise daemon.DaemonError(
                f"the database {self.paths.master_db} is gone, but not its log; nothing was "
                "changed; restore a backup: ganeti-cluster restore FILE"
            )
        if not os.path.exists(self.paths.master_db) and not os.path.exists(self.paths.next_db):
            raise daemon.DaemonError(
                f"there is no cluster on this machine ({self.paths.master_db} is missing); "
                "create one with: ganeti-cluster init NAME",
                constants.EXIT_NODESETUP_ERROR,
            )

    def prepare(self) -> None:
        """Make the directories that a reboot removes."""
        daemon.make_directories(self.paths)

    def start(self) -> None:
        """Open the database, load its jobs and listen."""
        gc.disable()  # the objects made here live as long as the process: none is garbage
        try:
            self._start()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
        except files.UNREADABLE as err:
            raise errors.ConfigurationError(
                f"the database {self.paths.master_db} is damaged: {err}"
            ) from err
        except PermissionError as err:
            raise daemon.DaemonError(privileges.explain_permission(err, self.user)) from err
        except OSError as err:
            raise daemon.DaemonError(describe_os_error(err)) from err
        finally:
            gc.enable()

    def _start(self) -> None:
        self._opened.callback(os.close, self._lock_database())
        self._check_access()
        checked = repair.check_and_repair(self.paths)
        store, notice = upgrade.open_store(self.paths)
        self._opened.callback(store.close)
        if notice is not None:
            self.warn(notice)
        store.on_damage = lambda words: repair.record_damage(self.paths, [words])
        self._background_check = check.BackgroundCheck(
            lambda: files.connect(self.paths.master_db),
            lambda damage: repair.record_damage(self.paths, damage),
        )
        # Stopped after the queue, because an interrupted check may take a while to end.
        self._opened.callback(self._background_check.stop)
        config = Config(store, self.paths)
        self._opened.callback(config.ssconf.flush)
        names = host.own_names()
        if config.master.name not in names:
            raise daemon.DaemonError(host.renamed(config.master.name, names))
        locks = locking.LockManager()
        for node in config.nodes():
            if node.simulated:  # its directory does not survive a reboot
                io.make_directory(self.paths.simulated_node(node.name), 0o750)
        environment = Environment(config, Nodes(config, self.paths))
        queue = self._queue = JobQueue(
            store,
            mcpu.Processor(environment, locks).begin,
            rerun_safe=mcpu.rerun_safe,
            workers=config.cluster.max_running_jobs,
        )
        queue.recover(lambda interrupted: recovery.clean_up(environment, interrupted))
        sources = Sources(config, environment.nodes, queue, locks)
        self._server = luxi_server.LuxiServer(self._listen(), sources, self._loop)
        self._opened.callback(self._server.close)
        queue.start()
        # Runs before the server is closed, whose threads may work for the queue.
        self._opened.callback(self._end_queue)
        if not checked:
            self._background_check.start()
        self._loop.call_later(ARCHIVE_EVERY, self._schedule_archiving)
        if self._purge_days > 0:
            logger.info(
                "Archived jobs are deleted %g days after they ended (--purge-days)",
                self._purge_days,
            )
        logger.info("Serving cluster %s on %s", config.cluster.name, self.paths.query_socket)
        words = hooks.notice(self.paths)
        if words:
            self.warn(words)

    def serve(self) -> None:
        """Answer calls until told to stop."""
        self._server.serve()

    def stop(self) -> None:
        """Start no further job, and end after the running ones or after ``STOP_GRACE`` seconds.

        Calls are answered until then. A second call ends the daemon at once.
        """
        self._loop.call_threadsafe(self._start_stopping)

    def _start_stopping(self) -> None:
        if self._stop_thread is None:
            self._stop_thread = threading.Thread(target=self._stop_queue, name="stop", daemon=True)
            self._stop_thread.start()
        else:
            self._loop.stop()

    def _stop_queue(self) -> None:
        self._queue.stop(STOP_GRACE)
        self._loop.call_threadsafe(self._loop.stop)

    def _schedule_archiving(self) -> None:
        self._loop.call_later(ARCHIVE_EVERY, self._schedule_archiving)
        self._server.pool.submit(self._archive)

    def _archive(self) -> None:
        """Delete and archive jobs that ended long ago; called on a thread of the server's pool.

        Deletion comes first, so that a job which is archived now can be read until the next time.
        """
        try:
            self._queue.store_service_seconds()
            if self._purge_days > 0:
                done = self._queue.purge(self._purge_days * 86400, ARCHIVE_EVERY)
                if done:
                    logger.info(
                        "Deleted %d archived jobs that ended %g days ago", done, self._purge_days
                    )
            if self._archive_days > 0:
                done, _ = self._queue.auto_archive(self._archive_days * 86400, ARCHIVE_EVERY)
                if done:
                    logger.info("Archived %d jobs that ended %g days ago", done, self._archive_days)
        except errors.Error as err:
            logger.warning("Old jobs could not be archived or deleted: %s", err)

    def wake(self, function: Callable[[], None]) -> None:
        """Schedule a call of a function by the loop."""
        self._loop.call_threadsafe(function)

    def finish(self) -> None:
        """Give running jobs ``STOP_GRACE`` seconds to end, unless they had them, and close."""
        self._opened.close()

    def _end_queue(self) -> None:
        left = self._queue.stop(0 if self._stop_thread is not None else STOP_GRACE)
        if left:
            logger.warning(
                "Jobs still running, to end in error at the next start: %s",
                ", ".join(map(str, left)),
            )

    def _lock_database(self) -> int:
        """Lock the database and return the lock's descriptor.

        The pid file is not enough: two masters with different pid files could share a database.
        """
        try:
            return io.lock_file(self.paths.master_lock)
        except BlockingIOError:
            raise daemon.DaemonError(f"another process works on {self.paths.master_db}") from None

    def _check_access(self) -> None:
        """Raise ``PermissionError`` with the name of the file, which SQLite's message lacks."""
        if not os.access(self.paths.lib_dir, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self.paths.lib_dir)
        for path in files.file_names(self.paths.master_db):
            if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def _listen(self) -> socket.socket:
        gid = -1
        if os.geteuid() == 0:
            try:
                gid = grp.getgrnam(self.group).gr_gid
            except KeyError:
                pass
        return luxi_server.listen(self.paths.query_socket, gid)


def days(text: str) -> float:
    """Return a number of days, for argparse, whose message calls other values "invalid days"."""
    number = float(text)
    if not 0 <= number <= 36500:
        raise ValueError
    return number


def purge_days(text: str) -> float:
    """Return a number of days that is 0 or at least 1, for argparse."""
    number = days(text)
    if 0 < number < 1:  # a job must be there as long as its idempotency key is valid
        raise argparse.ArgumentTypeError(f"{text} is neither 0 (never) nor at least 1 day")
    return number


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line, or exit with a message."""
    parser = options.Parser(
        prog="ganeti-masterd",
        description="The master job daemon: configuration, job queue and locks of a cluster.",
    )
    options.add_arguments(parser)
    parser.add_argument(
        "--archive-days",
        metavar="DAYS",
        type=days,
        default=ARCHIVE_DAYS,
        help=f"archive jobs this many days after they ended; 0: never (default: {ARCHIVE_DAYS:g})",
    )
    parser.add_argument(
        "--purge-days",
        metavar="DAYS",
        type=purge_days,
        default=PURGE_DAYS,
        help="delete archived jobs this many days after they ended; 0: never "
        f"(default: {PURGE_DAYS:g})",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon and return its exit code."""
    arguments = parse_arguments(argv)
    return options.run(
        MasterDaemon(
            pathutils.Paths.from_environment(),
            archive_days=arguments.archive_days,
            purge_days=arguments.purge_days,
        ),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
