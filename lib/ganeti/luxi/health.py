"""Does the master still answer anybody?

Theory. A call may take long, and a master that was stopped takes calls as well:
its kernel accepts and buffers for it. From the silence on one connection the two
cannot be told apart. So whoever waits while nobody at all has been answered for
``patience`` seconds makes sure: a call that every master answers at once is sent on a
connection of its own. Without an answer to that, as many seconds later, the master is
silent: all who wait give up, those who come are refused at once, and one thread
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
from ganeti.luxi.calls import QueryConfigValues
from ganeti.luxi.wire import request

#: Seconds in silence before making sure, and seconds that a master gets to answer then.
TIMEOUT = 4.0
#: Seconds between tries to ask a master that cannot be reached.
AGAIN = 0.25
RECEIVE_SIZE = 4096

_PROBE = request(QueryConfigValues(["cluster_name"]))

Connect = Callable[[float], socket.socket]


class HealthMonitor:
    """What all connections to one master know of it together; from any thread.

    ``connect(timeout)`` opens a connection, or raises ``errors.ProtocolError``.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        patience: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.patience = patience
        self._connect = connect
        self._clock = clock
        self._probing = threading.Lock()
        self._last = 0.0
        self._silent = False

    def beat(self) -> None:
        """Somebody was answered."""
        self._last = self._clock()

    def heard(self, since: float) -> bool:
        """Was anybody answered after that moment?"""
        return self._last > since

    def left(self, since: float) -> float:
        """Seconds that a silence ``since`` then is still borne."""
        return max(self._last, since) + self.patience - self._clock()

    def require(self) -> None:
        """Raise ``errors.Timeout`` if the master is known to be silent."""
        if self._silent:
            self._give_up()

    def make_sure(self, since: float) -> None:
        """After silence ``since`` then: raise ``errors.Timeout`` unless the master is alive."""
        with self._probing:
            self.require()
            if self.heard(since):
                return
            sock = self._ask()
            if sock is None or self._is_answered(sock, self.patience):
                self.beat()  # who cannot connect will hear that from his own call
                return
            self._silent = True
            logging.warning("The master does not answer")
            threading.Thread(
                target=self._listen, args=(sock,), name="luxi-pulse", daemon=True
            ).start()
        self._give_up()

    @staticmethod
    def _give_up() -> NoReturn:
        raise errors.Timeout("the master does not answer")

    def _ask(self) -> socket.socket | None:
        """Send the probe; None when there is nobody to send it to."""
        try:
            sock = self._connect(self.patience)
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

        Only a master that runs can have sent it; the rest may take longer, like any answer. Nor
        does a master that stands still close a connection: a caller whose own was closed, too,
        is told so.
        """
        sock.settimeout(timeout)
        try:
            sock.recv(RECEIVE_SIZE)
        except ConnectionError:
            return True
        except OSError:  # in time nothing came, or there was no place in its queue
            return False
        return True

    def _listen(self, sock: socket.socket) -> None:
        """Until the master answers, or is gone."""
        pause = threading.Event()
        # A master that went on may have lost this one: then another is asked.
        while not self._is_answered(sock, self.patience):
            sock.close()
            pause.wait(AGAIN)
            another = self._ask()
            if another is None:
                break
            sock = another
        sock.close()
        self.beat()
        self._silent = False
        logging.info("The master answers again")
