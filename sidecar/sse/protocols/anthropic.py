"""Anthropic's Messages API."""

from sidecar.observability.errors import SidecarError
from sidecar.sse.json_events import event_of, object_of, text_field
from sidecar.sse.protocols.provider import Provider


class AnthropicProvider(Provider):
    """Begins with ``message_start`` and ends with ``message_stop``."""

    __slots__ = ()
    name = "anthropic"

    def detect(self, message: dict[str, object]) -> bool:
        """Implements Provider."""
        return text_field(message, "type") == "message_start"

    def is_terminal(self, event: bytes) -> bool:
        """Implements Provider."""
        return event.find(b"message_stop") >= 0 and text_field(object_of(event), "type") == "message_stop"

    def failure_event(self, error: type[SidecarError], stream: str) -> bytes:
        """Implements Provider."""
        del stream
        body = {"type": "api_error", "message": error.message}
        return event_of(b"error", {"type": "error", "error": body, "code": error.code})
