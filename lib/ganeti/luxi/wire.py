"""LUXI's messages as bytes, and back; no sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganeti import constants, errors, ht, serializer
from ganeti.luxi.calls import Call
from ganeti.request_context import RequestContext

#: Ends a message; must not occur inside one.
EOM = b"\x03"
#: A longer message is an attack or a mistake (1,000 creations in one call: 2 MiB).
MAX_MESSAGE = 64 * 1024 * 1024


def pack(message: dict[str, Any]) -> bytes:
    """One message as bytes: ASCII JSON, so that 0x03 cannot occur in it."""
    return serializer.dumps(message).encode("ascii") + EOM


class Splitter:
    """Cuts a byte stream into messages, wherever it was cut before."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add bytes; yields each complete message without its end mark.

        Raises ``errors.ProtocolError`` for a message over the limit.
        """
        self._buffer += data
        while True:
            end = self._buffer.find(EOM, self._searched)
            # Also where its end came in the same piece: the limit does not depend on that.
            if (len(self._buffer) if end < 0 else end) > self._limit:
                raise errors.ProtocolError(f"message longer than {self._limit} bytes")
            if end < 0:
                self._searched = len(self._buffer)
                return
            message = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            yield message

    @property
    def pending(self) -> bool:
        """Return whether a message has begun that has not ended."""
        return bool(self._buffer.strip())


def request(call: Call, context: RequestContext | None = None) -> bytes:
    """Return a call as the bytes that Ganeti 3.0's own clients would send."""
    message: dict[str, Any] = {
        "method": type(call).__name__,
        "args": call.to_args(),
        "version": constants.CONFIG_VERSION,
    }
    message.update(call.beside())
    if context is not None and (members := context.to_wire()):
        message["context"] = members
    return pack(message)


@dataclass(frozen=True)
class Reply:
    """A result, and what our own master says beside it; a real luxid says nothing there.

    ``notes`` has ``idempotency``: "stored" (a new job under this key) or "replayed"
    (the job that the key had already), of a submission with a key; ``total``: how
    many rows there are beyond the page, of a Query with ``paging``; ``state``: see ``Query``.
    """

    result: Any
    notes: Mapping[str, Any] = field(default_factory=dict)


def parse_answer(data: bytes) -> Any:
    """Return the ``result`` of an answer; raises the error that it carries."""
    return parse_reply(data).result


def parse_reply(data: bytes) -> Reply:
    """Return an answer with its notes; raises the error that it carries.

    Raises ``ProtocolError`` when the answer is malformed.
    """
    try:
        message = serializer.loads_lenient(data)
    except serializer.ParseError as err:
        raise errors.ProtocolError(f"the master's answer is no JSON: {err}") from None
    if not isinstance(message, dict) or not message.keys() >= {"success", "result"}:
        raise errors.ProtocolError("the master's answer lacks success and result")
    version = message.get("version")
    if version is not None and version != constants.CONFIG_VERSION:
        raise errors.LuxiError(
            f"version mismatch: we speak {constants.CONFIG_VERSION}, "
            f"the master answered in {ht.shorten(version)}"
        )
    if message["success"]:
        return Reply(
            message["result"],
            {
                key: value
                for key, value in message.items()
                if key not in ("success", "result", "version")
            },
        )
    raise errors.decode(message["result"])
