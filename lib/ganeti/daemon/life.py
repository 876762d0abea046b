"""Takes a daemon through its life as a process.

A daemon is a ``Daemon`` with some steps, and ``run`` takes it through them:

    check_role  may it run on this machine
    prepare     are the directories there
    (here the pid file is locked and the log opened)
    bind        with the privileges of whoever started us: sockets, keys
    (here root becomes the configured user)
    start       opens the rest; when it returns, clients are answered
    (here a detached daemon's parent exits with 0, and the service manager is told)
    serve       works until told to stop
    finish      always, in the end

SIGTERM and SIGINT call ``stop``, on the main thread between any two of its
instructions: it may only set a flag or wake a loop. So may ``wake``, by which
SIGHUP has ``reload`` called at a better moment: a handler that takes a lock
would wait for ever when a second signal interrupts it. SIGUSR2 has ``hand_over``
called so, of a daemon that has one. Signals are heard before the pid file says
whom to send them to. A signal that has no meaning is logged, and nothing else:
most of them would end the process, and with it the service, by default.

A successor (``daemon.handover``) is taken through the same steps. It does not
detach, being a daemon by birth, and has the pid file, lock and all, from its birth.
When it has taken over, its predecessor passes on every signal that it still gets.

A predecessor ends when its last connections have. But where it is the process that
some service manager started in the foreground and watches, its end would be taken for
the end of the service, and its successor be killed. systemd is told of the new main
process where it wants to be (``daemon.sd_notify``); otherwise the predecessor stays,
passes signals on, and ends with its successor.

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
from ganeti.daemon import handover, sd_notify
from ganeti.daemon.base import Daemon, DaemonError, Options
from ganeti.daemon.pid_file import AlreadyRunning, PidFile
from ganeti.daemon.privileges import become_user, explain_permission, give_files
from ganeti.utils import log
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

#: What ExecCondition= of systemd takes for a failure; 1 to 254 skip the unit.
EXIT_CONDITION_FAILED = 255
#: Signals that stay as they are: faults of the program itself (their default leaves a core
#: or a traceback), what cannot be caught, and job control, children and windows.
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
    """Take a daemon through its life; the process's exit code."""
    _open_standard_descriptors()
    inherited = handover.inherit(os.environ)
    with _reporter(daemon, options, inherited) as report:
        _install_signals(daemon)
        try:
            daemon.check_role()
            daemon.prepare()
            with _pid_file(daemon, inherited):
                log.setup(
                    daemon.name,
                    daemon.log_file,
                    debug=options.debug,
                    syslog=options.syslog,
                    stderr=options.foreground,
                    json_lines=options.log_format == "json",
                )
                assert daemon.pid is not None
                give_files(daemon.user, daemon.group, [daemon.pid.fd])
                return _run_steps(daemon, report, options, inherited)
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
    """Print why a start makes no sense here, if it does not; an exit code.

    0: it does. 11 and 12 as a start would exit: another node is the master, there is no
    cluster. 255 for everything else: systemd skips a unit whose ExecCondition= exits with
    1 to 254, and lets it fail with 255.
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
    """How to tell whoever waits for it how the start went: predecessor, terminal or parent."""
    if inherited is not None:
        if not options.foreground:
            os.chdir("/")
        return contextlib.nullcontext(inherited.report)
    if options.foreground:
        return contextlib.nullcontext(_report_here(daemon.name))
    return _detached(daemon.name)


def _report_here(name: str) -> Report:
    """Say how the start went on the terminal that we still have."""

    def report(text: str, exit_code: int) -> None:
        for line in text.splitlines():
            print(f"{name}: {line}", file=sys.stderr)

    return report


@contextlib.contextmanager
def _pid_file(daemon: Daemon, inherited: handover.Inherited | None) -> Iterator[None]:
    """Hold the pid file, and remove it at the end unless it is a successor's by then."""
    if inherited is None:
        try:
            daemon.pid = PidFile.create(daemon.pid_file, daemon.name)
        except AlreadyRunning as err:
            raise DaemonError(str(err) + daemon.second_instance_hint) from None
    else:
        daemon.pid = PidFile(daemon.pid_file, inherited.pid_fd)
        daemon.pid.lock()  # ours already, as the open file is the predecessor's
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            daemon.pid.remove()
        daemon.pid.close()


def _run_steps(
    daemon: Daemon, report: Report, options: Options, inherited: handover.Inherited | None
) -> int:
    assert daemon.pid is not None
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
        # A mistake of ours; a detached daemon's standard error may be nobody's.
        logger.exception("Cannot start")
        daemon.finish()
        raise
    if inherited is not None:
        daemon.pid.write()
        if not options.foreground:
            _redirect_to_null(2)  # the predecessor's file for the words of a failed start
    # In the foreground the log is on the terminal as well.
    warnings = () if options.foreground else daemon.warnings
    report("\n".join(f"warning: {text}" for text in warnings), constants.EXIT_SUCCESS)
    if inherited is None:
        sd_notify.ready()  # of a successor the predecessor tells
    try:
        daemon.serve()
    except Exception:
        logger.exception("%s failed", daemon.name)
        return constants.EXIT_FAILURE
    finally:
        daemon.finish()
        if daemon.successor is None:
            logger.info("%s stopped", daemon.name)
    return _end_or_follow(daemon, options, inherited)


def _end_or_follow(daemon: Daemon, options: Options, inherited: handover.Inherited | None) -> int:
    """End now, or with the successor where a service manager waits for this process."""
    if daemon.successor is None:
        return constants.EXIT_SUCCESS
    assert daemon.pid is not None
    if not must_stay(options) or inherited is not None:
        # Whom a predecessor of ours stays for is told by the pid file.
        sd_notify.barrier()
        logger.info("Process %d has handed over and ends", os.getpid())
        return constants.EXIT_SUCCESS
    logger.info(
        "Nothing is left to do here but to pass on signals to process %d, as "
        "process %d is the one that was started",
        daemon.successor,
        os.getpid(),
    )
    crashed = handover.follow(daemon.pid, daemon.successor)
    if crashed is None:
        return constants.EXIT_SUCCESS
    logger.error("Process %d, which had taken over, has crashed", crashed)
    return constants.EXIT_FAILURE


def must_stay(options: Options) -> bool:
    """Would the end of the process that was started be taken for the end of the service?

    A container ends with its first process, whatever anybody is told.
    """
    return options.foreground and (os.getpid() == 1 or not sd_notify.is_listening())


def _install_signals(daemon: Daemon) -> None:
    def forwarded(number: int) -> bool:
        if daemon.successor is None or daemon.pid is None:
            return False
        # By now our successor may have one, too: the pid file tells who is the daemon.
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
                "Received %s, which means nothing to %s", _signal_name(number), daemon.name
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
    """One that is closed would become some file's, and that file be lost on detaching."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


@contextlib.contextmanager
def _detached(name: str) -> Iterator[Report]:
    """Go on as a process without terminal; the parent waits for how the start went.

    The parent exits here, with the code and after the words that the child reports.
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
        text, code = "ended while starting; its log says more", str(constants.EXIT_FAILURE)
    _report_here(name)(text, int(code))
    os._exit(int(code))


def _close_terminal(writer: int) -> None:
    _redirect_to_null(0, 1, 2, writer)
    os.close(writer)


def _redirect_to_null(*descriptors: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it is where the descriptor was closed
            stream.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in descriptors:
        os.dup2(null, fd)
    os.close(null)
