"""Script tags and reports in Chromium, from pages of any origin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Page

from sidecar.cli.client import row
from sidecar.proxy.client_scripts import SCRIPTS
from tests.kit.chromium import needs_chromium, page_at
from tests.kit.fake_upstream import SSE_HEADERS, FakeUpstream, RecordedRequest, Script, plain, sse
from tests.kit.relayed import relayed
from tests.kit.running import RunningSidecar

pytestmark = [pytest.mark.browser, needs_chromium]

BLANK = plain(headers=[("Content-Type", "text/html")], body=b"<!doctype html><title>Test</title>")
CORS = ("Access-Control-Allow-Origin", "*")
FIVE = tuple(b"data: %d\n\n" % n for n in range(1, 6))

LOADED = """([src, integrity]) => new Promise((resolve) => {
  const tag = Object.assign(document.createElement("script"), {type: "module", src, integrity});
  tag.onload = () => resolve("loaded");
  tag.onerror = () => resolve("refused");
  document.head.append(tag);
})"""
READ = """async ([base, url]) => {
  const { connect } = await import(`${base}/_sse/client.js`);
  const stream = (window.stream = connect(url));
  window.seen = [];
  stream.addEventListener("message", ({ data }) => window.seen.push(data));
  stream.addEventListener("state", () => {});
}"""


@dataclass
class ReportScene:
    """A page, of the sidecar's origin or of another, and the sidecar."""

    page: Page
    sc: RunningSidecar
    requests: list[RecordedRequest]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.sc.port}"

    async def read(self) -> None:
        """Have the page read a stream with the browser client."""
        await self.page.evaluate(READ, [self.url, f"{self.url}/events"])

    def reports(self, verdict: str) -> float:
        return self.sc.metric("sse_client_reports_total", verdict=verdict)


@asynccontextmanager
async def scene(script: Script, *, elsewhere: bool) -> AsyncIterator[ReportScene]:
    asked: list[RecordedRequest] = []

    def route(request: RecordedRequest) -> Script:
        asked.append(request)
        return script if request.target == "/events" else BLANK

    async with FakeUpstream(lambda _: BLANK) as other, relayed({}) as (up, sc):
        up.route(route)
        origin = other.url if elsewhere else f"http://127.0.0.1:{sc.port}"
        async with page_at(origin) as page:
            yield ReportScene(page, sc, asked)


async def test_printed_tag_loads_only_its_own_bytes() -> None:
    async with scene(BLANK, elsewhere=True) as front:
        for name in ("client.js", "status.js"):
            printed = row(SCRIPTS[name], f"{front.url}/_sse")
            other = printed["integrity"][:-8] + "A" * 8
            assert await front.page.evaluate(LOADED, [printed["url"], printed["integrity"]]) == "loaded"
            assert await front.page.evaluate(LOADED, [f"{printed['url']}&b", other]) == "refused"


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_end_is_reported_without_a_preflight(*, elsewhere: bool) -> None:
    async with scene(sse(*FIVE, headers=[*SSE_HEADERS, CORS]), elsewhere=elsewhere) as front:
        await front.read()
        await front.page.wait_for_function("window.stream.state === 'completed'")
        await front.sc.until(lambda: front.reports("agree"))
        assert await front.page.evaluate("window.seen") == ["1", "2", "3", "4", "5"]
        assert front.sc.proof() == (5, 5, 5)
        assert [request.method for request in front.requests if request.target == "/events"] == ["GET"]
        assert front.sc.metric("sse_client_reports_total") == 1


async def test_left_page_reports_and_is_not_abandoned() -> None:
    script = sse(*FIVE, then="stall", headers=[*SSE_HEADERS, CORS])
    async with scene(script, elsewhere=True) as front:
        await front.read()
        await front.page.wait_for_function("window.seen.length === 5")
        await front.page.goto("about:blank")
        await front.sc.until(lambda: front.reports("agree"))
        await front.sc.until(lambda: front.sc.metric("sse_streams_detached") == 1)
        (stream,) = front.sc.parts.hub.streams.values()
        stream.visit(stream.clock() + stream.policy.linger_s)
        assert front.sc.outcomes() == {"client_left": 1}
        assert front.sc.proof() == (5, 5, 5)
