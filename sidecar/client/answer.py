"""The meaning of a response's head to an event source.

Source: WHATWG HTML section 9.2.2.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

OK = 200
NO_CONTENT = 204
REFUSED = frozenset({401, 403})
GONE = 410
BUSY = 429
UNAVAILABLE = 503
SERVER_ERROR = 500

TOLD_CHARS_MAX = 300

CODE_PREFIX = "err-sidecar-"
"""Codes of a sidecar begin so: it knows idempotency keys."""


class Meaning(Enum):
    """What to do now."""

    READ = auto()
    COMPLETED = auto()
    AGAIN = auto()
    RENEW = auto()
    """Ask for the headers again, and then once more."""
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status and fields of a response; names are in lower case.

    ``problem`` is the object in its body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    problem: Mapping[str, object] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """The media type, in lower case and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_event_stream(self) -> bool:
        """Whether the body can be read as events."""
        return self.status == OK and self.media_type == "text/event-stream"

    @property
    def code(self) -> str:
        """The server's error code; "" if it says none."""
        code = self.problem.get("code")
        return code if isinstance(code, str) else ""

    @property
    def reason(self) -> str:
        """A sentence for the user: the server's own, if it says one."""
        said = self.problem.get("title") or self.problem.get("message")
        if isinstance(said, str) and said:
            return said[:TOLD_CHARS_MAX]
        if self.status == OK:
            return "The server answered with something else than an event stream."
        if self.status == GONE:
            return "The rest of this is no longer kept. Ask again."
        if self.status == BUSY or self.status >= SERVER_ERROR:
            return f"The server is not available ({self.status})."
        return f"The server refused the request ({self.status})."

    @property
    def detail(self) -> str:
        """What an engineer wants to know beside the reason."""
        if self.status == OK:
            return f"the server answered 200 with {self.media_type or 'no type'}"
        location = self.headers.get("location")
        return f"the server answered {self.status}" + (f": it moved to {location}" if location else "")


def meaning(head: ResponseHead, *, repeats: bool, idempotent: bool, renews: bool) -> Meaning:
    """Judge the head of a response.

    ``repeats`` is whether the request may be sent again in any case. ``idempotent`` is whether it had an
    ``Idempotency-Key``. ``renews`` is whether a function can still return new headers.
    """
    status = head.status
    if head.is_event_stream:
        return Meaning.READ
    if status == NO_CONTENT:
        return Meaning.COMPLETED
    if status in REFUSED:
        return Meaning.RENEW if renews else Meaning.FAILED
    unsent = status in (BUSY, UNAVAILABLE)
    kept = idempotent and head.code.startswith(CODE_PREFIX)
    if unsent or (status >= SERVER_ERROR and (repeats or kept)):
        return Meaning.AGAIN
    return Meaning.FAILED


def problem_of(body: bytes) -> dict[str, object]:
    """Return a problem (RFC 9457) or an API's ``error``, or nothing."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    error = value.get("error")
    return error if isinstance(error, dict) else value
