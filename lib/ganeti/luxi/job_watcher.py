"""Waiting for jobs, many at a time, without a thread for any of them.

Theory. A master answers a connection's calls in order, so a wait needs a connection to
itself; on all of them one loop listens. Those who wait for the same change share one. A
real luxid has room for 128 waits of everybody (each is an inotify instance, of which the
kernel gives a user no more) and leaves some of those beyond unanswered; so there are never
more than ``MAX_WATCHES``, and if there are more changes to wait for they take turns. That
misses nothing, as a wait says what it knows already.

A wait may be silent for minutes, so that neither clients who have left nor a master who
has stopped are noticed by it: every few seconds all are looked at, and if nobody was
answered since, the pulse makes sure of the master. While nobody waits nothing is looked at.
"""

from __future__ import annotations

import dataclasses
import functools
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ganeti import errors
from ganeti.luxi.calls import WaitForJobChange
from ganeti.luxi.health import Connect, HealthMonitor
from ganeti.luxi.wire import Splitter, request
from ganeti.utils.event_loop import READ, Loop, Timer
from ganeti.utils.text import describe_os_error

MAX_WATCHES = 100
#: Seconds of a call; both masters end it then, with what was known before.
CALL = 60.0
#: Seconds beyond that until it is given up; and that a master has to say what is different
#: already.
SLACK, LEAST = 10.0, 1.0
RECEIVE_SIZE = 64 * 1024

Answer = Future["bytes | None"]


class _Watch:
    """One call on its way, or waiting for its turn, and those who want its answer."""

    __slots__ = ("data", "first", "waiters", "sock", "splitter", "until")

    def __init__(self, data: bytes, first: bool) -> None:
        self.data = data
        #: Is nothing known yet? Then the answer comes at once.
        self.first = first
        #: With each: has its client left, and when does it not want to wait any longer?
        self.waiters: dict[Answer, tuple[Callable[[], bool], Timer]] = {}
        self.sock: socket.socket | None = None
        self.splitter = Splitter()
        self.until = float("inf")


