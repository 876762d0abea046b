"""Takes a daemon through its life as a process.

A daemon is a ``Daemon`` with some steps, and ``run`` takes it through them:

    check_role  checks whether the daemon may run on this machine
    prepare     creates missing directories
    (the pid file is locked and the log opened)
    bind        opens sockets and keys, still with root's privileges
    (root becomes the configured user)
    start       opens the rest; when it returns, clients are answered
    (a detached daemon's parent exits with 0, and the service manager is notified)
    serve       works until ``stop``
    finish      closes everything, also after a failure

SIGTERM and SIGINT call ``stop`` on the main thread, between any two of its instructions, so
``stop`` may only set a flag or wake a loop. The same holds for ``wake``, which SIGHUP uses to
have ``reload`` called outside of the handler: a handler that takes a lock would wait for ever
if a second signal interrupted it. SIGUSR2 calls ``hand_over`` in the same way, if the daemon
has one. The handlers are installed before the pid file shows where to send signals. Any other
signal is only logged: by default most of them would end the process, and with it the service.

A successor (``daemon.handover``) is taken through the same steps. It does not detach, because
its predecessor was detached, and it gets the locked pid file from it. When it has taken over,
its predecessor passes on every signal that it still receives.

A predecessor exits after its last connection. But if it was started in the foreground and is
watched by a service manager, that would take its exit for the end of the service, and kill the
successor. systemd is notified of the new main process if it listens (``daemon.sd_notify``);
otherwise the predecessor remains, passes signals on, and exits after its successor.

Other users may write to the directories of pid file and log, and we may be started by root:
therefore links there are not followed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator

from ganeti import constants, errors
from ganeti.daemon import handover, sd_notify
from ganeti.daemon.base import Daemon, DaemonError, Options
from ganeti.daemon.pid_file import AlreadyRunning, PidFile
from ganeti.daemon.privileges import become_user, explain_permission, give_files
from ganeti.utils import log
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

#: systemd's ExecCondition= takes this exit code for a failure; 1 to 254 skip the unit.
EXIT_CONDITION_FAILED = 255
#: Signals whose default action is kept: faults of the program itself (a core or a traceback is
#: useful), signals that cannot be caught, and those about job control, children and windows.
_LEFT_ALONE = frozenset(
    {
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGABRT,
        signal.SIGSYS,
        signal.SIGTRAP,
        signal.SIGXCPU,
        signal.SIGXFSZ,
        signal.SIGPIPE,
        signal.SIGCHLD,
        signal.SIGCONT,
        signal.SIGTSTP,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGURG,
        signal.SIGWINCH,
    }
)


Report = Callable[[str, int], None]


def run(daemon: Daemon, options: Options) -> int:
    """Take a daemon through its steps, and return the process's exit code."""
    _open_standard_descriptors()
    inherited = handover.inherit(os.environ)
    with _reporter(daemon, options, inherited) as report:
        _install_signals(daemon)
        try:
            daemon.check_role()
            daemon.prepare()
            with _pid_file(daemon, inherited) as pid_file:
                log.setup(
                    daemon.name,
                    daemon.log_file,
                    debug=options.debug,
                    syslog=options.syslog,
                    stderr=options.foreground,
                    json_lines=options.log_format == "json",
                )
                give_files(daemon.user, daemon.group, [pid_file.fd])
                return _run_steps(daemon, pid_file, report, options, inherited)
        except DaemonError as err:
            report(str(err), err.exit_code)
            return err.exit_code
        except errors.Error as err:
            report(str(err), constants.EXIT_FAILURE)
        except PermissionError as err:
            report(explain_permission(err, daemon.user), constants.EXIT_FAILURE)
        except OSError as err:
            report(describe_os_error(err), constants.EXIT_FAILURE)
        return constants.EXIT_FAILURE


def check_role(daemon: Daemon) -> int:
    """Print why the daemon cannot run on this machine, if so; return an exit code.

    It is 0 if the daemon may run, 11 if another node is the master, 12 without a cluster (like
    the exit codes of a start), and 255 for any other problem: systemd skips a unit whose
    ExecCondition= exits with 1 to 254, and lets it fail with 255.
    """
    try:
        daemon.check_role()
    except (errors.Error, OSError) as err:
        text = describe_os_error(err) if isinstance(err, OSError) else str(err)
        print(f"{daemon.name}: {text}", file=sys.stderr)
        code = getattr(err, "exit_code", constants.EXIT_FAILURE)
        harmless = (constants.EXIT_NOTMASTER, constants.EXIT_NODESETUP_ERROR)
        return code if code in harmless else EXIT_CONDITION_FAILED
    return constants.EXIT_SUCCESS


def _reporter(
    daemon: Daemon,
    options: Options,
    inherited: handover.Inherited | None,
) -> contextlib.AbstractContextManager[Report]:
    """Return the function that reports the start to the predecessor, the terminal or the parent."""
    if inherited is not None:
        if not options.foreground:
            os.chdir("/")
        return contextlib.nullcontext(inherited.report)
    if options.foreground:
        return contextlib.nullcontext(_report_here(daemon.name))
    return _detached(daemon.name)


def _report_here(name: str) -> Report:
    """Return a function that prints the report to standard error."""

    def report(text: str, exit_code: int) -> None:
        for line in text.splitlines():
            print(f"{name}: {line}", file=sys.stderr)

    return report


