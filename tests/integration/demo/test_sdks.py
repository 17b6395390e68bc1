"""The demo backend's dialects as the published SDKs read them, with no sidecar between."""

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from sidecar.demo.words import tokens
from tests.kit.client import SSEClient
from tests.kit.demo_backend import demo_backend

pytestmark = pytest.mark.sdk

TEXT = "".join(tokens("sdk", 30))
QUERY: dict[str, object] = {"n": 30, "seed": "sdk", "interval_ms": 0}
QUESTION = "Why?"


def _openai(client: SSEClient, **query: object) -> AsyncOpenAI:
    url = f"http://{client.host}:{client.port}/v1"
    return AsyncOpenAI(base_url=url, api_key="demo", max_retries=0, default_query={**QUERY, **query})


def _anthropic(client: SSEClient, **query: object) -> AsyncAnthropic:
    url = f"http://{client.host}:{client.port}"
    return AsyncAnthropic(base_url=url, api_key="demo", max_retries=0, default_query={**QUERY, **query})


async def _openai_chat(sdk: AsyncOpenAI) -> tuple[str, str | None, int | None]:
    text, finish_reason, completion_tokens = "", None, None
    stream = await sdk.chat.completions.create(
        model="demo-1",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish_reason = choice.finish_reason
        completion_tokens = chunk.usage.completion_tokens if chunk.usage else None
    return text, finish_reason, completion_tokens


async def _anthropic_text(sdk: AsyncAnthropic) -> tuple[str, str | None]:
    messages = sdk.messages.stream(
        model="demo-1", max_tokens=99, messages=[{"role": "user", "content": QUESTION}]
    )
    async with messages as stream:
        text = "".join([piece async for piece in stream.text_stream])
        return text, (await stream.get_final_message()).stop_reason


class TestOpenAI:
    async def test_a_chat_stream_carries_text_finish_reason_and_usage(self) -> None:
        async with demo_backend() as client, _openai(client) as sdk:
            assert await _openai_chat(sdk) == (TEXT, "stop", 30)

    async def test_a_chat_without_a_stream_is_the_same_text(self) -> None:
        async with demo_backend() as client, _openai(client) as sdk:
            answer = await sdk.chat.completions.create(
                model="demo-1", messages=[{"role": "user", "content": QUESTION}]
            )
        assert answer.choices[0].message.content == TEXT

    async def test_the_responses_helper_collects_the_whole_response(self) -> None:
        async with (
            demo_backend() as client,
            _openai(client) as sdk,
            sdk.responses.stream(model="demo-1", input=QUESTION) as stream,
        ):
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
        assert (final.output_text, final.status) == (TEXT, "completed")

    async def test_the_responses_events_can_be_read_one_by_one(self) -> None:
        async with demo_backend() as client, _openai(client) as sdk:
            stream = await sdk.responses.create(model="demo-1", input=QUESTION, stream=True)
            events = [event async for event in stream]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == TEXT

    async def test_a_response_without_a_stream_is_the_same_text(self) -> None:
        async with demo_backend() as client, _openai(client) as sdk:
            answer = await sdk.responses.create(model="demo-1", input=QUESTION)
        assert answer.output_text == TEXT

    async def test_an_error_event_raises_in_a_chat(self) -> None:
        async with demo_backend() as client, _openai(client, fault="error") as sdk:
            with pytest.raises(openai.APIError, match="The model stopped unexpectedly"):
                await _openai_chat(sdk)

    async def test_an_error_event_arrives_as_one_in_responses(self) -> None:
        async with demo_backend() as client, _openai(client, fault="error") as sdk:
            stream = await sdk.responses.create(model="demo-1", input=QUESTION, stream=True)
            last = [event async for event in stream][-1]
        assert (last.type, last.sequence_number) == ("error", 15)

    @pytest.mark.parametrize("fault", ["reset", "truncate"])
    async def test_a_broken_connection_raises(self, fault: str) -> None:
        async with demo_backend() as client, _openai(client, fault=fault) as sdk:
            with pytest.raises(openai.APIConnectionError):
                await _openai_chat(sdk)

    async def test_an_end_without_terminal_is_a_silent_loss(self) -> None:
        async with demo_backend() as client, _openai(client, fault="no_terminal") as sdk:
            assert await _openai_chat(sdk) == (TEXT, None, None)


class TestAnthropic:
    async def test_a_message_stream_carries_text_and_stop_reason(self) -> None:
        async with demo_backend() as client, _anthropic(client) as sdk:
            assert await _anthropic_text(sdk) == (TEXT, "end_turn")

    async def test_a_message_without_a_stream_is_the_same_text(self) -> None:
        async with demo_backend() as client, _anthropic(client) as sdk:
            message = await sdk.messages.create(
                model="demo-1", max_tokens=99, messages=[{"role": "user", "content": QUESTION}]
            )
        block = message.content[0]
        assert block.type == "text"
        assert block.text == TEXT

    async def test_an_error_event_raises(self) -> None:
        async with demo_backend() as client, _anthropic(client, fault="error") as sdk:
            with pytest.raises(anthropic.APIStatusError, match="The model stopped unexpectedly"):
                await _anthropic_text(sdk)
