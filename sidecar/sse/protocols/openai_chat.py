"""OpenAI's chat completions and text completions, and their imitators."""

import re

from sidecar.observability.errors import SidecarError
from sidecar.sse.framing import data_of
from sidecar.sse.json_events import any_has, any_value, event_of, object_of, text_field
from sidecar.sse.protocols.provider import Provider

DONE = b"[DONE]"
_finish = re.compile(rb'"finish_reason"\s*:\s*"')
_OBJECTS = frozenset({"chat.completion.chunk", "text_completion"})
_CHOICE_FIELDS = frozenset({"delta", "finish_reason"})


class OpenAIChatProvider(Provider):
    """Ends with ``[DONE]`` or, at imitators, with a ``finish_reason``."""

    __slots__ = ()
    name = "openai-chat"

    def detect(self, message: dict[str, object]) -> bool:
        """Implements Provider."""
        return text_field(message, "object") in _OBJECTS or any_has(message.get("choices"), _CHOICE_FIELDS)

    def is_terminal(self, event: bytes) -> bool:
        """Implements Provider."""
        if event[:7] != b"data: {" and event.find(DONE) >= 0 and data_of(event).strip() == DONE:
            return True  # the slice is cheaper than the search, and most events begin with an object
        if not _finish.search(event):
            return False
        return any_value(object_of(event).get("choices"), "finish_reason")

    def failure_event(self, error: type[SidecarError], stream: str) -> bytes:
        """Implements Provider."""
        del stream
        return event_of(None, {"error": error_object(error)})


def error_object(error: type[SidecarError]) -> dict[str, object]:
    """Return the ``error`` of OpenAI's error events."""
    return {"message": error.message, "type": "server_error", "param": None, "code": error.code}