@contextlib.contextmanager
def _pid_file(daemon: Daemon, inherited: handover.Inherited | None) -> Iterator[PidFile]:
    """Lock the pid file, and remove it in the end unless a successor has taken it over."""
    if inherited is None:
        try:
            daemon.pid = PidFile.create(daemon.pid_file, daemon.name)
        except AlreadyRunning as err:
            raise DaemonError(str(err) + daemon.second_instance_hint) from None
    else:
        daemon.pid = PidFile(daemon.pid_file, inherited.pid_fd)
        daemon.pid.lock()  # cannot fail: the open file, and so the lock, is the predecessor's
    try:
        yield daemon.pid
    finally:
        with contextlib.suppress(OSError):
            daemon.pid.remove()
        daemon.pid.close()


def _run_steps(
    daemon: Daemon,
    pid_file: PidFile,
    report: Report,
    options: Options,
    inherited: handover.Inherited | None,
) -> int:
    logger.info("%s %s starting", daemon.name, constants.RELEASE_VERSION)
    try:
        daemon.bind()
        become_user(daemon.user, daemon.group)
        daemon.start()
    except (errors.Error, OSError) as err:
        logger.error("Cannot start: %s", err)
        daemon.finish()
        raise
    except Exception:
        # A bug. It is logged because nobody may read a detached daemon's standard error.
        logger.exception("Cannot start")
        daemon.finish()
        raise
    if inherited is not None:
        pid_file.write()
        if not options.foreground:
            _redirect_to_null(2)  # it is the predecessor's file for a failed start
    # In the foreground the terminal shows the log, and with it the warnings.
    warnings = () if options.foreground else daemon.warnings
    report("\n".join(f"warning: {text}" for text in warnings), constants.EXIT_SUCCESS)
    if inherited is None:
        sd_notify.ready()  # for a successor, its predecessor does this
    try:
        daemon.serve()
    except Exception:
        logger.exception("%s failed", daemon.name)
        return constants.EXIT_FAILURE
    finally:
        daemon.finish()
        if daemon.successor is None:
            logger.info("%s stopped", daemon.name)
    return _end_or_follow(daemon, pid_file, options, inherited)


def _end_or_follow(
    daemon: Daemon, pid_file: PidFile, options: Options, inherited: handover.Inherited | None
) -> int:
    """Exit now, or after the successor if a service manager watches this process."""
    if daemon.successor is None:
        return constants.EXIT_SUCCESS
    if not must_stay(options) or inherited is not None:
        # A predecessor that still waits finds the next process in the pid file.
        sd_notify.barrier()
        logger.info("Process %d has handed over and exits", os.getpid())
        return constants.EXIT_SUCCESS
    logger.info(
        "Process %d remains, because it is the one that was started, and passes on signals "
        "to process %d",
        os.getpid(),
        daemon.successor,
    )
    crashed = handover.follow(pid_file, daemon.successor)
    if crashed is None:
        return constants.EXIT_SUCCESS
    logger.error("Process %d, which had taken over, has crashed", crashed)
    return constants.EXIT_FAILURE


def must_stay(options: Options) -> bool:
    """Return whether the exit of this process would be taken for the end of the service.

    A container ends with its first process, even if a service manager listens.
    """
    return options.foreground and (os.getpid() == 1 or not sd_notify.is_listening())


def _install_signals(daemon: Daemon) -> None:
    def forwarded(number: int) -> bool:
        if daemon.successor is None or daemon.pid is None:
            return False
        # The successor may have handed over as well; the pid file has the daemon's pid.
        pid = daemon.pid.read()
        if pid is not None and pid != os.getpid():
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        return True

    def on_stop(number: int, _: object) -> None:
        logger.info("Received %s, stopping", signal.Signals(number).name)
        if not forwarded(number):
            sd_notify.stopping()
        daemon.stop()

    def reload() -> None:
        sd_notify.reloading()
        log.reopen()
        daemon.reload()
        sd_notify.ready()

    def on_reload(number: int, _: object) -> None:
        if not forwarded(number):
            daemon.wake(reload)

    def on_hand_over(number: int, _: object) -> None:
        if daemon.hand_over is not None and not forwarded(number):
            daemon.wake(daemon.hand_over)

    def on_other(number: int, _: object) -> None:
        daemon.wake(
            lambda: logger.warning(
                "Ignoring %s, which has no meaning for %s", _signal_name(number), daemon.name
            )
        )

    handlers = {signal.SIGTERM: on_stop, signal.SIGINT: on_stop, signal.SIGHUP: on_reload}
    if daemon.hand_over is not None:
        handlers[signal.SIGUSR2] = on_hand_over
    for number in signal.valid_signals() - _LEFT_ALONE:
        signal.signal(number, handlers.get(number, on_other))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time one between the first and the last


def _open_standard_descriptors() -> None:
    """Open /dev/null on closed ones, or a file of ours would get the number, lost on detaching."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


@contextlib.contextmanager
def _detached(name: str) -> Iterator[Report]:
    """Continue as a process without a terminal, and yield the function for its report.

    The parent waits for the report of the start, prints its text, and exits with its code.
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

    def report(text: str, exit_code: int) -> None:
        with contextlib.suppress(OSError):
            os.write(writer, f"{exit_code} {text}".encode("utf-8", "backslashreplace"))
        _close_terminal(writer)

    yield report


def _await_child(name: str, reader: int) -> None:
    with open(reader, encoding="utf-8", errors="replace") as pipe:
        code, _, text = pipe.read().partition(" ")
    if not code:
        text, code = "ended while starting; see its log", str(constants.EXIT_FAILURE)
    _report_here(name)(text, int(code))
    os._exit(int(code))


def _close_terminal(writer: int) -> None:
    _redirect_to_null(0, 1, 2, writer)
    os.close(writer)


def _redirect_to_null(*descriptors: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None if the descriptor was closed
            stream.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in descriptors:
        os.dup2(null, fd)
    os.close(null)
