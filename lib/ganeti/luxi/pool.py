"""Connections to a master, shared by threads: each call has one to itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ganeti.luxi.calls import Call
from ganeti.luxi.client import Client
from ganeti.luxi.wire import Context, Reply


class Pool:
    """Opens as many connections as there are calls at the same time, and keeps them.

    The last one used is the first to be used again, so that those of a busy hour
    grow old unused; a client opens a new connection in the place of an old one.
    """

    def __init__(self, make_client: Callable[[], Client] = Client, *, keep: int = 16) -> None:
        self._make_client = make_client
        self._keep = keep
        self._idle: list[Client] = []
        self._lock = threading.Lock()

    def call(self, call: Call, context: Context | None = None) -> Any:
        """As ``Client.call``, from any thread."""
        return self.ask(call, context).result

    def ask(self, call: Call, context: Context | None = None) -> Reply:
        """As ``Client.ask``, from any thread."""
        client = self._take()
        try:
            return client.ask(call, context)
        finally:
            self._give_back(client)

    def begin(self, call: Call, context: Context | None = None) -> Callable[[], bytes]:
        """As ``Client.begin``, from any thread; other calls go on meanwhile."""
        client = self._take()
        try:
            finish = client.begin(call, context)
        except BaseException:
            self._give_back(client)
            raise

        def finish_and_return() -> bytes:
            try:
                return finish()
            finally:
                self._give_back(client)

        return finish_and_return

    def _take(self) -> Client:
        with self._lock:
            client = self._idle.pop() if self._idle else None
        return client or self._make_client()

    def _give_back(self, client: Client) -> None:
        with self._lock:
            if len(self._idle) < self._keep:
                self._idle.append(client)
                return
        client.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()
