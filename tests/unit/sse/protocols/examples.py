"""A complete response of each provider, by the provider's name."""

from sidecar.sse.protocols.registry import PLAIN, PROVIDERS
from tests.kit import wire_forms

COMPLETE = {
    "openai-chat": wire_forms.OPENAI_CHAT,
    "openai-responses": wire_forms.OPENAI_RESPONSES,
    "anthropic": wire_forms.ANTHROPIC,
    "ai-sdk": wire_forms.AI_SDK,
    "google": wire_forms.GOOGLE,
    "mcp": wire_forms.MCP,
}

ALL = (*PROVIDERS, PLAIN)
