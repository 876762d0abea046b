"""Logging as Ganeti's administrators know it, one line per record whatever is in it.

    2026-11-24 02:03:04,005: ganeti-rapi pid=123 INFO 200 GET /version

Control characters are escaped, so that a client cannot forge a line by what it sends. So are
characters that change how a terminal shows the rest of a line (bidirectional overrides).
"""

from __future__ import annotations

import errno
import io
import json
import logging
import logging.handlers
import os
import re
import socket
import stat
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from ganeti.errors import Error
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

#: What sys.exc_info() returns.
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

FORMAT = "%(asctime)s: {program} pid=%(process)d %(levelname)s %(message)s"
FORMAT_DEBUG = (
    "%(asctime)s: {program} pid=%(process)d/%(threadName)s "
    "%(module)s:%(lineno)d %(levelname)s %(message)s"
)

#: The socket of the syslog daemon.
SYSLOG_SOCKET = "/dev/log"
#: Mode of a log file, whatever the umask: the log shows which user asks for what.
MODE = 0o600

#: The categories Cc, Cf, Zl and Zp of Unicode 15: characters that end a line, are invisible, or
#: change the direction of the following text.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f]"
)


class LogError(Error):
    """The log cannot be written; the message says why, and what to do."""


def escape(text: str) -> str:
    """Return text with its unsafe characters as ``\\x0a``, ``\\u202e`` and the like."""
    return _UNSAFE.sub(_escape_character, text)


def _escape_character(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\u{number:04x}" if number > 0xFF else f"\\x{number:02x}"


def _describe_argument(arg: object) -> object:
    return describe_os_error(arg) if isinstance(arg, OSError) else arg


class _Record(logging.LogRecord):
    """A record that shows an ``OSError`` among its arguments without the error number."""

    def getMessage(self) -> str:
        """Return the message with each ``OSError`` as ``FILE: reason``."""
        if isinstance(self.args, tuple) and any(isinstance(arg, OSError) for arg in self.args):
            self.args = tuple(map(_describe_argument, self.args))
        return super().getMessage()


class OneLineFormatter(logging.Formatter):
    """Formats a record as one line with escaped characters; a traceback follows, indented."""

    _second: tuple[int, str] = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time as the standard library does; the text of a second is cached."""
        second, text = self._second
        if int(record.created) != second:
            second = int(record.created)
            text = time.strftime(self.default_time_format, self.converter(record.created))
            self._second = second, text  # one assignment: other threads see both or neither
        return f"{text},{int(record.msecs):03d}"

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of the record."""
        record.message = escape(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: ExcInfo) -> str:
        """Return a traceback with indented lines, which cannot be mistaken for records."""
        text = super().formatException(ei)
        return "\n".join("  " + escape(line) for line in text.splitlines())


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object on one line.

    It has ``time`` (UTC), ``level``, ``program``, ``pid``, and either the record's ``fields`` or
    its ``message``, perhaps with ``traceback``. It is ASCII, so that a character that a client
    sends can neither end the line nor affect a terminal.
    """

    #: An encoder for all lines: json.dumps would make one for each.
    _encode = json.JSONEncoder(separators=(",", ":")).encode
    _second: tuple[int, str] = (-1, "")

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time as ISO 8601 in UTC; the text of a second is cached."""
        second, text = self._second
        if int(record.created) != second:
            second = int(record.created)
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, text
        return f"{text}.{int(record.msecs):03d}Z"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        entry: dict[str, object] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "program": self._program,
            "pid": record.process,
        }
        fields = getattr(record, "fields", None)
        entry.update({"message": record.getMessage()} if fields is None else fields)
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # DEL, the only ASCII control character that JSON does not escape.
        return self._encode(entry).replace("\x7f", "\\u007f")


