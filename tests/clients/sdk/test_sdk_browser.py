"""Published EventSource clients for browsers, in Chromium."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, Route

from tests.clients.sdk import node_sdks
from tests.clients.sdk.cut import beaten, cut, delivered
from tests.kit.chromium import needs_chromium, page_at
from tests.kit.fake_upstream import FakeUpstream, Script, plain, sse
from tests.kit.relayed import relayed
from tests.kit.running import RunningSidecar

pytestmark = [
    pytest.mark.browser,
    pytest.mark.sdk,
    needs_chromium,
    pytest.mark.needs("npm"),
]

CLIENTS = ("sse", "fetch-event-source", "event-source-polyfill")
ROUTE = {"heartbeat_s": 0.05, "linger_s": 5}
BLANK = plain(headers=[("Content-Type", "text/html")], body=b"<!doctype html><title>Test</title>")
DONE = b"event: done\ndata: 10\n\n"
READ = """
async (client) => {
  const { read } = await import(`/clients/${client}.mjs`);
  const seen = [];
  await read("/events", (...event) => seen.push(event));
  return seen;
}
"""


async def _serve_modules(page: Page) -> None:
    """Answer from the disk what the scripts import; some leave out the ending, which a bundler would add."""

    async def serve(route: Route) -> None:
        _, _, _, kind, name = route.request.url.split("/", 4)
        folder = node_sdks.MODULES if kind == "modules" else node_sdks.HOME / "browser"
        path = folder / name
        await route.fulfill(
            path=path if path.suffix else path.with_suffix(".js"), content_type="text/javascript"
        )

    await page.route("**/clients/**", serve)
    await page.route("**/modules/**", serve)


@asynccontextmanager
async def opened(script: Script) -> AsyncIterator[tuple[Page, FakeUpstream, RunningSidecar]]:
    """Open a page of the sidecar's origin; ``script`` is what the backend answers to /events."""
    async with relayed(ROUTE) as (up, sc):
        up.route(lambda request: script if request.target == "/events" else BLANK)
        async with page_at(f"http://127.0.0.1:{sc.port}/") as page:
            await _serve_modules(page)
            yield page, up, sc


def _blocks(first: int, last: int) -> bytes:
    retry = b"retry: 50\n" if first == 1 else b""
    return b"".join(b"%bdata: %d\n\n" % (retry, number) for number in range(first, last + 1))


def _messages(stream: str, last: int) -> list[list[Any]]:
    return [["message", str(number), f"{stream}.{number}"] for number in range(1, last + 1)]


@pytest.mark.parametrize("client", CLIENTS)
async def test_after_every_cut_it_goes_on_behind_its_last_event(client: str) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    script = sse(_blocks(1, 3), gates[0], _blocks(4, 6), gates[1], _blocks(7, 9) + DONE)
    async with opened(script) as (page, up, sc):
        reading = asyncio.create_task(page.evaluate(READ, client))
        for events, gate in zip((3, 6), gates, strict=True):
            stream = await delivered(sc, events)
            await beaten(sc)
            await cut(sc, stream)
            await beaten(sc)
            gate.set()
        assert await reading == [*_messages(stream.id, 9), ["done", "10", f"{stream.id}.10"]]
        assert [request.target for request in up.requests].count("/events") == 1
        assert sc.outcomes() == {"completed": 1}


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_failure_arrives_as_an_event(client: str) -> None:
    gate = asyncio.Event()
    async with opened(sse(_blocks(1, 3), gate, then="reset")) as (page, up, sc):
        reading = asyncio.create_task(page.evaluate(READ, client))
        stream = await delivered(sc, 3)
        gate.set()
        *messages, told = await reading
        assert messages == _messages(stream.id, 3)
        assert (told[0], told[2]) == ("sse-error", f"{stream.id}.4")
        assert [request.target for request in up.requests].count("/events") == 1
