"""The published SDKs raise on failure events and accept the examples."""

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pydantic
import pytest
from anthropic.types import RawMessageStreamEvent
from mcp.types import JSONRPCMessage
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from sidecar.observability import errors
from sidecar.sse.framing import data_of
from sidecar.sse.protocols.registry import PROVIDERS
from tests.kit import wire_forms

FAILURE_EVENTS = {
    provider.name: provider.failure_event(errors.UpstreamReset, "s1x") for provider in PROVIDERS
}


def sdk_client(events: list[bytes]) -> httpx2.Client:
    """Return an HTTP client that receives these events for each request."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        body = b"".join(event + b"\n" for event in events)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    return httpx2.Client(transport=httpx2.MockTransport(answer))


def read_chat(http: httpx2.Client) -> list[object]:
    sdk = openai.OpenAI(api_key="x", base_url="http://backend/v1", http_client=http, max_retries=0)
    stream = sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}], stream=True)
    return list(stream)


def read_responses(http: httpx2.Client) -> list[object]:
    sdk = openai.OpenAI(api_key="x", base_url="http://backend/v1", http_client=http, max_retries=0)
    return list(sdk.responses.create(model="m", input="?", stream=True))


def read_anthropic(http: httpx2.Client) -> list[object]:
    sdk = anthropic.Anthropic(api_key="x", base_url="http://backend", http_client=http, max_retries=0)
    message: anthropic.types.MessageParam = {"role": "user", "content": "?"}
    return list(sdk.messages.create(model="m", max_tokens=9, messages=[message], stream=True))


READ: dict[str, tuple[Callable[[httpx2.Client], list[object]], type[Exception], list[bytes]]] = {
    "openai-chat": (read_chat, openai.APIError, wire_forms.OPENAI_CHAT),
    "openai-responses": (read_responses, openai.APIError, wire_forms.OPENAI_RESPONSES),
    "anthropic": (read_anthropic, anthropic.APIStatusError, wire_forms.ANTHROPIC),
}


@pytest.mark.sdk
@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("before", [0, 2])
def test_an_sdk_raises_on_a_failure_event(name: str, before: int) -> None:
    read, error, events = READ[name]
    with (
        sdk_client([*events[:before], FAILURE_EVENTS[name]]) as http,
        pytest.raises(error) as raised,
    ):
        read(http)
    assert errors.UpstreamReset.message in str(raised.value)


@pytest.mark.sdk
@pytest.mark.parametrize("name", READ)
def test_an_sdk_reads_the_example_response(name: str) -> None:
    read, _, events = READ[name]
    with sdk_client(events) as http:
        assert read(http)


SHAPES: list[tuple[Any, list[bytes]]] = [
    (ChatCompletionChunk, wire_forms.OPENAI_CHAT[:-1]),
    (
        ResponseStreamEvent,
        [
            *wire_forms.OPENAI_RESPONSES,
            wire_forms.RESPONSES_FAILED,
            wire_forms.RESPONSES_INCOMPLETE,
            wire_forms.RESPONSES_ERROR,
        ],
    ),
    (RawMessageStreamEvent, [event for event in wire_forms.ANTHROPIC if b"ping" not in event]),
    (JSONRPCMessage, [*wire_forms.MCP, wire_forms.MCP_ERROR]),
]


@pytest.mark.sdk
@pytest.mark.parametrize(("shape", "events"), SHAPES, ids=["chat", "responses", "messages", "mcp"])
def test_the_examples_have_the_shape_of_the_sdk_types(shape: Any, events: list[bytes]) -> None:
    adapter = pydantic.TypeAdapter[Any](shape)
    for event in events:
        adapter.validate_json(data_of(event))