class JobWatcher:
    """Room for ``limit`` who wait at the same time; the loop's thread listens for them all.

    ``connect(timeout)`` opens a connection, or raises ``errors.ProtocolError``.
    """

    def __init__(self, loop: Loop, connect: Connect, pulse: HealthMonitor, *, limit: int) -> None:
        self._loop = loop
        self._connect = connect
        self._pulse = pulse
        self._limit = limit
        self._count = 0
        self._lock = threading.Lock()
        #: Connecting may take a while, and so may making sure that there is a master.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="luxi-waits")
        # What follows belongs to the loop's thread.
        self._watches: dict[bytes, _Watch] = {}
        self._active: set[_Watch] = set()
        self._line: deque[_Watch] = deque()
        self._looking = False
        self._looked = 0.0
        self._probe: Future[None] | None = None
        self._ended = False

    def wait(self, call: WaitForJobChange, gone: Callable[[], bool]) -> Answer:
        """The bytes of the answer (for ``parse_answer``), once they are there. From any thread.

        An answer without news may come before the call's timeout. None when that is over, when
        nobody wants an answer any more (``gone()``), or when all waits are to end; but who knows
        nothing yet (``call.previous``) is told also then.
        ``errors.TooManyWaits`` at once when ``limit`` wait already; the future's error is an
        ``errors.ProtocolError``.
        """
        with self._lock:
            if self._count >= self._limit:
                raise errors.TooManyWaits(f"{self._limit} requests wait for jobs already")
            self._count += 1
        future: Answer = Future()
        future.add_done_callback(self._leave)
        self._loop.call_threadsafe(lambda: self._join(future, call, gone))
        return future

    def end(self) -> None:
        """Nobody, also of those to come, waits for a change any more. From any thread."""
        self._loop.call_threadsafe(self._end)

    def _leave(self, _: Answer) -> None:
        with self._lock:
            self._count -= 1

    # -- on the loop's thread: those who wait --------------------------------------------

    def _join(self, future: Answer, call: WaitForJobChange, gone: Callable[[], bool]) -> None:
        first = call.previous is None
        if self._ended and not first:
            future.set_result(None)
            return
        data = request(dataclasses.replace(call, timeout=CALL))
        watch = self._watches.get(data)
        if watch is None:
            watch = self._watches[data] = _Watch(data, first)
            self._line.append(watch)
            self._start()
        # The master ends a call first, unless its client wants to wait for less than that. Who
        # knows nothing yet is answered at once, or hears that the master does not answer.
        seconds = CALL + 2 * SLACK if first or call.timeout >= CALL else max(call.timeout, LEAST)
        timer = self._loop.call_later(seconds, functools.partial(self._drop, watch, future))
        watch.waiters[future] = gone, timer
        if not self._looking:
            self._look_again()

    def _drop(self, watch: _Watch, future: Answer) -> None:
        """This one does not wait any longer."""
        _, timer = watch.waiters.pop(future)
        timer.cancel()
        if not watch.waiters:
            self._forget(watch)
        future.set_result(None)

    def _finish(self, watch: _Watch, outcome: bytes | errors.ProtocolError | None) -> None:
        """Tell all who wait."""
        waiters, watch.waiters = watch.waiters, {}
        self._forget(watch)
        for future, (_, timer) in waiters.items():
            timer.cancel()
            if isinstance(outcome, errors.ProtocolError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _fail_all(self, error: errors.ProtocolError) -> None:
        for watch in list(self._watches.values()):
            self._finish(watch, error)

    def _end(self) -> None:
        self._ended = True
        for watch in list(self._watches.values()):
            if not watch.first:
                self._finish(watch, None)

    # -- on the loop's thread: calls -----------------------------------------------------

    def _start(self) -> None:
        """As many calls as may be; those in the line that nobody wants any more vanish."""
        while self._line and len(self._active) < MAX_WATCHES:
            watch = self._line.popleft()
            if self._watches.get(watch.data) is watch:
                self._active.add(watch)
                self._threads.submit(self._send, watch)

    def _stop(self, watch: _Watch) -> None:
        """Give up a call, and its connection."""
        self._active.discard(watch)
        if watch.sock is not None:
            self._loop.remove(watch.sock)
            watch.sock.close()
            watch.sock = None
        self._start()

    def _forget(self, watch: _Watch) -> None:
        if self._watches.get(watch.data) is watch:
            del self._watches[watch.data]
            self._stop(watch)

    def _listen(self, watch: _Watch, sock: socket.socket) -> None:
        if watch not in self._active:  # meanwhile nobody wants it any more
            sock.close()
            return
        watch.sock, watch.splitter = sock, Splitter()
        watch.until = self._loop.clock() + CALL + SLACK
        self._loop.add(sock, READ, lambda _: self._receive(watch, sock))

    def _receive(self, watch: _Watch, sock: socket.socket) -> None:
        try:
            data = sock.recv(RECEIVE_SIZE)
            if not data:
                raise ConnectionResetError("it was closed")
            message = next(watch.splitter.feed(data), None)
        except BlockingIOError:
            return
        except OSError as err:
            self._finish(watch, _broken(err))
        except errors.ProtocolError as err:
            self._finish(watch, err)
        else:
            if message is not None:
                self._pulse.beat()
                self._finish(watch, message)

    # -- on the loop's thread: now and then ----------------------------------------------

    def _look_again(self) -> None:
        self._looking = True
        self._looked = self._loop.clock()
        self._loop.call_later(self._pulse.patience / 2, self._look)

    def _look(self) -> None:
        """Whoever waits for nobody, or in vain, does not wait any longer."""
        self._looking = False
        since, now = self._looked, self._loop.clock()
        for watch in list(self._watches.values()):
            for future, (gone, _) in list(watch.waiters.items()):
                if gone():
                    self._drop(watch, future)
            if watch.sock is not None and now > watch.until:
                self._finish(watch, errors.Timeout("the master did not answer in time"))
        self._take_turns()
        if self._watches:
            self._look_again()
            if not self._pulse.heard(since) and (self._probe is None or self._probe.done()):
                self._probe = self._threads.submit(self._make_sure, since)

    def _take_turns(self) -> None:
        """As many as stand in the line give their place to it, the oldest first."""
        listening = [watch for watch in self._active if watch.sock is not None]
        listening.sort(key=lambda watch: watch.until)
        for watch in listening[: len(self._line)]:
            self._line.append(watch)
            self._stop(watch)

    # -- on other threads ----------------------------------------------------------------

    def _send(self, watch: _Watch) -> None:
        try:
            self._pulse.require()
            sock = self._connect(self._pulse.patience)
            try:
                sock.sendall(watch.data)
                sock.setblocking(False)
            except OSError as err:
                sock.close()
                raise _broken(err) from None
        except errors.ProtocolError as err:
            self._loop.call_threadsafe(functools.partial(self._finish, watch, err))
        else:
            self._loop.call_threadsafe(functools.partial(self._listen, watch, sock))

    def _make_sure(self, since: float) -> None:
        try:
            self._pulse.make_sure(since)
        except errors.Timeout as err:
            self._loop.call_threadsafe(functools.partial(self._fail_all, err))


def _broken(err: OSError) -> errors.ConnectionClosed:
    return errors.ConnectionClosed(f"the connection to the master broke: {describe_os_error(err)}")
