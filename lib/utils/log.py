"""Logging as Ganeti's administrators know it, one line per record whatever is in it.

    2026-11-24 02:03:04,005: ganeti-rapi pid=123 INFO 200 GET /version

Control characters are escaped, so that nothing a client sends can forge a line.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import logging.handlers
import os
import re
import stat
import time
from typing import Any

from ganeti.utils.text import describe_os_error

FORMAT = "%(asctime)s: {program} pid=%(process)d %(levelname)s %(message)s"
FORMAT_DEBUG = ("%(asctime)s: {program} pid=%(process)d/%(threadName)s "
                "%(module)s:%(lineno)d %(levelname)s %(message)s")

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def escape(text: str) -> str:
    """Text on one line: control characters become ``\\x0a`` and the like."""
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _words(arg: object) -> object:
    return describe_os_error(arg) if isinstance(arg, OSError) else arg


class _Record(logging.LogRecord):
    """A record whose arguments are put into words for people."""

    def getMessage(self) -> str:
        """The message; an ``OSError`` in it as ``FILE: reason``, without its number."""
        if isinstance(self.args, tuple) and any(isinstance(arg, OSError) for arg in self.args):
            self.args = tuple(map(_words, self.args))
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
            self._second = second, text         # one step: other threads see both or neither
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
            "level": record.levelname, "program": self._program, "pid": record.process}
        fields = getattr(record, "fields", None)
        entry.update({"message": record.getMessage()} if fields is None else fields)
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # The one control character that is ASCII and that JSON leaves as it is.
        return self._encode(entry).replace("\x7f", "\\u007f")


class LogFile(logging.handlers.WatchedFileHandler):
    """A log file, also after a rotation; never the file that a link of this name leads to.

    Root opens it, in a directory where others may lay links and pipes. Whether the file was
    rotated away is looked at once a second, not for every line. Where no new one can be
    opened, lines go to the old one, and one of them says why.
    """

    clock = staticmethod(time.monotonic)
    _looked = float("-inf")
    _complained = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        now = self.clock()
        if now - self._looked >= 1.0:
            self._looked = now
            self.reopenIfNeeded()
        logging.FileHandler.emit(self, record)

    def reopenIfNeeded(self) -> None:
        """Go on in a new file, if ours was rotated away and there can be one."""
        try:
            if self._is_there():
                return
            stream = self._open()
        except OSError as err:
            if not self._complained:
                self._complained = True
                logging.FileHandler.emit(self, logging.LogRecord(
                    "root", logging.WARNING, __file__, 0, "Going on in the old log, as %s cannot "
                    "be opened: %s", (self.baseFilename, err.strerror), None))
            return
        self._complained = False
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
        flags = (os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
                 | os.O_NONBLOCK)
        fd = os.open(self.baseFilename, flags, 0o666)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "it is no regular file")
        return open(fd, "a", encoding=self.encoding, errors=self.errors)


def setup(program: str, path: str | None, *, debug: bool = False, syslog: str = "no",
          stderr: bool = False, json_lines: bool = False) -> logging.Logger:
    """Send the root logger to a file (created if need be), syslog and stderr.

    ``syslog`` is "no", "yes" (too) or "only" (instead of the file). With ``json_lines`` each
    line is an object; to syslog, after the tag that every line has there.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    logging.setLogRecordFactory(_Record)
    formatter = JsonFormatter(program) if json_lines else OneLineFormatter(
        (FORMAT_DEBUG if debug else FORMAT).format(program=program))
    handlers: list[logging.Handler] = []
    if path is not None and syslog != "only":
        handlers.append(LogFile(path, encoding="utf-8", errors="backslashreplace"))
    if stderr:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    if syslog != "no":
        root.addHandler(_syslog(program, formatter if json_lines else None))
    # Whatever no format of ours shows is not looked up for each record.
    logging.logThreads = debug
    logging.logMultiprocessing = False
    # What cannot be logged (a full disk) must not disturb the work, nor fill stderr.
    logging.raiseExceptions = False
    return root


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
        address="/dev/log", facility=logging.handlers.SysLogHandler.LOG_DAEMON)
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
            handler.acquire()               # other threads write to it
            try:
                handler.reopenIfNeeded()
            finally:
                handler.release()


def own_files(uid: int, gid: int) -> None:
    """Let the user that the daemon becomes go on writing its log."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile) and handler.stream is not None:
            os.fchown(handler.stream.fileno(), uid, gid)
