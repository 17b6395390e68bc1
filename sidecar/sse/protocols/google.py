"""Google's Gemini API."""

import re

from sidecar.observability.errors import SidecarError
from sidecar.sse.json_events import any_has, any_value, event_of, object_of
from sidecar.sse.protocols.provider import Provider

_finish = re.compile(rb'"finishReason"\s*:\s*"')
_CONTENT_FIELDS = frozenset({"parts", "role"})


class GoogleProvider(Provider):
    """Ends with a candidate's ``finishReason``."""

    __slots__ = ()
    name = "google"

    def detect(self, message: dict[str, object]) -> bool:
        """Implements Provider."""
        return any_has(_contents(message.get("candidates")), _CONTENT_FIELDS)

    def is_terminal(self, event: bytes) -> bool:
        """Implements Provider."""
        return bool(_finish.search(event)) and any_value(object_of(event).get("candidates"), "finishReason")

    def failure_event(self, error: type[SidecarError], stream: str) -> bytes:
        """Implements Provider."""
        del stream
        details = [{"reason": error.code}]
        status = {"code": 503, "message": error.message, "status": "UNAVAILABLE", "details": details}
        return event_of(None, {"error": status})


def _contents(candidates: object) -> list[object]:
    found = candidates if isinstance(candidates, list) else []
    return [candidate.get("content") for candidate in found if isinstance(candidate, dict)]
