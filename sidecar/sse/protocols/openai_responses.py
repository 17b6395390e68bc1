"""OpenAI's Responses API."""

import re

from sidecar.observability.errors import SidecarError
from sidecar.sse.json_events import event_of, object_of, text_field
from sidecar.sse.protocols.openai_chat import error_object
from sidecar.sse.protocols.provider import Provider

_end = re.compile(rb"response\.(?:completed|incomplete|failed)")
_TERMINALS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class OpenAIResponsesProvider(Provider):
    """Ends with a snapshot of the response, even if that failed."""

    __slots__ = ()
    name = "openai-responses"

    def detect(self, message: dict[str, object]) -> bool:
        """Implements Provider."""
        return text_field(message, "type").startswith("response.")

    def is_terminal(self, event: bytes) -> bool:
        """Implements Provider."""
        return bool(_end.search(event)) and text_field(object_of(event), "type") in _TERMINALS

    def failure_event(self, error: type[SidecarError], stream: str) -> bytes:
        """Implements Provider."""
        del stream
        return event_of(b"error", {"type": "error", "error": error_object(error)})
