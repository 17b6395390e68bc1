"""The demo's page in Chromium, in front of a script that behaves as the sidecar does on the wire."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import pytest
from playwright.async_api import Page, async_playwright

from tests.support.fake_upstream import SSE_HEADERS, FakeUpstream, Script, UpstreamRequest, plain, sse

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGE = files("sidecar.demo").joinpath("page.html").read_bytes()
STREAM_HEADERS = (*SSE_HEADERS, ("SSE-Stream", "s1-abc"))
STATE_MS = 15_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which(CHROMIUM), reason=f"needs {CHROMIUM}: apt-get install chromium"),
]


def _token(number: int, extra: str = "") -> bytes:
    return f'{extra}data: {{"text": " t{number}", "index": {number}}}\nid: s1-abc.{number}\n\n'.encode()


def _tokens(first: int, last: int) -> bytes:
    return b"".join(_token(number) for number in range(first, last + 1))


DONE = b'event: done\ndata: {"tokens": 6, "model": "demo-1"}\nid: s1-abc.7\n\n'


class _Front:
    """Serves the page, and the scripts of the answer's connections in their order."""

    def __init__(self, page: Page, *answers: Script) -> None:
        self.page = page
        self.answers = list(answers)
        self.asked: list[UpstreamRequest] = []
        self.cancels: list[str] = []

    def __call__(self, request: UpstreamRequest) -> Script:
        if request.target == "/":
            return plain(headers=[("Content-Type", "text/html; charset=utf-8")], body=PAGE)
        if request.method == "POST":
            self.cancels.append(request.target)
            return plain(headers=[("Content-Type", "application/json")], body=b"{}")
        self.asked.append(request)
        return self.answers.pop(0)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name).click()

    async def state(self, name: str) -> str:
        """Wait for a state and return its sentence."""
        state = self.page.locator(f"#state[data-is={name}]")
        await state.wait_for(timeout=STATE_MS)
        return await state.inner_text()

    async def shows(self, selector: str, text: str) -> None:
        await self.page.locator(selector, has_text=text).first.wait_for(timeout=STATE_MS)

    async def numbers(self) -> list[str]:
        return await self.page.locator("dd").all_inner_texts()


@asynccontextmanager
async def _front(*answers: Script, mode: str = "fetch") -> AsyncIterator[_Front]:
    async with FakeUpstream() as upstream, async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        front = _Front(await browser.new_page(), *answers)
        errors: list[str] = []
        front.page.on("pageerror", lambda error: errors.append(str(error)))
        upstream.route(front)
        await front.page.goto(upstream.url)
        await front.page.select_option("#mode", mode)
        yield front
        await browser.close()
        assert not errors


async def test_after_a_cut_it_goes_on_behind_the_last_event_and_nothing_is_missing_or_twice() -> None:
    first = sse(_tokens(1, 4), then="stall", headers=STREAM_HEADERS)
    second = sse(_tokens(5, 6) + DONE, headers=STREAM_HEADERS)
    async with _front(first, second) as front:
        await front.press("Ask")
        await front.shows("#tokens", "4")
        await front.press("Cut my network")
        assert await front.state("reconnecting") == "reconnecting in 1 s"
        assert await front.state("completed") == "completed: every token is here"
        assert await front.numbers() == ["6", "0", "0", "2"]
        assert await front.page.locator(".answer").inner_text() == " t1 t2 t3 t4 ⟲ t5 t6"
    assert [request.headers.get("last-event-id") for request in front.asked] == [None, "s1-abc.4"]
    assert front.asked[0].target == front.asked[1].target


async def test_a_cut_before_the_first_id_goes_back_by_the_stream_s_name() -> None:
    first = sse(b": hb idle=1\n", then="stall", headers=STREAM_HEADERS)
    async with _front(first, sse(_tokens(1, 6) + DONE, headers=STREAM_HEADERS)) as front:
        await front.press("Ask")
        assert await front.state("thinking")
        await front.shows("#state", "no token for 1 s")
        await front.press("Cut my network")
        await front.state("completed")
    assert front.asked[1].target == "/_sse/streams/s1-abc"


async def test_what_is_missing_and_what_came_twice_is_counted() -> None:
    answer = sse(_tokens(1, 3) + _tokens(2, 3) + _token(6) + DONE, headers=STREAM_HEADERS)
    async with _front(answer) as front:
        await front.press("Ask")
        assert await front.state("failed") == "failed: 2 tokens are missing"
        assert await front.numbers() == ["4", "2", "2", "1"]


