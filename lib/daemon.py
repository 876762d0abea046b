"""What the two daemons have in common as processes.

A daemon is a ``Daemon`` with some steps, and ``run`` takes it through them:

    prepare  is this machine the place, are the directories there
    (here the pid file is locked and the log opened)
    bind     with the privileges of whoever started us: sockets, keys
    (here root becomes the configured user)
    start    opens the rest; when it returns, clients are answered
    (here a detached daemon's parent exits with 0)
    serve    works until told to stop
    finish   always, in the end

SIGTERM and SIGINT call ``stop``, on the main thread between any two of its
instructions: it may only set a flag or wake a loop. So may ``wake``, by which
SIGHUP has ``reload`` called at a better moment: a handler that takes a lock
would wait for ever when a second signal interrupts it. SIGUSR2 has ``hand_over``
called so, of a daemon that has one. Signals are heard before the pid file says
whom to send them to.

A successor (``utils.succession``) is taken through the same steps. It does not
detach, being a daemon by birth, and has the pid file, lock and all, once it is
ready to serve.

Whoever starts us as root may not be the only one who writes to the directories
of pid file and log. So links there are not followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import logging
import os
import pwd
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ganeti import constants, errors, pathutils
from ganeti.utils import io, log, succession


class DaemonError(errors.Error):
    """The daemon cannot start; ``exit_code`` is what its process ends with."""

    def __init__(self, text: str, exit_code: int = constants.EXIT_FAILURE) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Options:
    """What every daemon's command line can say."""

    foreground: bool = False
    debug: bool = False
    syslog: str = "no"
    #: "text" or "json".
    log_format: str = "text"


class Daemon:
    """Base of both daemons."""

    name: str
    pid_file: str
    log_file: str
    #: User and group to become when started as root.
    user: str
    group: str
    #: The pid file that is ours and locked; None while it is not, or not any more.
    pid_fd: int | None = None

    def prepare(self) -> None:
        """Check that this is the place, and make directories that are missing."""

    def bind(self) -> None:
        """Open what may need root's rights."""

    def start(self) -> None:
        """Open the rest; afterwards clients are answered."""

    def serve(self) -> None:
        """Work until ``stop``."""
        raise NotImplementedError

    def stop(self) -> None:
        """Begin to end; called from a signal handler."""
        raise NotImplementedError

    def wake(self, function: Callable[[], None]) -> None:
        """Have the main thread call this soon; called from a signal handler."""
        function()

    def reload(self) -> None:
        """Read files again."""

    #: Starts a process that takes this one's place; None: there is no such thing.
    hand_over: Callable[[], None] | None = None

    def finish(self) -> None:
        """Close what is open."""


def run(daemon: Daemon, options: Options) -> int:
    """Take a daemon through its life; the process's exit code."""
    _open_standard_descriptors()
    place = succession.take_place(os.environ)
    with _teller(daemon, options, place) as tell:
        _install_signals(daemon)
        try:
            daemon.prepare()
            with contextlib.nullcontext() if place else _pid_file(daemon, None):
                log.setup(daemon.name, daemon.log_file, debug=options.debug,
                          syslog=options.syslog, stderr=options.foreground,
                          json_lines=options.log_format == "json")
                return _live(daemon, tell, place)
        except DaemonError as err:
            tell(str(err), err.exit_code)
            return err.exit_code
        except (errors.Error, OSError) as err:
            tell(str(err), constants.EXIT_FAILURE)
            return constants.EXIT_FAILURE


Tell = Callable[[str, int], None]


def _teller(daemon: Daemon, options: Options, place: succession.Place | None,
            ) -> contextlib.AbstractContextManager[Tell]:
    """Who waits for how the start goes: a predecessor, a terminal, a parent."""
    if place is not None:
        if not options.foreground:
            os.chdir("/")
        return contextlib.nullcontext(place.tell)
    return (contextlib.nullcontext(_report_here(daemon.name)) if options.foreground
            else _detached(daemon.name))


def _report_here(name: str) -> Tell:
    """Say how the start went on the terminal that we still have."""
    def tell(text: str, exit_code: int) -> None:
        if text:
            print(f"{name}: {text}", file=sys.stderr)
    return tell


def _live(daemon: Daemon, tell: Tell, place: succession.Place | None) -> int:
    logging.info("%s %s starting", daemon.name, constants.RELEASE_VERSION)
    try:
        daemon.bind()
        become_user(daemon.user, daemon.group)
        daemon.start()
    except (errors.Error, OSError) as err:
        logging.error("Cannot start: %s", err)
        daemon.finish()
        raise
    except Exception:
        # A mistake of ours; a detached daemon's standard error may be nobody's.
        logging.exception("Cannot start")
        daemon.finish()
        raise
    tell("", constants.EXIT_SUCCESS)
    try:
        with _pid_file(daemon, place.pid_fd) if place else contextlib.nullcontext():
            daemon.serve()
    except Exception:
        logging.exception("%s failed", daemon.name)
        return constants.EXIT_FAILURE
    finally:
        daemon.finish()
        logging.info("%s stopped", daemon.name)
    return constants.EXIT_SUCCESS


