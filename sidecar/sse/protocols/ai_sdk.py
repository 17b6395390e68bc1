"""The UI message stream of Vercel's AI SDK."""

from sidecar.observability.errors import SidecarError
from sidecar.sse.framing import data_of
from sidecar.sse.json_events import event_of, object_of, text_field
from sidecar.sse.protocols.openai_chat import DONE, error_object
from sidecar.sse.protocols.provider import Provider

_FIRST_TYPES = frozenset({"start-step", "text-start", "reasoning-start"})
_TERMINALS = frozenset({"finish", "abort"})


class AISDKProvider(Provider):
    """Ends with ``finish`` or ``abort``, and ``[DONE]`` after it."""

    __slots__ = ()
    name = "ai-sdk"
    response_field = b"x-vercel-ai-ui-message-stream"

    def detect(self, message: dict[str, object]) -> bool:
        """Implements Provider."""
        kind = text_field(message, "type")
        return kind in _FIRST_TYPES or (kind == "start" and "messageId" in message)

    def is_terminal(self, event: bytes) -> bool:
        """Implements Provider."""
        if event[:7] != b"data: {" and event.find(DONE) >= 0 and data_of(event).strip() == DONE:
            return True  # the slice is cheaper than the search, and most events begin with an object
        if event.find(b'"finish"') < 0 and event.find(b'"abort"') < 0:
            return False
        return text_field(object_of(event), "type") in _TERMINALS

    def failure_event(self, error: type[SidecarError], stream: str) -> bytes:
        """Implements Provider."""
        del stream
        return event_of(None, {"error": error_object(error)})
