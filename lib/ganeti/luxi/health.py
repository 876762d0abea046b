"""Does the master still answer anybody?

Theory. A call may take long, and a master that was stopped takes calls as well:
its kernel accepts and buffers for it. From the silence on one connection the two
cannot be told apart. So a caller that waits while nobody at all has been answered for
``timeout`` seconds probes the master: a call that every master answers at once is sent on a
connection of its own. If that has no answer as many seconds later, the master is
silent: all waiting callers give up, new ones are refused at once, and one thread
waits for the answer to come after all. With it everybody is served again.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from ganeti import errors
from ganeti.luxi.messages import QueryConfigValues, request

logger = logging.getLogger(__name__)

#: Seconds of silence before a probe is sent, and seconds that a master gets to answer it.
TIMEOUT = 4.0
#: Seconds between tries to ask a master that cannot be reached.
RETRY_INTERVAL = 0.25
RECEIVE_SIZE = 4096

_PROBE = request(QueryConfigValues(["cluster_name"]))

Connect = Callable[[float], socket.socket]


class HealthMonitor:
    """Tracks whether one master answers, for all connections to it; from any thread.

    ``connect(timeout)`` opens a connection, or raises ``errors.ProtocolError``.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout = timeout
        self._connect = connect
        self._clock = clock
        self._probing = threading.Lock()
        self._last_answer = 0.0
        self._silent = False

    def record_answer(self) -> None:
        """Note that the master has answered somebody now."""
        self._last_answer = self._clock()

    def answered_since(self, since: float) -> bool:
        """Return whether anybody was answered after that moment."""
        return self._last_answer > since

    def seconds_left(self, since: float) -> float:
        """Return the seconds until a silence ``since`` then is worth a probe."""
        return max(self._last_answer, since) + self.timeout - self._clock()

    def fail_if_silent(self) -> None:
        """Raise ``errors.Timeout`` if the master is known to be silent."""
        if self._silent:
            self._raise_timeout()

    def probe(self, since: float) -> None:
        """Raise ``errors.Timeout`` unless the master, silent ``since`` then, answers a probe."""
        with self._probing:
            self.fail_if_silent()
            if self.answered_since(since):
                return
            sock = self._send_probe()
            if sock is None or self._is_answered(sock, self.timeout):
                self.record_answer()  # its own call tells a caller that cannot connect
                return
            self._silent = True
            logger.warning("The master does not answer")
            threading.Thread(
                target=self._await_recovery, args=(sock,), name="luxi-pulse", daemon=True
            ).start()
        self._raise_timeout()

    @staticmethod
    def _raise_timeout() -> NoReturn:
        raise errors.Timeout("the master does not answer")

    def _send_probe(self) -> socket.socket | None:
        """Send the probe on a new connection; None if nobody listens there."""
        try:
            sock = self._connect(self.timeout)
        except errors.Timeout:
            return socket.socket(socket.AF_UNIX)  # its queue is full: nobody answers
        except errors.ProtocolError:
            return None
        try:
            sock.sendall(_PROBE)
        except OSError:
            pass  # reading will fail as well
        return sock

    @staticmethod
    def _is_answered(sock: socket.socket, timeout: float | None) -> bool:
        """Return True once the first byte of an answer comes, False if none does in time.

        Only a running master can have sent it; the rest may take longer, like any answer. Nor
        does a stopped master close a connection: a caller whose own was closed as well is told
        so.
        """
        sock.settimeout(timeout)
        try:
            sock.recv(RECEIVE_SIZE)
        except ConnectionError:
            return True
        except OSError:  # nothing came in time, or its accept queue was full
            return False
        return True

    def _await_recovery(self, sock: socket.socket) -> None:
        """Wait until the master answers, or is gone, and end the alarm."""
        pause = threading.Event()
        # A master that went on may have lost this one: then another is asked.
        while not self._is_answered(sock, self.timeout):
            sock.close()
            pause.wait(RETRY_INTERVAL)
            another = self._send_probe()
            if another is None:
                break
            sock = another
        sock.close()
        self.record_answer()
        self._silent = False
        logger.info("The master answers again")
