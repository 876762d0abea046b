"""Who asks, as our front tells our master beside each call; a real luxid ignores it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class RequestContext:
    """The member ``context`` of a LUXI request."""

    user: str | None = None
    request_id: str | None = None
    #: A submission with the key of an earlier one is that one, if the digests are the same.
    idempotency_key: str | None = None
    request_digest: str | None = None

    @property
    def who(self) -> str:
        """For a line of the log, in words that follow others."""
        user = f" of {self.user}" if self.user else ""
        return user + (f" (request {self.request_id})" if self.request_id else "")

    def to_wire(self) -> dict[str, str]:
        """Only what is known."""
        return {key: value for key, value in vars(self).items() if value is not None}

    @classmethod
    def from_wire(cls, data: object) -> RequestContext:
        """Unknown members and values that are no strings are passed over."""
        if not isinstance(data, dict):
            return cls()
        return cls(
            **{
                item.name: data[item.name]
                for item in fields(cls)
                if isinstance(data.get(item.name), str)
            }
        )
