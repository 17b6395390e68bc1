"""How did this stream end? Reads the events of known protocols for their terminal and their errors.

A clean end of the body is no proof: OpenAI's, Anthropic's, Google's and the AI SDK's clients take a truncated
answer for a whole one. So a known protocol must show its own terminal, and an error event counts in any
status.
"""

import json
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final, NamedTuple

from sidecar.observability import errors
from sidecar.observability.labels import Outcome, SilentKind
from sidecar.sse.framing import data_of, type_of

DETECT_EVENTS_MAX = 8
"""Events looked at to recognise a protocol; after that it is unknown and a clean end counts."""


class ProtocolFamily(StrEnum):
    """A protocol on top of event streams."""

    OPENAI_CHAT = "openai-chat"
    OPENAI_RESPONSES = "openai-responses"
    ANTHROPIC = "anthropic"
    AI_SDK = "ai-sdk"
    GOOGLE = "google"
    MCP = "mcp"
    UNKNOWN = "unknown"


class Ending(NamedTuple):
    """What is true of an ended upstream; ``error`` None: it completed."""

    outcome: Outcome
    error: type[errors.SidecarError] | None = None
    silent: SilentKind | None = None
    """Which kind of silent failure it would have been, had nobody looked: truncated, empty or hung."""

    told: bool = False
    """The backend's own error event is in the log already: no terminal of ours is needed."""


_finish = re.compile(rb'"finish(?:_r|R)eason"\s*:\s*"')
_responses_end = re.compile(rb"response\.(?:completed|incomplete|failed)")

_CHOICE_FIELDS: Final = frozenset({"delta", "finish_reason"})
_CONTENT_FIELDS: Final = frozenset({"parts", "role"})
_CHAT_OBJECTS: Final = frozenset({"chat.completion.chunk", "text_completion"})
_RESPONSES_TERMINALS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_AI_SDK_TYPES: Final = frozenset({"start-step", "text-start", "reasoning-start"})
_AI_SDK_TERMINALS: Final = frozenset({"finish", "abort"})
_ERROR_TYPES: Final = frozenset({b"error", b"sse-error"})


