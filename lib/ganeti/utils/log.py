"""Logging as Ganeti's administrators know it, one line per record whatever is in it.

    2026-11-24 02:03:04,005: ganeti-rapi pid=123 INFO 200 GET /version

Control characters are escaped, so that nothing a client sends can forge a line, and so are
the characters that change how a terminal shows the rest of it (bidirectional overrides).
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
from typing import Any

from ganeti.errors import Error
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

FORMAT = "%(asctime)s: {program} pid=%(process)d %(levelname)s %(message)s"
FORMAT_DEBUG = (
    "%(asctime)s: {program} pid=%(process)d/%(threadName)s "
    "%(module)s:%(lineno)d %(levelname)s %(message)s"
)

#: Where a syslog daemon listens.
SYSLOG_SOCKET = "/dev/log"
#: Of a log file, whatever the umask: it tells who asks for what.
MODE = 0o600

#: The categories Cc, Cf, Zl and Zp of Unicode 15: what ends a line, cannot be seen, or changes
#: the direction of what follows.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f]"
)


class LogError(Error):
    """The log cannot be written; the text says why, and what to do."""


def escape(text: str) -> str:
    """Text on one line: what must not stand there becomes ``\\x0a``, ``\\u202e`` and the like."""
    return _UNSAFE.sub(_escape_character, text)


def _escape_character(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\u{number:04x}" if number > 0xFF else f"\\x{number:02x}"


def _describe_argument(arg: object) -> object:
    return describe_os_error(arg) if isinstance(arg, OSError) else arg


class _Record(logging.LogRecord):
    """A record whose arguments are put into words for people."""

    def getMessage(self) -> str:
        """The message; an ``OSError`` in it as ``FILE: reason``, without its number."""
        if isinstance(self.args, tuple) and any(isinstance(arg, OSError) for arg in self.args):
            self.args = tuple(map(_describe_argument, self.args))
        return super().getMessage()


class OneLineFormatter(logging.Formatter):
    """Escapes control characters in the message; a traceback keeps its lines, indented."""

    _second: tuple[int, str] = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """As the standard library has it; the text of a second is made once."""
        second, text = self._second
        if int(record.created) != second:
            second = int(record.created)
            text = time.strftime(self.default_time_format, self.converter(record.created))
            self._second = second, text  # one step: other threads see both or neither
        return f"{text},{int(record.msecs):03d}"

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of the record itself."""
        record.message = escape(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:
        """A traceback, each line indented, so that none can be taken for a record."""
        text: str = super().formatException(ei)  # type: ignore[arg-type]
        return "\n".join("  " + escape(line) for line in text.splitlines())


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (UTC), ``level``, ``program``, ``pid``, and either the
    record's own ``fields`` or its ``message`` (and ``traceback``). ASCII, so that no
    character of a client's can end a line, or do anything to a terminal."""

    #: Made once: the module's own function would make one for each line.
    _encode = json.JSONEncoder(separators=(",", ":")).encode
    _second: tuple[int, str] = (-1, "")

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """ISO 8601 in UTC; the text of a second is made once."""
        second, text = self._second
        if int(record.created) != second:
            second = int(record.created)
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, text
        return f"{text}.{int(record.msecs):03d}Z"

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        entry: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "program": self._program,
            "pid": record.process,
        }
        fields = getattr(record, "fields", None)
        entry.update({"message": record.getMessage()} if fields is None else fields)
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # The one control character that is ASCII and that JSON leaves as it is.
        return self._encode(entry).replace("\x7f", "\\u007f")


