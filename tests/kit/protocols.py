"""The protocols on top of event streams: how each begins, how it completes, and how it tells a failure."""

import json
from dataclasses import dataclass
from typing import Any

from tests.kit.eventsource import DispatchedEvent


@dataclass(frozen=True)
class Protocol:
    """Literal bytes of one protocol: ``first`` is one event, ``terminal`` what a whole answer ends with."""

    name: str
    first: bytes
    terminal: bytes
    error_type: str

    def __str__(self) -> str:
        return self.name

    def error_of(self, told: DispatchedEvent, stream: str) -> dict[str, Any]:
        """Return ``code`` and ``message`` of a told failure, after checking all else of its form."""
        body = json.loads(told.data)
        assert told.type == self.error_type
        if self.name == "unknown":
            assert body.pop("stream") == stream
            assert isinstance(body["error"].pop("retryable"), bool)
        elif self.name == "anthropic":
            assert body.pop("type") == "error"
            assert body["error"].pop("type") == "api_error"
            body["error"]["code"] = body.pop("code")
        else:
            assert body.pop("type", None) == ("error" if self.name == "openai-responses" else None)
            assert (body["error"].pop("type"), body["error"].pop("param")) == ("server_error", None)
        assert list(body) == ["error"]
        error: dict[str, Any] = body["error"]
        return error


OPENAI = Protocol(
    "openai-chat",
    b'data: {"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hi"},'
    b'"finish_reason":null}]}\n\n',
    b"data: [DONE]\n\n",
    "message",
)
RESPONSES = Protocol(
    "openai-responses",
    b'event: response.created\ndata: {"type":"response.created","response":{"id":"r1"}}\n\n',
    b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r1"}}\n\n',
    "error",
)
ANTHROPIC = Protocol(
    "anthropic",
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m1"}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    "error",
)
AI_SDK = Protocol(
    "ai-sdk",
    b'data: {"type":"start","messageId":"m1"}\n\n',
    b'data: {"type":"finish"}\n\n',
    "message",
)
UNKNOWN = Protocol("unknown", b"data: Hi\n\n", b"", "sse-error")

KNOWN = (OPENAI, RESPONSES, ANTHROPIC, AI_SDK)
PROTOCOLS = (*KNOWN, UNKNOWN)
