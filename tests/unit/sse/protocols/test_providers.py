"""The events that each provider detects, its terminals and its errors."""

import json

import pytest

from sidecar.sse.json_events import object_of
from sidecar.sse.protocols.ai_sdk import AISDKProvider
from sidecar.sse.protocols.anthropic import AnthropicProvider
from sidecar.sse.protocols.google import GoogleProvider
from sidecar.sse.protocols.mcp import MCPProvider
from sidecar.sse.protocols.openai_chat import OpenAIChatProvider
from sidecar.sse.protocols.openai_responses import OpenAIResponsesProvider
from sidecar.sse.protocols.provider import ERROR_SIGN, Provider
from sidecar.sse.protocols.registry import PLAIN, PROVIDERS, detect, detect_response
from tests.kit import wire_forms
from tests.unit.sse.protocols.examples import ALL, COMPLETE

TERMINAL_COUNTS = {"openai-chat": 2, "ai-sdk": 2}
"""Events of an example that are terminals by themselves; 1 if it is not here."""


def event(message: object) -> bytes:
    return b"data: " + json.dumps(message).encode() + b"\n"


# -- the registry -------------------------------------------------------------------------------------------


def test_every_provider_has_its_own_name_and_an_example() -> None:
    assert len({provider.name for provider in ALL}) == len(ALL)
    assert COMPLETE.keys() == {provider.name for provider in PROVIDERS}


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_the_first_event_shows_its_provider_and_no_other(provider: Provider) -> None:
    first = COMPLETE[provider.name][0]
    message = object_of(first)
    assert detect(first) is provider
    assert [each for each in PROVIDERS if each.detect(message)] == [provider]


def test_an_event_without_a_json_object_shows_no_provider() -> None:
    assert detect(b"data: tick\n") is None
    assert detect(b"data: [1]\n") is None
    assert not PLAIN.detect({"type": "message_start"})


def test_a_response_field_shows_the_ai_sdk() -> None:
    provider = detect_response([b"content-type", b"x-vercel-ai-ui-message-stream"])
    assert isinstance(provider, AISDKProvider)
    assert detect_response([b"content-type"]) is None
    assert detect_response([]) is None


# -- terminals and errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_only_the_last_events_of_a_response_are_terminals(provider: Provider) -> None:
    found = [provider.is_terminal(each) for each in COMPLETE[provider.name]]
    assert found.count(True) == TERMINAL_COUNTS.get(provider.name, 1)
    assert found[0] is False


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_no_event_of_a_complete_response_is_an_error(provider: Provider) -> None:
    assert not any(provider.is_error(each) for each in COMPLETE[provider.name])


@pytest.mark.parametrize(
    ("provider", "error"),
    [
        (OpenAIChatProvider(), wire_forms.OPENAI_ERROR),
        (OpenAIResponsesProvider(), wire_forms.RESPONSES_ERROR),
        (AnthropicProvider(), wire_forms.ANTHROPIC_ERROR),
        (AISDKProvider(), wire_forms.AI_SDK_ERROR),
        (GoogleProvider(), wire_forms.GOOGLE_ERROR),
    ],
    ids=lambda value: getattr(value, "name", "error"),
)
def test_the_error_of_a_provider_is_an_error_and_no_terminal(provider: Provider, error: bytes) -> None:
    assert ERROR_SIGN in error
    assert provider.is_error(error)
    assert not provider.is_terminal(error)


def test_an_mcp_error_is_a_terminal_and_no_error() -> None:
    assert MCPProvider().is_terminal(wire_forms.MCP_ERROR)
    assert not MCPProvider().is_error(wire_forms.MCP_ERROR)


def test_a_plain_stream_has_no_terminal() -> None:
    assert not any(PLAIN.is_terminal(each) for events in COMPLETE.values() for each in events)


@pytest.mark.parametrize("data", [b"[DONE]", b" [DONE] "])
@pytest.mark.parametrize("provider", [OpenAIChatProvider(), AISDKProvider()], ids=lambda each: each.name)
def test_done_is_a_terminal_in_every_spelling(provider: Provider, data: bytes) -> None:
    assert provider.is_terminal(b"data:" + data + b"\n")
    assert provider.is_terminal(b"data: " + data + b"\n")
    assert provider.is_terminal(b"event: end\ndata: " + data + b"\n")
    assert provider.is_terminal(b": comment\ndata: " + data + b"\n")
    assert not provider.is_terminal(b"data: x\ndata: " + data + b"\n")
    assert not provider.is_terminal(event({"text": "[DONE]"}))


def test_a_finish_reason_of_a_choice_is_a_terminal() -> None:
    chat = OpenAIChatProvider()
    assert chat.is_terminal(event({"choices": [{"finish_reason": "stop"}]}))
    assert chat.is_terminal(event({"choices": [{"finish_reason": None}, {"finish_reason": "length"}]}))
    assert not chat.is_terminal(event({"choices": [{"finish_reason": None}]}))
    assert not chat.is_terminal(event({"choices": {"finish_reason": "stop"}}))
    assert not chat.is_terminal(event({"finish_reason": "stop"}))


def test_a_finish_reason_of_a_candidate_is_a_terminal() -> None:
    google = GoogleProvider()
    assert google.is_terminal(event({"candidates": [{"finishReason": "STOP"}]}))
    assert not google.is_terminal(event({"candidates": ["finishReason"], "finishReason": "STOP"}))
    assert not google.is_terminal(event({"finishReason": "STOP"}))


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete", "response.failed"])
def test_a_snapshot_of_an_ended_response_is_a_terminal(kind: str) -> None:
    responses = OpenAIResponsesProvider()
    assert responses.is_terminal(event({"type": kind}))
    assert not responses.is_terminal(event({"type": "response.output_text.delta", "delta": kind}))


@pytest.mark.parametrize("kind", ["finish", "abort"])
def test_an_ai_sdk_stream_ends_with_finish_or_abort(kind: str) -> None:
    assert AISDKProvider().is_terminal(event({"type": kind}))
    assert not AISDKProvider().is_terminal(event({"type": "text-delta", "delta": kind}))


def test_an_mcp_response_needs_an_id_and_a_result() -> None:
    mcp = MCPProvider()
    assert mcp.is_terminal(event({"id": 1, "result": {}}))
    assert not mcp.is_terminal(event({"result": {}}))
    assert not mcp.is_terminal(event({"id": 1, "params": {"result": 1}}))


# -- a clean end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.name)
@pytest.mark.parametrize("live", [False, True])
def test_a_clean_end_alone_completes_plain_streams_and_live_mcp(provider: Provider, *, live: bool) -> None:
    expected = provider is PLAIN or (live and isinstance(provider, MCPProvider))
    assert provider.completes_without_terminal(live=live) is expected