class LogFile(logging.handlers.WatchedFileHandler):
    """A log file, also after a rotation; never the file that a link of this name leads to.

    Root opens it, in a directory where others may lay links and pipes. Whether the file was
    rotated away is checked once a second, not for every line. Where no new one can be
    opened, lines go to the old one, and one of them says why.
    """

    clock = staticmethod(time.monotonic)
    _checked_at = float("-inf")
    _warned = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        now = self.clock()
        if now - self._checked_at >= 1.0:
            self._checked_at = now
            self.reopenIfNeeded()
        logging.FileHandler.emit(self, record)

    def reopenIfNeeded(self) -> None:
        """Go on in a new file, if ours was rotated away and there can be one."""
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
        # A pipe that nobody reads would have us wait for ever.
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
        # A second link may be a trap: the name of a file that is not a log at all.
        may_change = os.geteuid() in (0, found.st_uid) and found.st_nlink == 1
        if may_change and stat.S_IMODE(found.st_mode) != MODE:
            os.fchmod(fd, MODE)
        return open(fd, "a", encoding=self.encoding, errors=self.errors)


def _no_file(path: str) -> str:
    return f"the log {path} is not a regular file; move it away: mv {path} {path}.old"


def _why_not(path: str, err: OSError) -> str:
    """Why a log cannot be opened, and the cure."""
    directory = os.path.dirname(path)
    if err.errno == errno.ELOOP and os.path.islink(path):
        return (
            f"the log {path} is a symbolic link, and is not followed (whoever made it could "
            f"have us write elsewhere); remove it: rm {path}"
        )
    if err.errno in (errno.EISDIR, errno.ENXIO):  # ENXIO: a pipe that nobody reads
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
    """Send the root logger to a file (created if need be), syslog and stderr.

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
    # Whatever no format of ours shows is not looked up for each record.
    logging.logThreads = bool(debug)
    logging.logMultiprocessing = False
    # What cannot be logged (a full disk) must not disturb the work, nor fill stderr.
    logging.raiseExceptions = False
    if problem:
        logger.warning(
            "Syslog gets no lines for now: %s; it is tried again with each line", problem
        )
    return root


def stderr_is_journal(environ: Mapping[str, str]) -> bool:
    """Whether systemd's journal reads our standard error: it names the device and inode of
    that stream (systemd.exec(5)), which a child with another stderr inherits as well."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # None, closed, or not a real file
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _syslog_problem() -> str:
    """Why a line would not reach syslog now; '' if it would."""
    err: OSError | None = None
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(SYSLOG_SOCKET)
                return ""
            except OSError as failed:
                err = err or failed
    assert err is not None
    return f"no syslog daemon listens on {SYSLOG_SOCKET} ({err.strerror})"


class _Tagged(logging.Formatter):
    """Lines of another format, with the tag of syslog before them (RFC 3164 section 4.1.3)."""

    def __init__(self, program: str, lines: logging.Formatter) -> None:
        super().__init__()
        self._program = program
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        return f"{self._program}[{record.process}]: {self._lines.format(record)}"


def _syslog(program: str, lines: logging.Formatter | None) -> logging.Handler:
    # Where nobody listens yet it goes on all the same, as openlog(3) does, and tries again.
    handler = logging.handlers.SysLogHandler(
        address=SYSLOG_SOCKET, facility=logging.handlers.SysLogHandler.LOG_DAEMON
    )
    handler.setFormatter(_Tagged(program, lines or OneLineFormatter("%(levelname)s %(message)s")))
    return handler


def access(line: str, fields: dict[str, Any] | None = None) -> None:
    """A record that is made for every answer: without a search for the line of code that
    it comes from, which would cost as much as the rest of it."""
    record = logging.LogRecord("root", logging.INFO, "", 0, line, None, None)
    if fields is not None:
        record.fields = fields
    logging.getLogger().handle(record)


def reopen() -> None:
    """Go on in new files after a log rotation."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile):
            handler.acquire()  # other threads write to it
            try:
                handler.reopenIfNeeded()
            finally:
                handler.release()


def own_files(uid: int, gid: int) -> None:
    """Let the user that the daemon becomes go on writing its log."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile) and handler.stream is not None:
            os.fchown(handler.stream.fileno(), uid, gid)