class StreamVerdict:
    """Watches one stream's events; ``observe`` each, then ask for the ``ending`` once.

    ``complete_on`` is the route's: ``auto`` (the protocol's terminal), ``eof`` (any clean end), or an event
    name or a data literal that marks completion.
    """

    __slots__ = (
        "_complete_on",
        "_error_unsent",
        "_events",
        "_live",
        "complete",
        "error_seen",
        "family",
        "observe",
    )

    def __init__(self, complete_on: str = "auto", *, live: bool = False) -> None:
        self._complete_on = complete_on
        self._live = live
        self._events = 0
        self.family = ProtocolFamily.UNKNOWN
        self.complete = False
        self.error_seen = False
        self._error_unsent = False
        self.observe: Callable[[bytes], None] = self._detect
        """Take note of one event, as framing returns it."""
        if complete_on not in ("auto", "eof"):
            self.observe = self._watch_literal

    def recognise_ai_sdk(self) -> None:
        """Take the backend's word for it: its response field names the protocol before any event does."""
        if self._complete_on in ("auto", "eof"):
            self._recognise(ProtocolFamily.AI_SDK)

    def observe_rest(self, rest: bytes) -> None:
        """Take note of the unfinished block at a clean end; a client that follows the standard ignores it."""
        sent = self.error_seen
        if rest:
            self.observe(rest)
        self._error_unsent = self.error_seen and not sent
        self.error_seen |= sent

    def ending(self, *, events: int) -> Ending:
        """Judge a clean end of the body after this many events."""
        if self.error_seen:
            return Ending(Outcome.UPSTREAM_ERROR, errors.UpstreamReportedError, told=not self._error_unsent)
        if self.complete or self._complete_on == "eof":
            return Ending(Outcome.COMPLETED)
        if self._complete_on == "auto" and self._plain_end_completes():
            if events or self._live:
                return Ending(Outcome.COMPLETED)
            return Ending(Outcome.UPSTREAM_TRUNCATED, errors.UpstreamEmpty, silent=SilentKind.EMPTY)
        return Ending(Outcome.UPSTREAM_TRUNCATED, errors.UpstreamTruncated, silent=SilentKind.TRUNCATED)

    def broken(self, error: type[errors.SidecarError]) -> Ending:
        """Judge an upstream that failed with ``error``; a terminal that was seen before still completes."""
        if self.error_seen:
            return Ending(Outcome.UPSTREAM_ERROR, errors.UpstreamReportedError, told=True)
        if self.complete:
            return Ending(Outcome.COMPLETED)
        if issubclass(error, errors.UpstreamIdle):
            return Ending(Outcome.STALL_UNRECOVERED, error, silent=SilentKind.HUNG)
        if issubclass(error, errors.UpstreamReset):
            return Ending(Outcome.UPSTREAM_TRUNCATED, error)
        if issubclass(error, errors.UpstreamError):
            return Ending(Outcome.UPSTREAM_ERROR, error)
        return Ending(Outcome.SIDECAR_ERROR, error)

    def _plain_end_completes(self) -> bool:
        return self.family is ProtocolFamily.UNKNOWN or (self.family is ProtocolFamily.MCP and self._live)

    def _detect(self, event: bytes) -> None:
        self._events += 1
        family = _family_of(event)
        if family is not ProtocolFamily.UNKNOWN:
            self._recognise(family)
            self.observe(event)
            return
        self._watch_error(event)
        if self._events >= DETECT_EVENTS_MAX:
            self.observe = self._watch_error

    def _recognise(self, family: ProtocolFamily) -> None:
        self.family = family
        self.observe = {
            ProtocolFamily.OPENAI_CHAT: self._watch_openai_chat,
            ProtocolFamily.OPENAI_RESPONSES: self._watch_responses,
            ProtocolFamily.ANTHROPIC: self._watch_anthropic,
            ProtocolFamily.AI_SDK: self._watch_ai_sdk,
            ProtocolFamily.GOOGLE: self._watch_google,
            ProtocolFamily.MCP: self._watch_mcp,
        }[family]

    def _watch_error(self, event: bytes) -> None:
        """Look for an error event; an endless feed that goes on after one has not failed by it."""
        if event.find(b"error") >= 0 and _says_error(event):
            self.error_seen = True
        elif self._live:
            self.error_seen = False

    def _watch_openai_chat(self, event: bytes) -> None:
        if event.find(b"error") >= 0 and _says_error(event):
            self.error_seen = True
        elif event.find(b"[DONE]") >= 0 and data_of(event).strip() == b"[DONE]":
            self.complete = True
        elif _finish.search(event):
            self.complete |= _any_says(_json(event).get("choices"), "finish_reason")

    def _watch_responses(self, event: bytes) -> None:
        if event.find(b"error") >= 0 and _says_error(event):
            self.error_seen = True
        elif _responses_end.search(event):
            self.complete |= _type(_json(event)) in _RESPONSES_TERMINALS

    def _watch_anthropic(self, event: bytes) -> None:
        if event.find(b"error") >= 0 and _says_error(event):
            self.error_seen = True
        elif event.find(b"message_stop") >= 0:
            self.complete |= _type(_json(event)) == "message_stop"

    def _watch_ai_sdk(self, event: bytes) -> None:
        if event.find(b"error") >= 0 and _says_error(event):
            self.error_seen = True
        elif event.find(b"[DONE]") >= 0 and data_of(event).strip() == b"[DONE]":
            self.complete = True
        elif event.find(b'"finish"') >= 0 or event.find(b'"abort"') >= 0:
            self.complete |= _type(_json(event)) in _AI_SDK_TERMINALS

    def _watch_google(self, event: bytes) -> None:
        if event.find(b"error") >= 0 and _says_error(event):
            self.error_seen = True
        elif _finish.search(event):
            self.complete |= _any_says(_json(event).get("candidates"), "finishReason")

    def _watch_mcp(self, event: bytes) -> None:
        if event.find(b'"result"') >= 0 or event.find(b'"error"') >= 0:
            message = _json(event)
            self.complete |= "id" in message and ("result" in message or "error" in message)

    def _watch_literal(self, event: bytes) -> None:
        self._watch_error(event)
        wanted = self._complete_on.encode()
        if wanted in event and (type_of(event) == wanted or data_of(event).strip() == wanted):
            self.complete = True


