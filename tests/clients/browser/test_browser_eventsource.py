"""EventSource and fetch of Chromium, through the sidecar."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import Page

from sidecar.streams.subscriber import Subscriber
from tests.clients.sdk.cut import beaten, cut, delivered
from tests.kit.chromium import CLOSED, Dispatched, event_source, needs_chromium, page_at
from tests.kit.fake_upstream import SSE_HEADERS, Ending, FakeUpstream, RecordedRequest, Script, plain, sse
from tests.kit.protocols import OPENAI
from tests.kit.relayed import relayed
from tests.kit.running import RunningSidecar

pytestmark = [pytest.mark.browser, needs_chromium]

ROUTE = {"heartbeat_s": 0.05, "linger_s": 5}
BLANK = plain(headers=[("Content-Type", "text/html")], body=b"<!doctype html><title>Test</title>")
CORS = (("Access-Control-Allow-Origin", "*"),)
REPLAYS = 20


@dataclass
class PageOrigin:
    """A page, and in ``asked`` the requests for a stream at the backend."""

    page: Page
    up: FakeUpstream
    sc: RunningSidecar
    asked: list[RecordedRequest]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.sc.port}"

    async def requests(self) -> float:
        """Wait for the responses to all requests, and return their number."""
        await self.page.evaluate("fetch('/').then((response) => response.text())")
        return self.sc.metric("sse_requests_total")


@asynccontextmanager
async def fronted(*scripts: Script, origin: str = "") -> AsyncIterator[PageOrigin]:
    """Run a backend that answers /events with ``scripts``, and a page.

    The page is of ``origin``, or of the sidecar's origin.
    """
    async with relayed(ROUTE) as (up, sc):
        asked: list[RecordedRequest] = []
        answers = list(scripts)

        def route(request: RecordedRequest) -> Script:
            if request.target != "/events":
                return BLANK
            asked.append(request)
            return answers.pop(0)

        up.route(route)
        async with page_at(origin or f"http://127.0.0.1:{sc.port}/") as page:
            yield PageOrigin(page, up, sc, asked)


def _blocks(first: int, last: int) -> bytes:
    retry = b"retry: 50\n" if first == 1 else b""
    return b"".join(b"%bdata: %d\n\n" % (retry, number) for number in range(first, last + 1))


def _messages(stream: str, last: int) -> list[Dispatched]:
    return [Dispatched("message", str(number), f"{stream}.{number}") for number in range(1, last + 1)]


def _stream_of(events: list[Dispatched]) -> str:
    return events[0].last_event_id.rpartition(".")[0]


async def test_204_after_a_clean_end_stops_the_reconnects() -> None:
    gate = asyncio.Event()
    async with fronted(sse(_blocks(1, 2), gate, _blocks(3, 3))) as front:
        source = await event_source(front.page, "/events")
        await source.until_events(2)
        await beaten(front.sc, 5)
        assert await source.life() == ["open"]
        gate.set()
        await source.until_closed()
        events = await source.events()
        assert events == _messages(_stream_of(events), 3)
        assert await source.life() == ["open", "connecting", "closed"]
        assert front.sc.metric("sse_resumes_total", result="no_content") == 1
        assert len(front.asked) == 1


async def test_lost_connection_resumes_after_the_last_event() -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    async with fronted(sse(_blocks(1, 3), gates[0], _blocks(4, 6), gates[1], _blocks(7, 9))) as front:
        source = await event_source(front.page, "/events")
        for seen, gate in zip((3, 6), gates, strict=True):
            stream = await delivered(front.sc, seen)
            await source.until_events(seen)
            await beaten(front.sc)
            await cut(front.sc, stream)
            gate.set()
        await source.until_closed()
        assert await source.events() == _messages(stream.id, 9)
        assert await source.life() == ["open", "connecting"] * 3 + ["closed"]
        assert len(front.asked) == 1
        assert front.sc.metric("sse_messages_lost_total") == 0
        assert front.sc.outcomes() == {"completed": 1}


@pytest.mark.parametrize("then", ["reset", "fin"])
async def test_failure_is_a_named_event_before_204(then: Ending) -> None:
    gate = asyncio.Event()
    async with fronted(sse(_blocks(1, 2), gate, then=then)) as front:
        source = await event_source(front.page, "/events")
        await source.until_events(2)
        gate.set()
        await source.until_closed()
        *messages, told = await source.events()
        assert messages == _messages(_stream_of(messages), 2)
        assert (told.type, told.last_event_id) == ("sse-error", f"{_stream_of(messages)}.3")
        assert json.loads(told.data)["error"]["code"] == "err-sidecar-upstream-reset"
        before = await front.requests()
        assert await front.requests() == before + 1
        assert await source.state() == CLOSED


async def test_error_event_of_the_backend_reaches_onerror() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
    async with fronted(sse(_blocks(1, 1), error)) as front:
        source = await event_source(front.page, "/events")
        await source.until_closed()
        message, told = await source.events()
        assert (told.type, json.loads(told.data)["error"]) == ("error", {"type": "overloaded_error"})
        assert told.last_event_id == f"{_stream_of([message])}.2"
        assert front.sc.outcomes() == {"upstream_error": 1}


async def test_connection_closed_in_a_drain_resumes_its_stream() -> None:
    async with fronted(sse(_blocks(1, 2))) as front:
        front.sc.parts.resume.draining = True
        source = await event_source(front.page, "/events")
        await source.until("w.life.length >= 2")
        assert await source.life() == ["open", "connecting"]
        front.sc.parts.resume.draining = False
        await source.until_closed()
        events = await source.events()
        assert events == _messages(_stream_of(events), 2)
        assert len(front.asked) == 1


async def test_client_refused_in_a_drain_resumes_later() -> None:
    gate = asyncio.Event()
    async with fronted(sse(_blocks(1, 2), gate, _blocks(3, 4))) as front:
        source = await event_source(front.page, "/events")
        stream = await delivered(front.sc, 2)
        (reader,) = stream.readers
        assert isinstance(reader, Subscriber)
        reader.drain()
        await source.until("w.life.includes('connecting')")
        gate.set()
        await source.until_closed()
        assert await source.events() == _messages(stream.id, 4)
        assert len(front.asked) == 1


async def test_allowed_origin_can_read_the_stream_header() -> None:
    async with FakeUpstream(lambda _: BLANK) as other:
        script = sse(_blocks(1, 2), headers=[*SSE_HEADERS, *CORS])
        async with fronted(script, origin=other.url) as front:
            name = await front.page.evaluate(
                "(url) => fetch(url).then(async (r) => [r.headers.get('SSE-Stream'), await r.text()])",
                f"{front.url}/events",
            )
            (stream,) = front.sc.parts.hub.streams.values()
            assert name == [stream.id, _blocks(1, 2).decode()]


async def test_eventsource_of_another_origin_resumes_until_204() -> None:
    gate = asyncio.Event()
    async with FakeUpstream(lambda _: BLANK) as other:
        script = sse(_blocks(1, 3), gate, _blocks(4, 5), headers=[*SSE_HEADERS, *CORS])
        async with fronted(script, origin=other.url) as front:
            refused: list[str] = []
            front.page.on("console", lambda message: refused.append(message.text))
            source = await event_source(front.page, f"{front.url}/events")
            stream = await delivered(front.sc, 3)
            await cut(front.sc, stream)
            gate.set()
            await source.until_closed()
            assert await source.events() == _messages(stream.id, 5)
            assert not [said for said in refused if "CORS" in said]
            assert front.sc.metric("sse_resumes_total", result="no_content") == 1


READ_ALL = """
async (url) => {
  const { body } = await fetch(url, { headers: { Accept: "text/event-stream" } });
  const reader = body.getReader(), utf8 = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return [text, "clean"];
      text += utf8.decode(value, { stream: true });
    }
  } catch (error) {
    return [text, "aborted"];
  }
}
"""


async def test_fetch_reads_the_end_of_every_failed_stream() -> None:
    scripts = [sse(OPENAI.first, OPENAI.first) for _ in range(REPLAYS)]
    async with fronted(*scripts) as front:
        await front.page.evaluate("fetch('/').then(r => r.text())")  # what a page reads first takes it longer
        for number in range(REPLAYS):
            live = await front.page.evaluate(READ_ALL, "/events")
            stream = list(front.sc.parts.hub.streams.values())[number]
            again = await front.page.evaluate(READ_ALL, f"/_sse/streams/{stream.id}")
            _assert_told(live)
            _assert_told(again)


def _assert_told(seen: list[Any]) -> None:
    text, ended = seen
    assert ended == "aborted"
    assert text.count("data: ") == 3
    assert "err-sidecar-upstream-truncated" in text
