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

A successor (``daemon.handover``) is taken through the same steps. It does not
detach, being a daemon by birth, and has the pid file, lock and all, once it is
ready to serve.

Whoever starts us as root may not be the only one who writes to the directories
of pid file and log. So links there are not followed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator

from ganeti import constants, errors
from ganeti.daemon import handover, pid_file
from ganeti.daemon.base import Daemon, DaemonError, Options
from ganeti.daemon.privileges import become_user
from ganeti.utils import log


def run(daemon: Daemon, options: Options) -> int:
    """Take a daemon through its life; the process's exit code."""
    _open_standard_descriptors()
    place = handover.take_place(os.environ)
    with _teller(daemon, options, place) as tell:
        _install_signals(daemon)
        try:
            daemon.prepare()
            with contextlib.nullcontext() if place else pid_file.held(daemon, None):
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


def _teller(daemon: Daemon, options: Options, place: handover.Place | None,
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


def _live(daemon: Daemon, tell: Tell, place: handover.Place | None) -> int:
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
        with pid_file.held(daemon, place.pid_fd) if place else contextlib.nullcontext():
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
