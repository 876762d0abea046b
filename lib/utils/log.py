"""Logging as Ganeti's administrators know it, one line per record whatever is in it.

    2026-11-24 02:03:04,005: ganeti-rapi pid=123 INFO 200 GET /version

Control characters are escaped, so that nothing a client sends can forge a line.
"""

from __future__ import annotations

import contextlib
import io
import logging
import logging.handlers
import os
import re
import time

FORMAT = "%(asctime)s: {program} pid=%(process)d %(levelname)s %(message)s"
FORMAT_DEBUG = ("%(asctime)s: {program} pid=%(process)d/%(threadName)s "
                "%(module)s:%(lineno)d %(levelname)s %(message)s")

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def escape(text: str) -> str:
    """Text on one line: control characters become ``\\x0a`` and the like."""
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


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


class LogFile(logging.handlers.WatchedFileHandler):
    """A log file, also after a rotation; never the file that a link of this name leads to.

    Root opens it, in a directory where others may lay links. Whether the file was
    rotated away is looked at once a second, not for every line.
    """

    clock = staticmethod(time.monotonic)
    _looked = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        now = self.clock()
        if now - self._looked >= 1.0:
            self._looked = now
            self.reopenIfNeeded()
        logging.FileHandler.emit(self, record)

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return open(os.open(self.baseFilename, flags, 0o666), "a", encoding=self.encoding,
                    errors=self.errors)


def setup(program: str, path: str | None, *, debug: bool = False, syslog: str = "no",
          stderr: bool = False) -> logging.Logger:
    """Send the root logger to a file (created if need be), syslog and stderr.

    ``syslog`` is "no", "yes" (too) or "only" (instead of the file).
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    formatter = OneLineFormatter((FORMAT_DEBUG if debug else FORMAT).format(program=program))
    handlers: list[logging.Handler] = []
    if path is not None and syslog != "only":
        handlers.append(LogFile(path, encoding="utf-8", errors="backslashreplace"))
    if stderr:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    if syslog != "no":
        root.addHandler(_syslog(program))
    # What cannot be logged (a full disk) must not disturb the work, nor fill stderr.
    logging.raiseExceptions = False
    return root


def _syslog(program: str) -> logging.Handler:
    # Where nobody listens yet it goes on all the same, as openlog(3) does, and tries again.
    handler = logging.handlers.SysLogHandler(
        address="/dev/log", facility=logging.handlers.SysLogHandler.LOG_DAEMON)
    handler.setFormatter(OneLineFormatter(f"{program}[%(process)d]: %(levelname)s %(message)s"))
    return handler


def reopen() -> None:
    """Go on in new files after a log rotation."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile):
            with contextlib.suppress(OSError):
                handler.reopenIfNeeded()


def own_files(uid: int, gid: int) -> None:
    """Let the user that the daemon becomes go on writing its log."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile) and handler.stream is not None:
            os.fchown(handler.stream.fileno(), uid, gid)
