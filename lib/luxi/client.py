"""One connection to a master, and its manners."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from ganeti import constants, errors, pathutils
from ganeti.luxi.calls import Call
from ganeti.luxi.wire import Context, Reply, Splitter, parse_reply, request
from ganeti.utils import io

#: Seconds to connect and to wait for an answer, as Ganeti 3.0's own clients do.
CONNECT_TIMEOUT = 30.0
CALL_TIMEOUT = 180.0


def connect(path: str, timeout: float) -> socket.socket:
    """A connected stream socket; raises the ``ProtocolError`` that says what is wrong."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        with io.short_socket_path(path) as short:
            sock.connect(short)
        return sock
    except PermissionError:
        sock.close()
        raise errors.NoPermission(f"no permission to connect to the master at {path}") from None
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        raise errors.NoMaster(f"cannot connect to the master at {path}") from None
    except TimeoutError:
        sock.close()
        raise errors.Timeout(f"connecting to the master at {path} took too long") from None
    except OSError as err:
        sock.close()
        raise errors.NoMaster(f"cannot connect to the master at {path}: {err}") from None


class Client:
    """One connection to a master; not to be shared between threads.

    A call that found its connection closed is sent again once, on a new one, if
    it may be: a submission is not, since the first may have been accepted.
    """

    def __init__(self, path: str | None = None, *, connect_timeout: float = CONNECT_TIMEOUT,
                 call_timeout: float = CALL_TIMEOUT,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path or pathutils.Paths.from_environment().query_socket
        self._connect_timeout = connect_timeout
        self._call_timeout = call_timeout
        self._clock = clock
        self._sock: socket.socket | None = None
        self._last_use = 0.0

    def call(self, call: Call, context: Context | None = None) -> Any:
        """The result of a call; raises what the master answered, or ``ProtocolError``."""
        return self.ask(call, context).result

    def ask(self, call: Call, context: Context | None = None) -> Reply:
        """As ``call``, with what the master says beside the result."""
        data = request(call, context)
        fresh = self._open()
        try:
            return self._exchange(data)
        except errors.ConnectionClosed:
            if fresh or not call.SAFE_TO_REPEAT:
                raise
        self._open()
        return self._exchange(data)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _open(self) -> bool:
        """Make sure of a connection that the master has not closed for idleness."""
        now = self._clock()
        if self._sock is not None and (now - self._last_use > constants.LUXI_IDLE_TIMEOUT / 2
                                       or self._is_stale()):
            self.close()
        self._last_use = now
        if self._sock is not None:
            return False
        self._sock = connect(self._path, self._connect_timeout)
        return True

    def _is_stale(self) -> bool:
        """Has the master closed this idle connection? Then a read would not block."""
        assert self._sock is not None
        self._sock.setblocking(False)
        try:
            self._sock.recv(1, socket.MSG_PEEK)
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _exchange(self, data: bytes) -> Reply:
        assert self._sock is not None
        deadline = self._clock() + self._call_timeout
        splitter = Splitter()
        try:
            self._sock.settimeout(self._call_timeout)
            self._sock.sendall(data)
            while True:
                left = deadline - self._clock()
                if left <= 0:
                    raise TimeoutError
                self._sock.settimeout(left)
                chunk = self._sock.recv(256 * 1024)
                if not chunk:
                    raise errors.ConnectionClosed("the master closed the connection unanswered")
                for message in splitter.feed(chunk):
                    return parse_reply(message)
        except TimeoutError:
            self.close()
            raise errors.Timeout("the master did not answer in "
                                 f"{self._call_timeout:.0f} seconds") from None
        except OSError as err:
            self.close()
            raise errors.ConnectionClosed(f"the connection to the master broke: {err}") from None
        except errors.ProtocolError:
            # A form-2 failure is followed by the end of the connection.
            self.close()
            raise