@pytest.mark.parametrize(
    ("mode", "terminal"),
    [
        ("fetch", b'event: sse-error\ndata: {"error": {"message": "it died"}}\nid: s1-abc.3\n\n'),
        ("fetch", b'data: {"error": {"message": "it died"}}\n\n'),
        ("events", b'event: sse-error\ndata: {"error": {"message": "it died"}}\nid: s1-abc.3\n\n'),
        ("events", b'event: error\ndata: {"error": {"code": "it died"}}\n\n'),
    ],
)
async def test_a_failure_is_shown_with_its_reason_and_not_tried_again(mode: str, terminal: bytes) -> None:
    async with _front(sse(_tokens(1, 2), terminal, then="stall", headers=STREAM_HEADERS), mode=mode) as front:
        await front.press("Ask")
        assert await front.state("failed") == "failed: it died"
        assert await front.page.get_by_role("button", name="Cut my network").is_disabled()
    assert len(front.asked) == 1


async def test_an_end_that_was_lost_with_its_connection_comes_with_the_next_one() -> None:
    """Chromium's fetch drops what it has received but not yet handed out when the connection breaks."""
    end = b'event: sse-error\ndata: {"error": {"code": "x", "message": "it died"}}\nid: s1-abc.3\n\n'
    shown = asyncio.Event()
    first = sse(_tokens(1, 2), shown, then="fin", headers=STREAM_HEADERS)
    async with _front(first, sse(end, then="stall", headers=STREAM_HEADERS)) as front:
        await front.press("Ask")
        await front.shows("#tokens", "2")
        shown.set()
        assert await front.state("failed") == "failed: it died"
    assert front.asked[1].headers.get("last-event-id") == "s1-abc.2"


async def test_an_end_without_its_terminal_is_a_failure() -> None:
    async with _front(sse(_tokens(1, 6), headers=STREAM_HEADERS)) as front:
        await front.press("Ask")
        assert await front.state("failed") == "failed: the answer stopped without its end"


async def test_a_refusal_that_may_pass_is_tried_again_and_another_is_not() -> None:
    problem = [("Content-Type", "application/problem+json")]
    down = plain(502, problem, b'{"title": "Bad Gateway", "detail": "refused"}')
    gone = plain(410, problem, b'{"title": "Gone", "detail": "the stream has expired"}')
    async with _front(down, gone) as front:
        await front.press("Ask")
        await front.state("reconnecting")
        assert await front.state("failed") == "failed: status 410: the stream has expired"


@pytest.mark.parametrize("mode", ["fetch", "events"])
async def test_stop_cancels_the_stream_by_its_name(mode: str) -> None:
    async with _front(sse(_tokens(1, 2), then="stall", headers=STREAM_HEADERS), mode=mode) as front:
        await front.press("Ask")
        await front.shows("#tokens", "2")
        await front.press("Stop")
        assert await front.state("stopped") == "stopped: the connection was closed"
        await front.shows("#diary", "cancelled: nothing more is generated")
    assert front.cancels == ["/_sse/streams/s1-abc/cancel"]


async def test_event_source_resumes_by_itself_and_after_a_cut_by_the_query() -> None:
    shown = asyncio.Event()
    first = sse(_token(1, "retry: 50\n"), shown, then="reset", headers=STREAM_HEADERS)
    second = sse(_tokens(2, 3), then="stall", headers=STREAM_HEADERS)
    third = sse(_tokens(4, 6) + DONE, headers=STREAM_HEADERS)
    async with _front(first, second, third, mode="events") as front:
        await front.press("Ask")
        await front.shows("#tokens", "1")
        shown.set()
        await front.shows("#tokens", "3")
        await front.press("Cut my network")
        await front.state("completed")
        assert await front.numbers() == ["6", "0", "0", "3"]
    assert front.asked[1].headers.get("last-event-id") == "s1-abc.1"
    assert front.asked[2].target.endswith("&last_event_id=s1-abc.3")


async def test_the_fault_chosen_is_asked_for_once() -> None:
    answers = [sse(_tokens(1, 6) + DONE, headers=STREAM_HEADERS) for _ in range(2)]
    async with _front(*answers) as front:
        await front.page.select_option("#fault", "reset")
        for _ in answers:
            await front.press("Ask")
            await front.state("completed")
    assert ["fault=reset" in request.target for request in front.asked] == [True, False]


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
async def test_every_line_end_is_read_wherever_the_pieces_are_cut(line_end: str) -> None:
    wire = (b"\xef\xbb\xbf" + _tokens(1, 6) + DONE).decode().replace("\n", line_end).encode()
    pieces = [wire[i : i + 1] for i in range(len(wire))]
    async with _front(sse(*pieces, headers=STREAM_HEADERS)) as front:
        await front.press("Ask")
        await front.state("completed")
        assert await front.numbers() == ["6", "0", "0", "1"]


@pytest.mark.parametrize("width", [360, 1280])
async def test_it_fits_the_screen_and_the_keyboard_is_enough(width: int) -> None:
    async with _front(sse(_tokens(1, 6) + DONE, headers=STREAM_HEADERS)) as front:
        await front.page.set_viewport_size({"width": width, "height": 740})
        await front.page.focus("#prompt")
        await front.page.keyboard.press("Enter")
        await front.state("completed")
        assert await front.page.evaluate("document.documentElement.scrollWidth") == width
