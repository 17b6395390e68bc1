"""The browser client in Chromium: preflights, suspended pages, storage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Page

from tests.clients.sdk.cut import delivered, kill
from tests.kit.chromium import needs_chromium, page_at
from tests.kit.fake_upstream import SSE_HEADERS, FakeUpstream, RecordedRequest, Script, plain, sse
from tests.kit.relayed import relayed
from tests.kit.running import RunningSidecar

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.timeout(120)]

BLANK = plain(headers=[("Content-Type", "text/html")], body=b"<!doctype html><title>Test</title>")
CORS = [*SSE_HEADERS, ("Access-Control-Allow-Origin", "*")]
READ = """async ([base, url, options]) => {
  const { connect } = await import(`${base}/_sse/client.js`);
  const stream = (window.stream = connect(url, options));
  window.seen = [];
  window.states = [];
  stream.addEventListener("message", ({ data }) => window.seen.push(data));
  stream.addEventListener("state", () => window.states.push(stream.state));
}"""
WAIT_MS = 20_000


@dataclass
class BrowserScene:
    """A page, the sidecar, and what the backend was asked."""

    page: Page
    sc: RunningSidecar
    asked: list[RecordedRequest]

    async def read(self, **options: object) -> None:
        base = f"http://127.0.0.1:{self.sc.port}"
        await self.page.evaluate(READ, [base, f"{base}/events", options])

    async def until(self, expression: str) -> None:
        await self.page.wait_for_function(expression, timeout=WAIT_MS)

    async def seen(self) -> object:
        return await self.page.evaluate("window.seen")


@asynccontextmanager
async def scene(script: Script, *, elsewhere: bool = False) -> AsyncIterator[BrowserScene]:
    asked: list[RecordedRequest] = []

    def route(request: RecordedRequest) -> Script:
        asked.append(request)
        return script if request.target == "/events" else BLANK

    async with FakeUpstream(lambda _: BLANK) as other, relayed({"heartbeat_s": 0.1}) as (up, sc):
        up.route(route)
        async with page_at(other.url if elsewhere else f"http://127.0.0.1:{sc.port}") as page:
            yield BrowserScene(page, sc, asked)


async def test_resume_from_another_origin_needs_no_preflight() -> None:
    go_on = asyncio.Event()
    script = sse(b"retry: 10\ndata: 1\n\n", go_on, b"data: 2\n\n", headers=CORS)
    async with scene(script, elsewhere=True) as at:
        await at.read()
        kill(await delivered(at.sc, 1))
        await at.until("stream.state === 'open' && states.includes('reconnecting')")
        go_on.set()
        await at.until("stream.state === 'completed'")
        assert await at.seen() == ["1", "2"]
        events = [request for request in at.asked if request.target == "/events"]
        assert [request.method for request in events] == ["GET"], "OPTIONS would have come to the backend"


@pytest.mark.parametrize(
    ("aside", "back"),
    [
        ("document.dispatchEvent(new Event('freeze'))", "document.dispatchEvent(new Event('resume'))"),
        (
            "dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))",
            "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))",
        ),
    ],
    ids=["freeze", "pagehide"],
)
async def test_suspended_page_disconnects_and_resumes(aside: str, back: str) -> None:
    go_on = asyncio.Event()
    async with scene(sse(b"data: 1\n\n", go_on, b"data: 2\n\n")) as at:
        await at.read()
        await at.until("seen.length === 1")
        await at.page.evaluate(aside)
        await at.sc.until(lambda: not at.sc.metric("sse_subscribers"), WAIT_MS / 1000)
        await at.sc.until(lambda: at.sc.metric("sse_client_reports_total", verdict="agree"), WAIT_MS / 1000)
        go_on.set()
        await at.page.evaluate(back)
        await at.until("stream.state === 'completed'")
        assert await at.seen() == ["1", "2"]
        assert len([request for request in at.asked if request.target == "/events"]) == 1


async def test_reloaded_page_continues_its_stream() -> None:
    go_on = asyncio.Event()
    async with scene(sse(b"data: 1\n\n", go_on, b"data: 2\n\n")) as at:
        await at.read(key="answer")
        await at.until("seen.length === 1")
        await at.page.reload()
        await at.read(key="answer")
        await at.until("seen.length === 1")
        go_on.set()
        await at.until("stream.state === 'completed'")
        assert await at.seen() == ["1", "2"]
        assert await at.page.evaluate("sessionStorage.length") == 0
        assert len([request for request in at.asked if request.target == "/events"]) == 1