class LogFile(logging.handlers.WatchedFileHandler):
    """A log file that is reopened after a rotation, and never follows a symbolic link.

    Root opens it in a directory where other users may create links and pipes. A rotation is
    looked for once a second, not for every line. If the new file cannot be opened, lines go to
    the old one, and one of them says why.
    """

    clock = staticmethod(time.monotonic)
    _checked_at = float("-inf")
    _warned = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and before that look for a rotation once a second."""
        now = self.clock()
        if now - self._checked_at >= 1.0:
            self._checked_at = now
            self.reopenIfNeeded()
        logging.FileHandler.emit(self, record)

    def reopenIfNeeded(self) -> None:
        """Open a new file if ours was rotated away; keep the old one if that fails."""
        try:
            if self._is_there():
                return
            stream = self._open()
        except (LogError, OSError) as err:
            if not self._warned:
                self._warned = True
                words = describe_os_error(err) if isinstance(err, OSError) else str(err)
                logging.FileHandler.emit(
                    self,
                    logging.LogRecord(
                        "root",
                        logging.WARNING,
                        __file__,
                        0,
                        "Going on in the old log: %s",
                        (words,),
                        None,
                    ),
                )
            return
        self._warned = False
        old, self.stream = self.stream, stream
        if old is not None:
            old.close()
        self._statstream()

    def _is_there(self) -> bool:
        try:
            found = os.lstat(self.baseFilename)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (self.dev, self.ino)

    def _open(self) -> io.TextIOWrapper:
        # O_NONBLOCK: opening a pipe without a reader would wait for ever.
        flags = (
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        )
        try:
            fd = os.open(self.baseFilename, flags, MODE)
        except OSError as err:
            raise LogError(_why_not(self.baseFilename, err)) from None
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise LogError(_no_file(self.baseFilename))
        # With several hard links it may be another file than a log.
        may_change = os.geteuid() in (0, found.st_uid) and found.st_nlink == 1
        if may_change and stat.S_IMODE(found.st_mode) != MODE:
            os.fchmod(fd, MODE)
        return open(fd, "a", encoding=self.encoding, errors=self.errors)


def _no_file(path: str) -> str:
    return f"the log {path} is not a regular file; move it away: mv {path} {path}.old"


def _why_not(path: str, err: OSError) -> str:
    """Return why a log cannot be opened, and what to do."""
    directory = os.path.dirname(path)
    if err.errno == errno.ELOOP and os.path.islink(path):
        return (
            f"the log {path} is a symbolic link, and is not followed (its creator could "
            f"make us write elsewhere); remove it: rm {path}"
        )
    if err.errno in (errno.EISDIR, errno.ENXIO):  # ENXIO: a pipe without a reader
        return _no_file(path)
    if err.errno == errno.ENOENT:
        return (
            f"the log {path} cannot be opened: there is no directory {directory}; "
            f"create it: mkdir -p -m 0770 {directory}"
        )
    if err.errno in (errno.EACCES, errno.EPERM):
        return (
            f"the log {path} cannot be opened by user {os.geteuid()}: {err.strerror}; "
            f"start the daemon as root, or as the owner of that file and of {directory}"
        )
    return f"the log {path} cannot be opened: {err.strerror}"


def setup(
    program: str,
    path: str | None,
    *,
    debug: Sequence[str] = (),
    syslog: str = "no",
    stderr: bool = False,
    json_lines: bool = False,
) -> logging.Logger:
    """Send the root logger's records to a file (created if need be), syslog and stderr.

    ``debug`` names packages and modules below ``ganeti`` whose debug lines are logged; ''
    means all. ``syslog`` is "no", "yes" (too) or "only" (instead of the file). With
    ``json_lines`` each line is an object; to syslog, after the tag that every line has there.
    Where stderr is the journal, it gets warnings and errors only, as the file has the rest.
    Raise ``LogError`` where the lines would be lost.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.DEBUG if "" in debug else logging.INFO)
    for name in debug:
        logging.getLogger(f"ganeti.{name}".rstrip(".")).setLevel(logging.DEBUG)
    logging.setLogRecordFactory(_Record)
    problem = "" if syslog == "no" else _syslog_problem()
    if syslog == "only" and problem:
        raise LogError(
            f"--syslog=only, but {problem}, so that every line would be lost; start a "
            "syslog daemon, or omit --syslog=only"
        )
    formatter: logging.Formatter
    if json_lines:
        formatter = JsonFormatter(program)
    else:
        pattern = FORMAT_DEBUG if debug else FORMAT
        formatter = OneLineFormatter(pattern.format(program=program))
    handlers: list[logging.Handler] = []
    if path is not None and syslog != "only":
        handlers.append(LogFile(path, encoding="utf-8", errors="backslashreplace"))
    if stderr:
        console = logging.StreamHandler()
        if (handlers or syslog != "no") and stderr_is_journal(os.environ):
            console.setLevel(logging.WARNING)
        handlers.append(console)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    if syslog != "no":
        root.addHandler(_syslog(program, formatter if json_lines else None))
    # Facts that no format of ours shows are not looked up for each record.
    logging.logThreads = bool(debug)
    logging.logMultiprocessing = False
    # A failure to log (a full disk) must neither disturb the work nor fill stderr.
    logging.raiseExceptions = False
    if problem:
        logger.warning("Syslog gets no lines for now: %s; each line is tried again", problem)
    return root


def stderr_is_journal(environ: Mapping[str, str]) -> bool:
    """Return whether systemd's journal reads our standard error.

    ``JOURNAL_STREAM`` has the device and inode of the journal's stream (systemd.exec(5)). They
    are compared, as a child whose stderr was redirected inherits the variable, too.
    """
    try:
        found = os.fstat(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # stderr is None, closed, or has no descriptor
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _syslog_problem() -> str:
    """Return why a line would not reach syslog now; '' if it would."""
    reason = ""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(SYSLOG_SOCKET)
                return ""
            except OSError as err:
                reason = reason or err.strerror or ""
    return f"no syslog daemon listens on {SYSLOG_SOCKET} ({reason})"


class _Tagged(logging.Formatter):
    """Puts syslog's tag (RFC 3164 section 4.1.3) before the lines of another formatter."""

    def __init__(self, program: str, lines: logging.Formatter) -> None:
        super().__init__()
        self._program = program
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        return f"{self._program}[{record.process}]: {self._lines.format(record)}"


def _syslog(program: str, lines: logging.Formatter | None) -> logging.Handler:
    # Like openlog(3) it does not fail without a listener, and tries again with each line.
    handler = logging.handlers.SysLogHandler(
        address=SYSLOG_SOCKET, facility=logging.handlers.SysLogHandler.LOG_DAEMON
    )
    handler.setFormatter(_Tagged(program, lines or OneLineFormatter("%(levelname)s %(message)s")))
    return handler


def access(line: str, fields: Mapping[str, object] | None = None) -> None:
    """Log a line of the access log, with its fields for the JSON format.

    The record is made here, without the search for the line of code that it comes from, which
    would take as long as the rest.
    """
    record = logging.LogRecord("root", logging.INFO, "", 0, line, None, None)
    if fields is not None:
        record.fields = fields
    logging.getLogger().handle(record)


def reopen() -> None:
    """Open the log files again after a rotation."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile):
            handler.acquire()  # other threads may be writing
            try:
                handler.reopenIfNeeded()
            finally:
                handler.release()


def own_files(uid: int, gid: int) -> None:
    """Give the log files to the user whom the daemon becomes."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile) and handler.stream is not None:
            os.fchown(handler.stream.fileno(), uid, gid)
