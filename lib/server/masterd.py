"""ganeti-masterd: wires configuration, locks, queue and socket together."""

from __future__ import annotations

import argparse
import fcntl
import grp
import logging
import os
import socket
import sqlite3
import sys
from collections.abc import Callable, Sequence

from ganeti import constants, daemon, errors, locking, mcpu, pathutils
from ganeti.cmdlib import recovery
from ganeti.cmdlib.base import Environment
from ganeti.config import Config
from ganeti.jqueue.queue import JobQueue
from ganeti.node import Nodes
from ganeti.query.base import Sources
from ganeti.server import calls, luxid, options
from ganeti.store import Store
from ganeti.utils import io
from ganeti.utils.loop import Loop

#: Seconds that running jobs have to end when the daemon is stopped.
STOP_GRACE = 5.0


class MasterDaemon(daemon.Daemon):
    """The master job daemon."""

    name = "ganeti-masterd"

    def __init__(self, paths: pathutils.Paths) -> None:
        self.paths = paths
        self.pid_file = paths.pid_file(self.name)
        self.log_file = paths.master_log
        self.user = paths.user(pathutils.MASTERD_USER)
        self.group = pathutils.DAEMONS_GROUP
        self._loop = Loop()
        self._store: Store | None = None
        self._queue: JobQueue | None = None
        self._config: Config | None = None
        self._server: luxid.LuxiServer | None = None
        self._lock: int | None = None

    def prepare(self) -> None:
        """Check that there is a cluster."""
        if not os.path.exists(self.paths.master_db):
            raise daemon.DaemonError(
                f"there is no cluster on this machine ({self.paths.master_db} is missing); "
                "create one with: ganeti-cluster init NAME", constants.EXIT_NODESETUP_ERROR)
        daemon.make_directories(self.paths)

    def start(self) -> None:
        """Open the database, take up its jobs, listen."""
        try:
            self._start()
        except sqlite3.DatabaseError as err:
            raise errors.ConfigurationError(
                f"the database {self.paths.master_db} is damaged: {err}") from None

    def _start(self) -> None:
        self._lock = self._take_lock()
        store = self._store = Store.open(self.paths.master_db)
        config = self._config = Config(store, self.paths)
        locks = locking.LockManager()
        for node in config.nodes():
            if node.simulated:                  # a reboot takes these with it
                io.ensure_dir(self.paths.simulated_node(node.name), 0o750)
        environment = Environment(config, Nodes(config, self.paths))
        queue = self._queue = JobQueue(
            store, mcpu.Processor(environment, locks), rerun_safe=mcpu.rerun_safe,
            workers=config.cluster.max_running_jobs)
        queue.recover(lambda dead: recovery.clean_up(environment, dead))
        master = calls.Master(Sources(config, environment.nodes, queue, locks), queue)
        self._server = luxid.LuxiServer(self._listen(), master, self._loop)
        queue.start()
        logging.info("Serving cluster %s on %s", config.cluster.name, self.paths.query_socket)

    def serve(self) -> None:
        """Answer calls until told to stop."""
        assert self._server is not None
        self._server.serve()

    def stop(self) -> None:
        """End the loop."""
        self._loop.call_threadsafe(self._loop.stop)

    def wake(self, function: Callable[[], None]) -> None:
        """Have the loop call it."""
        self._loop.call_threadsafe(function)

    def finish(self) -> None:
        """Let running jobs end for a while, then close."""
        if self._queue is not None:
            left = self._queue.stop(STOP_GRACE)
            if left:
                logging.warning("Jobs still running, to end in error at the next start: %s",
                                ", ".join(map(str, left)))
        if self._server is not None:
            self._server.close()
        if self._config is not None:
            self._config.ssconf.flush()
        if self._store is not None:
            self._store.close()
        if self._lock is not None:
            os.close(self._lock)

    def _take_lock(self) -> int:
        """Two masters on one database must not be, whatever their pid files say."""
        fd = os.open(self.paths.master_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise daemon.DaemonError(
                f"another process works on {self.paths.master_db}") from None
        return fd

    def _listen(self) -> socket.socket:
        gid = -1
        if os.geteuid() == 0:
            try:
                gid = grp.getgrnam(self.group).gr_gid
            except KeyError:
                pass
        return luxid.listen(self.paths.query_socket, gid)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = options.Parser(
        prog="ganeti-masterd",
        description="The master job daemon: configuration, job queue and locks of a cluster.")
    options.add_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; its exit code."""
    arguments = parse_arguments(argv)
    return daemon.run(MasterDaemon(pathutils.Paths.from_environment()),
                      options.read_arguments(arguments))


if __name__ == "__main__":
    sys.exit(main())
