"""What the sidecar says in a stream: failures in the form of each protocol, so that its SDK raises."""

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
from sidecar.observability.labels import Outcome
from sidecar.sse.framing import data_of
from sidecar.sse.verdict import ProtocolFamily, StreamVerdict, end_event, gap_event, terminal
from tests.kit import wire_forms

MESSAGES = {
    ProtocolFamily.OPENAI_CHAT: wire_forms.OPENAI_CHAT,
    ProtocolFamily.OPENAI_RESPONSES: wire_forms.OPENAI_RESPONSES,
    ProtocolFamily.ANTHROPIC: wire_forms.ANTHROPIC,
    ProtocolFamily.AI_SDK: wire_forms.AI_SDK,
    ProtocolFamily.GOOGLE: wire_forms.GOOGLE,
}


@pytest.mark.parametrize(
    ("family", "told"),
    [
        (
            ProtocolFamily.OPENAI_CHAT,
            (
                b'data: {"error":{"message":"The backend stopped sending. Try again.","type":"server_error",'
                b'"param":null,"code":"err-sidecar-upstream-idle"}}\n'
            ),
        ),
        (
            ProtocolFamily.OPENAI_RESPONSES,
            (
                b'event: error\ndata: {"type":"error",'
                b'"error":{"message":"The backend stopped sending. Try again.",'
                b'"type":"server_error","param":null,"code":"err-sidecar-upstream-idle"}}\n'
            ),
        ),
        (
            ProtocolFamily.ANTHROPIC,
            (
                b'event: error\ndata: {"type":"error","error":{"type":"api_error",'
                b'"message":"The backend stopped sending. Try again."},"code":"err-sidecar-upstream-idle"}\n'
            ),
        ),
        (
            ProtocolFamily.AI_SDK,
            (
                b'data: {"error":{"message":"The backend stopped sending. Try again.","type":"server_error",'
                b'"param":null,"code":"err-sidecar-upstream-idle"}}\n'
            ),
        ),
        (
            ProtocolFamily.GOOGLE,
            (
                b'data: {"error":{"code":503,"message":"The backend stopped sending. Try again.",'
                b'"status":"UNAVAILABLE","details":[{"reason":"err-sidecar-upstream-idle"}]}}\n'
            ),
        ),
        (
            ProtocolFamily.MCP,
            (
                b'event: sse-error\ndata: {"error":{"code":"err-sidecar-upstream-idle",'
                b'"message":"The backend stopped sending. Try again.","retryable":true},"stream":"s1x"}\n'
            ),
        ),
        (
            ProtocolFamily.UNKNOWN,
            (
                b'event: sse-error\ndata: {"error":{"code":"err-sidecar-upstream-idle",'
                b'"message":"The backend stopped sending. Try again.","retryable":true},"stream":"s1x"}\n'
            ),
        ),
    ],
)
def test_a_failure_is_told_in_the_form_of_the_protocol(family: ProtocolFamily, told: bytes) -> None:
    assert terminal(family, errors.UpstreamIdle, "s1x") == told


@pytest.mark.parametrize("family", ProtocolFamily)
@pytest.mark.parametrize("error", errors.every_error())
def test_a_second_sidecar_in_front_takes_a_told_failure_for_one(
    family: ProtocolFamily, error: type[errors.SidecarError]
) -> None:
    told = terminal(family, error, "s1x")
    assert b"[DONE]" not in told
    for before in ([], MESSAGES.get(family, [])[:1]):
        verdict = StreamVerdict()
        for event in [*before, told]:
            verdict.observe(event)
        ending = verdict.ending(events=1)
        assert (ending.outcome, ending.told) == (Outcome.UPSTREAM_ERROR, True)


def test_gaps_and_ends_are_whole_blocks_without_an_id() -> None:
    assert gap_event(3, 9, "trimmed") == (
        b'event: sse-gap\ndata: {"missed_from":3,"missed_through":9,"reason":"trimmed"}\n\n'
    )
    assert gap_event(3, None, "expired") == (
        b'event: sse-gap\ndata: {"missed_from":3,"missed_through":null,"reason":"expired"}\n\n'
    )
    assert end_event(7, 8) == b'event: sse-end\ndata: {"events":7,"last_seq":8}\n\n'


# -- the SDKs ------------------------------------------------------------------------------------------------


def sdk_client(events: list[bytes]) -> httpx2.Client:
    """Return an HTTP client whose every answer is these events."""

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


READ: dict[ProtocolFamily, tuple[Callable[[httpx2.Client], list[object]], type[Exception]]] = {
    ProtocolFamily.OPENAI_CHAT: (read_chat, openai.APIError),
    ProtocolFamily.OPENAI_RESPONSES: (read_responses, openai.APIError),
    ProtocolFamily.ANTHROPIC: (read_anthropic, anthropic.APIStatusError),
}


@pytest.mark.sdk
@pytest.mark.parametrize("family", READ)
@pytest.mark.parametrize("before", [0, 2])
def test_the_sdk_raises_what_it_raises_for_its_own_backends_errors(
    family: ProtocolFamily, before: int
) -> None:
    read, error = READ[family]
    told = terminal(family, errors.UpstreamReset, "s1x")
    with (
        sdk_client([*MESSAGES[family][:before], told]) as http,
        pytest.raises(error, match="The connection to the backend broke before the answer was complete"),
    ):
        read(http)


@pytest.mark.sdk
@pytest.mark.parametrize("family", READ)
def test_the_sdk_reads_the_answers_that_these_tests_are_made_with(family: ProtocolFamily) -> None:
    read, _ = READ[family]
    with sdk_client(MESSAGES[family]) as http:
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
def test_these_answers_have_the_shape_that_the_sdks_types_say(shape: Any, events: list[bytes]) -> None:
    adapter = pydantic.TypeAdapter[Any](shape)
    for event in events:
        adapter.validate_json(data_of(event))