def _family_of(event: bytes) -> ProtocolFamily:  # noqa: PLR0911 - a list of signs
    message = _json(event)
    kind = _type(message)
    if message.get("jsonrpc") == "2.0":
        return ProtocolFamily.MCP
    if _type(message, "object") in _CHAT_OBJECTS or _any_has(message.get("choices"), _CHOICE_FIELDS):
        return ProtocolFamily.OPENAI_CHAT
    if _any_has(_contents(message.get("candidates")), _CONTENT_FIELDS):
        return ProtocolFamily.GOOGLE
    if kind == "message_start":
        return ProtocolFamily.ANTHROPIC
    if kind.startswith("response."):
        return ProtocolFamily.OPENAI_RESPONSES
    if kind in _AI_SDK_TYPES or (kind == "start" and "messageId" in message):
        return ProtocolFamily.AI_SDK
    return ProtocolFamily.UNKNOWN


def _any_has(items: object, fields: AbstractSet[str]) -> bool:
    """Tell whether any object of a list has any of these fields."""
    return isinstance(items, list) and any(
        isinstance(item, dict) and not fields.isdisjoint(item) for item in items
    )


def _any_says(items: object, field: str) -> bool:
    """Tell whether any object of a list has a value in this field."""
    return isinstance(items, list) and any(isinstance(item, dict) and item.get(field) for item in items)


def _contents(candidates: object) -> list[object]:
    found = candidates if isinstance(candidates, list) else []
    return [candidate.get("content") for candidate in found if isinstance(candidate, dict)]


def _says_error(event: bytes) -> bool:
    """Tell whether an event is an error the way the SDKs read it: by its type, or a top-level ``error``."""
    if type_of(event) in _ERROR_TYPES:
        return True
    message = _json(event)
    return bool(message.get("error")) or _type(message) == "error"


def _type(message: dict[str, object], field: str = "type") -> str:
    found = message.get(field)
    return found if isinstance(found, str) else ""


def _json(event: bytes) -> dict[str, object]:
    try:
        value = json.loads(data_of(event))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def terminal(family: ProtocolFamily, error: type[errors.SidecarError], stream: str) -> bytes:
    """Return the event that tells a client of ``family`` that the stream failed."""
    if family is ProtocolFamily.ANTHROPIC:
        body: dict[str, object] = {"type": "error", "error": {"type": "api_error", "message": error.message}}
        return _event(b"error", body | {"code": error.code})
    if family in (ProtocolFamily.OPENAI_CHAT, ProtocolFamily.OPENAI_RESPONSES, ProtocolFamily.AI_SDK):
        inner = {"message": error.message, "type": "server_error", "param": None, "code": error.code}
        if family is ProtocolFamily.OPENAI_RESPONSES:
            return _event(b"error", {"type": "error", "error": inner})
        return _event(None, {"error": inner})
    if family is ProtocolFamily.GOOGLE:
        details = [{"reason": error.code}]
        status = {"code": 503, "message": error.message, "status": "UNAVAILABLE", "details": details}
        return _event(None, {"error": status})
    told = {"code": error.code, "message": error.message, "retryable": error.retryable}
    return _event(b"sse-error", {"error": told, "stream": stream})


def _event(name: bytes | None, body: dict[str, object]) -> bytes:
    line = b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n"
    return b"event: " + name + b"\n" + line if name else line


def gap_event(missed_from: int, missed_through: int | None, reason: str) -> bytes:
    """Return the ``sse-gap`` block, whole: it has no id, since it is no message of the stream."""
    body: dict[str, object] = {"missed_from": missed_from, "missed_through": missed_through, "reason": reason}
    return _event(b"sse-gap", body) + b"\n"


def end_event(events: int, last_seq: int) -> bytes:
    """Return the ``sse-end`` block, whole, for clients that asked for it."""
    return _event(b"sse-end", {"events": events, "last_seq": last_seq}) + b"\n"
