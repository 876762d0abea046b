"""Bodies that are made while they are sent, one piece after the other.

Theory. A long list that is made as a whole takes its size in memory for each client that asks, and
keeps the interpreter busy for long. Here the connection asks for the next piece when its client
has taken the one before. The piece is made on a thread of a small pool, and no thread is held
while a slow client reads. For a client that has left, no more pieces are made. If a piece cannot
be made, the connection ends without the mark that ends the body, so that the client can tell that
the body is incomplete (RFC 9112, 8).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from ganeti.http.message import Response
from ganeti.utils.event_loop import Loop
from ganeti.utils.workers import WorkerPool

logger = logging.getLogger(__name__)


class StreamedBody:
    """One body that is being sent.

    On the loop's thread ``send`` sends a piece, and asks for more by ``pull`` unless it is the
    last; ``abort`` drops the connection. ``done`` is called once, in the end, from any thread.
    ``is_expected`` returns whether an error that ends the body is worth no traceback.
    """

    def __init__(
        self,
        response: Response,
        pieces: Iterator[bytes],
        loop: Loop,
        pool: WorkerPool,
        *,
        chunked: bool,
        send: Callable[[bytes, bool], None],
        abort: Callable[[], None],
        done: Callable[[], None],
        is_expected: Callable[[Exception], bool],
    ) -> None:
        self._send = send
        self._abort = abort
        self._response = response
        response.whole = False
        self._pieces = pieces
        self._loop = loop
        self._pool = pool
        self._chunked = chunked
        self._done: Callable[[], None] | None = done
        self._is_expected = is_expected

    def pull(self) -> None:
        """Queue the making of the next piece; on the loop's thread."""
        self._pool.submit(self._make_piece)

    def end(self) -> None:
        """Stop making pieces, and call ``done`` unless it was called."""
        done, self._done = self._done, None
        if done is not None:
            done()

    def _make_piece(self) -> None:
        if self._done is None:
            return  # the client left while this was queued
        try:
            piece = next(self._pieces, None)
        except Exception as err:
            known = self._is_expected(err)  # the master, say, went away
            logger.log(
                logging.WARNING if known else logging.ERROR,
                "Request %s: the client gets a part of its list: %s: %s",
                self._response.log_id or self._response.request_id,
                type(err).__name__,
                err,
                exc_info=None if known else err,
            )
            self._loop.call_threadsafe(self._abort)
            self.end()
            return
        if piece is None:
            self._response.whole = True
            self.end()
            data = b"0\r\n\r\n" if self._chunked else b""
        else:
            self._response.streamed += len(piece)
            data = b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece
        self._loop.call_threadsafe(lambda: self._send(data, piece is None))
