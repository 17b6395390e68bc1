"""Read answers with published Python SDKs: one function per SDK and API."""

import json
from collections.abc import Awaitable, Callable, Mapping

import anthropic
import httpx
import openai
from httpx_sse import aconnect_sse

from tests.clients.sdk.seen import SdkResult
from tests.kit.eventsource import Parser

QUESTION = "Why?"
Query = Mapping[str, object]
Headers = Mapping[str, str]


Read = Callable[[str, Query, Headers, SdkResult], Awaitable[None]]


def _openai(url: str, query: Query, headers: Headers) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key="demo", default_query=query, default_headers=headers
    )


async def openai_chat(url: str, query: Query, headers: Headers, seen: SdkResult) -> None:
    """Read ``chat.completions.create(stream=True)``."""
    async with _openai(url, query, headers) as sdk:
        stream = await sdk.chat.completions.create(
            model="demo-1", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        async for chunk in stream:
            for choice in chunk.choices:
                seen.note(f"{chunk.object} {choice.finish_reason}", choice.delta.content)


async def openai_responses(url: str, query: Query, headers: Headers, seen: SdkResult) -> None:
    """Read ``responses.create(stream=True)``."""
    async with _openai(url, query, headers) as sdk:
        async for event in await sdk.responses.create(model="demo-1", input=QUESTION, stream=True):
            seen.note(event.type, event.delta if event.type == "response.output_text.delta" else "")


async def openai_responses_helper(url: str, query: Query, headers: Headers, seen: SdkResult) -> None:
    """Read ``responses.stream()``."""
    async with (
        _openai(url, query, headers) as sdk,
        sdk.responses.stream(model="demo-1", input=QUESTION) as stream,
    ):
        async for event in stream:
            seen.note(event.type, event.delta if event.type == "response.output_text.delta" else "")
        await stream.get_final_response()


async def anthropic_messages(url: str, query: Query, headers: Headers, seen: SdkResult) -> None:
    """Read ``messages.stream()``."""
    async with (
        anthropic.AsyncAnthropic(
            base_url=url, api_key="demo", default_query=query, default_headers=headers
        ) as sdk,
        sdk.messages.stream(
            model="demo-1", max_tokens=99, messages=[{"role": "user", "content": QUESTION}]
        ) as stream,
    ):
        async for event in stream:
            seen.note(event.type, event.text if event.type == "text" else "")


async def httpx_sse(url: str, query: Query, headers: Headers, seen: SdkResult) -> None:
    """Read the demo's format with httpx-sse, which sets the Accept field."""
    async with (
        httpx.AsyncClient() as client,
        aconnect_sse(client, "GET", f"{url}/api/chat", params=dict(query), headers=headers) as source,
    ):
        async for event in source.aiter_sse():
            seen.note(event.event, json.loads(event.data).get("text"), event.id)


async def httpx_alone(url: str, query: Query, headers: Headers, seen: SdkResult) -> None:
    """Read the demo's format from the bytes of httpx, as the standard says."""
    parser = Parser()
    async with (
        httpx.AsyncClient() as client,
        client.stream("GET", f"{url}/api/chat", params=dict(query), headers=headers) as response,  # type: ignore[arg-type]
    ):
        async for piece in response.aiter_bytes():
            for event in parser.feed(piece):
                seen.note(event.type, json.loads(event.data).get("text"), event.last_event_id)


READERS: dict[str, Read] = {
    "openai chat": openai_chat,
    "openai responses.create": openai_responses,
    "openai responses.stream": openai_responses_helper,
    "anthropic messages.stream": anthropic_messages,
    "httpx-sse": httpx_sse,
    "httpx": httpx_alone,
}


async def read(reader: Read, url: str, query: Query, headers: Headers | None = None) -> SdkResult:
    """Read to the end, or to the error, which is then part of what was seen."""
    seen = SdkResult()
    try:
        await reader(url, query, headers or {}, seen)
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what its application gets
        seen.error = f"{type(error).__name__}: {error}"
    return seen
