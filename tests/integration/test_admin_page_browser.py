"""The admin page in Chromium: true, reachable without a mouse, honest about its age, closed to strangers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from math import floor
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest

from sidecar.streams.stream import Stream
from tests.kit.admin_page import admin_page
from tests.kit.chromium import needs_chromium
from tests.kit.client import SSEClient
from tests.kit.fake_upstream import FakeUpstream, sse
from tests.kit.fault_run import ROUTES as FAULT_ROUTES
from tests.kit.fault_run import FaultRun
from tests.kit.running import RunningSidecar, running
from tests.kit.scrape import Scrape

pytestmark = [pytest.mark.browser, needs_chromium]

ROUTES = [
    {"name": "chat", "path": "/v1/chat", "linger_s": 30},
    {"name": "silent", "path": "/silent", "stall_s": 0.2, "upstream_idle_s": 60},
    {"name": "feed", "path": "/*", "kind": "live"},
]
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
CONTRAST_MIN = 4.5
"""WCAG 2.2, success criterion 1.4.3."""

TILES = ("completion", "reconnect", "lost", "duplicates", "silent", "stalls")
TILE = "#tile-completion"


class OpenClients:
    """Clients of a sidecar, whose answers stay open until the block ends."""

    def __init__(self, up: FakeUpstream, sc: RunningSidecar) -> None:
        self.up = up
        self.sc = sc

    @asynccontextmanager
    async def reading(
        self, target: str = "/v1/chat", trace: str = "t", events: int = 3
    ) -> AsyncIterator[Stream]:
        """Read an answer that does not end; give its stream once it has begun."""
        self.up.script(sse(_blocks(events), then="stall"))
        before = set(self.sc.parts.hub.streams)
        async with self.sc.client.open("POST", target, [("traceparent", trace)], b"{}"):
            stream = await delivered_of(self.sc, before, events)
            yield stream

    async def failed(self) -> Stream:
        """Read an answer that breaks; return its stream."""
        before = set(self.sc.parts.hub.streams)
        self.up.script(sse(_blocks(2), then="reset"))
        await self.read("/v1/chat")
        (handle,) = set(self.sc.parts.hub.streams) - before
        return self.sc.parts.hub.streams[handle]

    async def read(self, target: str) -> None:
        async with self.sc.client.open("POST", target, body=b"{}") as response:
            await response.read_to_end()


def _blocks(count: int) -> bytes:
    return b"".join(b"data: the secret %d\n\n" % number for number in range(count))


async def delivered_of(sc: RunningSidecar, before: set[str], events: int) -> Stream:
    streams = sc.parts.hub.streams
    await sc.until(
        lambda: any(s.ledger.delivered_seq >= events for h, s in streams.items() if h not in before)
    )
    return next(stream for handle, stream in streams.items() if handle not in before)


@asynccontextmanager
async def users(token: str | None = None) -> AsyncIterator[OpenClients]:
    async with FakeUpstream() as up, running(up.url, routes=ROUTES, admin_token=token) as sc:
        yield OpenClients(up, sc)


def _percent(ratio: float) -> str:
    return f"{floor(ratio * 10_000) / 100:.2f} %"


@pytest.mark.slow
async def test_the_six_numbers_are_those_of_the_metrics_after_faults_of_every_kind() -> None:
    async with FakeUpstream() as up, running(up.url, routes=FAULT_ROUTES) as sc:
        ledger = await FaultRun(up, sc).all()
        async with admin_page(sc.admin_port) as admin:
            await admin.shows("#tile-completion", "failed")
            now = await _scraped(sc)
            finished, reconnects = "sse_streams_finished_total", "sse_reconnect_duration_seconds"
            eligible = now.metric(finished) - sum(
                now.metric(finished, outcome=outcome) for outcome in ("client_left", "client_cancelled")
            )
            completed = now.metric(finished, outcome="completed")
            in_time = now.metric(f"{reconnects}_bucket", outcome="resumed", le="5.0")
            every = now.metric(f"{reconnects}_count")
            declared = now.metric("sse_stall_detection_seconds_count")
            mended = now.metric("sse_stall_recovery_seconds_count", outcome="recovered")
            lost = now.metric("sse_messages_lost_total")
            twice = now.metric("sse_messages_duplicated_total", disposition="delivered")
            leaked = now.metric("sse_silent_failures_total", disposition="leaked")
            assert [await admin.text(f"#tile-{key} .value") for key in TILES] == [
                _percent(completed / eligible),
                "100 %" if in_time == every else _percent(in_time / every),
                f"{lost:.0f}",
                f"{twice:.0f}",
                f"{leaked:.0f}",
                f"{mended:.0f} of {declared:.0f} mended",
            ]
            assert f"{eligible - completed:.0f} of {eligible:.0f} streams failed" in await admin.text(TILE)
            assert (lost, twice, leaked) == (ledger.lost, ledger.duplicates_delivered, ledger.leaked)
            assert await admin.text(f"{TILE} .verdict") == "✗ missed"
            label = await admin.at(f"{TILE} svg").get_attribute("aria-label")
            assert f"{eligible - completed:.0f} failed, the latest 0 min ago." in (label or "")


async def test_by_keyboard_alone_a_stream_is_opened_and_left_again() -> None:
    async with (
        users() as people,
        people.reading() as stream,
        people.reading("/feed"),
        admin_page(people.sc.admin_port) as admin,
    ):
        await admin.shows("#rows", stream.handle)
        await admin.tab_to(stream.handle)
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert await admin.page.evaluate(outline) == "solid"
        await admin.page.keyboard.press("Enter")
        await admin.shows("#lines", "reader joined after seq 0")
        await admin.focuses(f"Stream {stream.handle}")
        assert admin.page.url.endswith(f"/streams/{stream.handle}")
        await admin.page.keyboard.press("Escape")
        await admin.focuses(stream.handle)
        await admin.page.go_back()
        await admin.shows("#lines", "started")


async def test_why_a_stream_stopped_is_said_where_an_exemplar_leads() -> None:
    async with users() as people:
        stream = await people.failed()
        async with admin_page(people.sc.admin_port, f"/streams/{stream.handle}", width=360) as admin:
            await admin.shows(
                "#why", "The backend's answer stopped before its end. (err-sidecar-upstream-reset)"
            )
            await admin.shows("#remedy", "Look for a crash")
            await admin.shows("#lines tr.wrong", "outcome: upstream_truncated")
            assert await admin.overflow_px() == 0
            assert "the secret" not in await admin.page.content()
            await admin.page.goto(f"http://127.0.0.1:{people.sc.admin_port}/streams/s1gone")
            await admin.shows("#one-title", "Stream s1gone is not held")


async def test_a_refresh_moves_neither_the_focus_nor_the_choice() -> None:
    async with users() as people, people.reading() as first, admin_page(people.sc.admin_port) as admin:
        await admin.shows("#rows", first.handle)
        asked = len(admin.requests)
        await admin.at("#rows a").focus()
        async with people.reading("/silent") as worse:
            await people.sc.until(lambda: worse.state == "stalled")
            await admin.refresh()
            await admin.shows("#rows tr:first-child", worse.handle)
            assert await admin.focused() == first.handle
            await admin.page.select_option("#route", "silent")
            await admin.shows("#found", "1 stream.")
            await admin.refresh()
            assert await admin.page.locator("#rows tr").count() == 1
        assert {urlsplit(url).path for url in admin.requests[asked:]} == {"/overview"}


async def test_cancelling_takes_a_second_thought_and_then_closes_the_backend() -> None:
    async with users() as people, people.reading() as stream, admin_page(people.sc.admin_port) as admin:
        await admin.at("#rows button").click()
        await admin.shows("#confirm", f"{stream.handle} on route chat: 1 reader, at event 3")
        assert await admin.focused() == "Keep it"
        await admin.page.keyboard.press("Enter")
        await admin.at("#confirm").wait_for(state="hidden")
        assert people.sc.outcomes() == {}
        await admin.at("#rows button").click()
        await admin.page.get_by_role("button", name="Cancel the stream").click()
        await admin.shows("#found", "No such stream.")
        assert people.sc.outcomes() == {"client_cancelled": 1}
        await people.up.requests[0].closed_by_peer(within_s=2)


async def test_when_nobody_answers_any_more_the_numbers_are_not_shown_as_fresh() -> None:
    async with users() as people, admin_page(people.sc.admin_port, may_complain=True) as admin:
        await admin.shows("#fresh", "live")
        people.sc.parts.readiness.draining = True
        await admin.refresh()
        await admin.shows("#ready", "Not ready: draining.")
        await people.sc.parts.admin.shut(0)
        await admin.look()
        await admin.shows("#fresh", "no answer from the admin listener")
        await admin.shows("#age", "all below is of")
        assert (await admin.page.title()).startswith("no answer")
        assert await admin.page.locator("html[data-connection=lost]").count() == 1


@pytest.mark.slow
async def test_after_a_restart_it_begins_anew_by_itself() -> None:
    async with FakeUpstream() as up, AsyncExitStack() as stack:
        async with running(up.url, routes=ROUTES) as sc:
            port, first = sc.admin_port, OpenClients(up, sc)
            await first.failed()
            admin = await stack.enter_async_context(admin_page(port, may_complain=True))
            await admin.shows(TILE, "1 of 1 stream failed")
            await admin.page.select_option("#route", "silent")
            await admin.shows("#found", "No such stream.")
        await admin.look()
        await admin.shows("#fresh", "no answer from the admin listener")
        async with (
            running(up.url, routes=ROUTES[:1], admin_listen=f"127.0.0.1:{port}") as sc,
            OpenClients(up, sc).reading() as stream,
        ):
            await admin.shows("#rows", stream.handle)
            await admin.shows(TILE, "No stream has ended")
            await admin.shows("#fresh", "live")


async def test_a_page_that_is_paused_says_so_and_stays_as_it_is() -> None:
    async with users() as people, people.reading() as first, admin_page(people.sc.admin_port) as admin:
        await admin.shows("#rows", first.handle)
        await admin.page.get_by_role("button", name="Pause").click()
        await admin.shows("#fresh", "paused")
        asked = len(admin.requests)
        async with people.reading() as second:
            await admin.look()
            await admin.shows("#age", "all below is of")
            assert len(admin.requests) == asked
            await admin.page.get_by_role("button", name="Go on").click()
            await admin.shows("#rows", second.handle)
            await admin.shows("#fresh", "live")


async def test_what_others_wrote_is_shown_as_text() -> None:
    async with (
        users() as people,
        people.reading(trace=HOSTILE) as stream,
        admin_page(people.sc.admin_port, f"/streams/{stream.handle}") as admin,
    ):
        await admin.shows("#facts", HOSTILE)
        assert await admin.page.locator("img, #facts script").count() == 0


async def test_with_a_token_it_asks_for_it_keeps_it_in_the_tab_and_forgets_it() -> None:
    async with (
        users(token="correct-horse") as people,
        people.reading() as stream,
        admin_page(people.sc.admin_port, may_complain=True) as admin,
    ):
        await admin.shows("#login", "This listener asks for its token")
        assert await admin.page.evaluate("document.activeElement.id") == "token"
        await admin.page.keyboard.type("wrong-horse")
        await admin.page.keyboard.press("Enter")
        await admin.shows("#login-problem", "That is not the token.")
        await admin.page.keyboard.type("correct-horse")
        await admin.page.keyboard.press("Enter")
        await admin.shows("#rows", stream.handle)
        await admin.page.reload()
        await admin.shows("#rows", stream.handle)
        await admin.at("#rows button").click()
        await admin.page.get_by_role("button", name="Cancel the stream").click()
        await admin.shows("#found", "No such stream.")
        await admin.page.get_by_role("button", name="Forget the token").click()
        await admin.at("#login").wait_for()
        assert not await admin.at("#content").is_visible()
        assert not [url for url in admin.requests if "horse" in url]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "light"), (360, "dark")])
async def test_it_can_be_read_on_a_phone_by_day_and_by_night_and_holds_still_if_asked_to(
    width: int, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    async with users() as people, people.reading("/silent") as stalled, people.reading():
        await people.failed()
        await people.sc.until(lambda: stalled.state == "stalled")
        async with admin_page(people.sc.admin_port, width=width) as admin:
            await admin.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await admin.shows("#rows tr:first-child", "stalled")
            assert await admin.overflow_px() == 0
            contrasts = await admin.contrasts()
            assert len(contrasts) > 40
            assert {text: ratio for text, ratio in contrasts.items() if ratio < CONTRAST_MIN} == {}
            assert await admin.page.evaluate("document.getAnimations().length") == 0
            picture = await admin.page.screenshot(path=tmp_path / "admin.png")
            assert int.from_bytes(picture[16:20]) == width  # PNG section 11.2.1: the width in IHDR


async def _scraped(sc: RunningSidecar) -> Scrape:
    response = await SSEClient("127.0.0.1", sc.admin_port).fetch("GET", "/metrics")
    return Scrape.of_text(response.raw.decode())