def _install_signals(daemon: Daemon) -> None:
    def on_stop(number: int, _: object) -> None:
        logging.info("Received %s, stopping", signal.Signals(number).name)
        daemon.stop()

    def reload() -> None:
        log.reopen()
        daemon.reload()

    def on_reload(_: int, __: object) -> None:
        daemon.wake(reload)

    if daemon.hand_over is not None:
        hand_over = daemon.hand_over
        signal.signal(signal.SIGUSR2, lambda _, __: daemon.wake(hand_over))
    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    signal.signal(signal.SIGHUP, on_reload)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _open_standard_descriptors() -> None:
    """One that is closed would become some file's, and that file be lost on detaching."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


@contextlib.contextmanager
def _detached(name: str) -> Iterator[Tell]:
    """Go on as a process without terminal; the parent waits for how the start went.

    The parent exits here, with the code and after the words that the child tells.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        _await_child(name, reader)
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)

    def tell(text: str, exit_code: int) -> None:
        with contextlib.suppress(OSError):
            os.write(writer, f"{exit_code} {text}".encode("utf-8", "backslashreplace"))
        _close_terminal(writer)
    yield tell


def _await_child(name: str, reader: int) -> None:
    with open(reader, encoding="utf-8", errors="replace") as pipe:
        code, _, text = pipe.read().partition(" ")
    if not code:
        text, code = "ended while starting; its log says more", str(constants.EXIT_FAILURE)
    _report_here(name)(text, int(code))
    os._exit(int(code))


def _close_terminal(writer: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:              # it is where the descriptor was closed
            stream.flush()
    for fd in (0, 1, 2, writer):
        os.dup2(null, fd)
    os.close(null)
    os.close(writer)


@contextlib.contextmanager
def _pid_file(daemon: Daemon, fd: int | None) -> Iterator[None]:
    """Hold the pid file's lock: whoever has it is the daemon, whatever the number says.

    ``fd``: the file of a predecessor, who unlocks it now that we are ready.
    """
    if fd is None:
        try:
            fd = _lock_pid_file(daemon.pid_file)
        except FileNotFoundError:
            raise DaemonError(f"{os.path.dirname(daemon.pid_file)} does not exist; "
                              "is there a cluster? (ganeti-cluster init NAME creates one)",
                              constants.EXIT_NODESETUP_ERROR) from None
    else:
        fcntl.lockf(fd, fcntl.LOCK_EX)
    daemon.pid_fd = fd
    try:
        number = f"{os.getpid()}\n".encode("ascii")
        os.pwrite(fd, number, 0)        # never empty: a successor writes over the old number
        os.ftruncate(fd, len(number))
        yield
    finally:
        if daemon.pid_fd is not None:
            with contextlib.suppress(OSError):
                os.unlink(daemon.pid_file)
        os.close(fd)


def give_up_pid_file(daemon: Daemon) -> None:
    """Leave it to a successor, who waits for its lock."""
    assert daemon.pid_fd is not None
    fcntl.lockf(daemon.pid_fd, fcntl.LOCK_UN)
    daemon.pid_fd = None


def _lock_pid_file(path: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise DaemonError(f"{path} is no regular file")
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = os.read(fd, 20).decode("ascii", "replace").strip()
            os.close(fd)
            raise DaemonError(f"already running with pid {other or 'unknown'} "
                              f"({path} is locked)") from None
        os.fchmod(fd, 0o644)
        # The one before us may have removed the file between our open and our lock.
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(fd).st_ino == os.stat(path).st_ino:
                return fd
        os.close(fd)


def run_directories(paths: pathutils.Paths) -> tuple[tuple[str, int], ...]:
    """Where daemons keep what does not survive a reboot, and modes as in Ganeti 3.0."""
    return (paths.run_dir, 0o775), (paths.socket_dir, 0o750)


def make_directories(paths: pathutils.Paths) -> None:
    """Make what is missing: where /run is in memory, a reboot has removed it."""
    missing = [(path, mode) for path, mode in run_directories(paths)
               if not os.path.isdir(path)]
    uid, gid = -1, -1
    user = paths.user(pathutils.MASTERD_USER)
    if os.geteuid() == 0 and user:
        with contextlib.suppress(KeyError):
            uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(pathutils.DAEMONS_GROUP).gr_gid
    for path, mode in missing:
        io.ensure_dir(path, mode, uid, gid)


def become_user(user: str, group: str) -> None:
    """Root becomes the configured user, with all of that user's groups.

    Whoever is not root stays who he is, and so does root where no user is named
    (below a root directory of its own). Where the user does not exist, as in a
    container made for this alone, root stays root and the log says so.
    """
    if os.geteuid() != 0 or not user:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        logging.warning("There is no user %s on this machine; going on as root", user)
        return
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        gid = entry.pw_gid
    log.own_files(entry.pw_uid, gid)
    os.initgroups(user, gid)
    os.setgid(gid)
    os.setuid(entry.pw_uid)
    logging.info("Now running as %s", user)
