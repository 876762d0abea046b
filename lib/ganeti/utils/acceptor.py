"""Accepting connections on an event loop, with pauses when they cannot be served."""

from __future__ import annotations

import functools
import logging
import socket
from collections.abc import Callable, Sequence

from ganeti.utils.event_loop import READ, Loop, Timer

logger = logging.getLogger(__name__)

#: Connections that are accepted at once, before it is the turn of other events.
BATCH = 64
#: Seconds until the next try when the process or the machine is out of descriptors.
RETRY_SECONDS = 1.0

OnConnection = Callable[[socket.socket, object], None]


class Acceptor:
    """Accepts connections on ``listeners``, and passes each with its peer's address.

    Accepting pauses while ``has_room()`` is false, until ``resume``; the kernel queues clients
    meanwhile. When no descriptor is left, ``free_descriptor()`` may close a connection; if it
    returns False, accepting pauses for a while, as trying again at once would spin. On the loop's
    thread.
    """

    def __init__(
        self,
        loop: Loop,
        listeners: Sequence[socket.socket],
        on_connection: OnConnection,
        *,
        has_room: Callable[[], bool],
        free_descriptor: Callable[[], bool] = lambda: False,
    ) -> None:
        self._loop = loop
        self._listeners = list(listeners)
        self._on_connection = on_connection
        self._has_room = has_room
        self._free_descriptor = free_descriptor
        self._accepting = True
        self._retry: Timer | None = None
        self._warned_at = float("-inf")
        for listener in self._listeners:
            listener.setblocking(False)
            loop.add(listener, READ, functools.partial(self._accept, listener))

    def accept_queued(self) -> None:
        """Accept the clients that have connected already, unless accepting is paused."""
        if self._accepting:
            for listener in self._listeners:
                self._accept(listener)

    def resume(self) -> None:
        """Accept again after a pause: there may be room, or a descriptor."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if not self._accepting:
            self._accepting = True
            for listener in self._listeners:
                self._loop.modify(listener, READ)

    def close(self) -> None:
        """Close the listeners."""
        for listener in self._listeners:
            self._loop.remove(listener)
            listener.close()
        self._listeners.clear()

    def _pause(self) -> None:
        self._accepting = False
        for listener in self._listeners:
            self._loop.modify(listener, 0)

    def _wait_for_descriptors(self, error: OSError) -> None:
        # Each client that leaves resumes accepting, which may fail again at once.
        now = self._loop.clock()
        if now - self._warned_at >= RETRY_SECONDS:
            self._warned_at = now
            logger.warning("Cannot accept a connection: %s", error)
        self._pause()
        if self._retry is None:
            self._retry = self._loop.call_later(RETRY_SECONDS, self.resume)

    def _accept(self, listener: socket.socket, _events: int = READ) -> None:
        for _ in range(BATCH):
            if not self._has_room():
                self._pause()
                return
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # the client has left already
            except OSError as err:
                if not self._free_descriptor():
                    self._wait_for_descriptors(err)
                return
            self._on_connection(sock, address)
