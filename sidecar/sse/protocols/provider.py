"""The interface of a provider: how its streams begin, end and fail."""

from abc import ABC, abstractmethod
from typing import ClassVar

from sidecar.observability.errors import SidecarError
from sidecar.sse.framing import type_of
from sidecar.sse.json_events import event_of, object_of, text_field

ERROR_SIGN = b"error"
"""Every error event contains it. The verdict searches for it before it calls ``is_error``."""

_ERROR_TYPES = frozenset({b"error", b"sse-error"})


class Provider(ABC):
    """A protocol on top of event streams.

    It has no state: one instance serves every stream.
    """

    __slots__ = ()

    name: ClassVar[str]
    """The value of ``family`` in log lines and on the admin page."""

    response_field: ClassVar[bytes | None] = None
    """A response field, in lower case, by which the protocol is known before its first event."""

    @abstractmethod
    def detect(self, message: dict[str, object]) -> bool:
        """Return whether this JSON object occurs only in streams of this protocol."""

    @abstractmethod
    def is_terminal(self, event: bytes) -> bool:
        """Return whether this event, which is not an error, ends the response.

        Runs for every event: search for bytes before you parse JSON.
        """

    def is_error(self, event: bytes) -> bool:
        """Return whether an event with ``ERROR_SIGN`` in it reports a failure.

        The SDKs read it from the event's type, or from an ``error`` at the top of its JSON object.
        """
        if type_of(event) in _ERROR_TYPES:
            return True
        message = object_of(event)
        return bool(message.get("error")) or text_field(message, "type") == "error"

    def completes_without_terminal(self, *, live: bool) -> bool:
        """Return whether a clean end without a terminal is complete."""
        del live
        return False

    def failure_event(self, error: type[SidecarError], stream: str) -> bytes:
        """Return the event on which the SDK raises, without its blank line."""
        body = {"code": error.code, "message": error.message, "retryable": error.retryable}
        return event_of(b"sse-error", {"error": body, "stream": stream})
