"""The providers that the sidecar knows, and which one a response is of."""

from collections.abc import Collection

from sidecar.sse.json_events import object_of
from sidecar.sse.protocols.ai_sdk import AISDKProvider
from sidecar.sse.protocols.anthropic import AnthropicProvider
from sidecar.sse.protocols.google import GoogleProvider
from sidecar.sse.protocols.mcp import MCPProvider
from sidecar.sse.protocols.openai_chat import OpenAIChatProvider
from sidecar.sse.protocols.openai_responses import OpenAIResponsesProvider
from sidecar.sse.protocols.plain import PlainProvider
from sidecar.sse.protocols.provider import Provider

PROVIDERS: tuple[Provider, ...] = (
    MCPProvider(),
    OpenAIChatProvider(),
    GoogleProvider(),
    AnthropicProvider(),
    OpenAIResponsesProvider(),
    AISDKProvider(),
)
"""In the order of detection: the first one that detects an event is the provider."""

PLAIN = PlainProvider()
"""Stands for every protocol that is not registered."""


def detect(event: bytes) -> Provider | None:
    """Return the provider that this event shows, or None."""
    message = object_of(event)
    return next((provider for provider in PROVIDERS if provider.detect(message)), None)


def detect_response(field_names: Collection[bytes]) -> Provider | None:
    """Return the provider that the response fields show, or None."""
    return next((provider for provider in PROVIDERS if provider.response_field in field_names), None)
