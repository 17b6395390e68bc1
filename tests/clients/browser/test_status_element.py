"""``<sse-status>`` in Chromium, with a stream that the test sets."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.kit.chromium import needs_chromium, page_at
from tests.kit.fake_upstream import FakeUpstream, RecordedRequest, Script, plain

pytestmark = [pytest.mark.browser, needs_chromium]

MODULE = (Path(__file__).parents[3] / "sidecar/client/js/status.js").read_bytes()
PAGE = b"""<!doctype html><html lang="en"><title>status</title><sse-status id="one"></sse-status>
<script type="module" src="/status.js"></script>"""
POLICY = (
    "Content-Security-Policy",
    "default-src 'none'; script-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'",
)
SOURCE = """(fields) => {
  const source = Object.assign(new EventTarget(), { state: "open", reason: "", code: "", stream: "s1",
    received: 0, attempt: 0, retryAt: 0, idleSeconds: 0, gaps: [], asked: 0,
    retryNow() { this.asked += 1; } }, fields);
  window.source = source;
  document.getElementById("one").source = source;
}"""
CHANGE = """([fields, type, detail]) => {
  Object.assign(window.source, fields);
  window.source.dispatchEvent(detail ? new CustomEvent(type, { detail }) : new Event(type));
}"""
SHOWN = """(part) => {
  const found = document.getElementById("one").shadowRoot.querySelector(`[part=${part}]`);
  return found.checkVisibility() ? found.textContent : "";
}"""


class StatusPage:
    """The element and its stream."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def begin(self, **fields: Any) -> None:
        await self.page.evaluate(SOURCE, fields)

    async def change(self, event: str = "state", detail: dict[str, Any] | None = None, **fields: Any) -> None:
        await self.page.evaluate(CHANGE, [fields, event, detail])

    async def part(self, name: str) -> str:
        return str(await self.page.evaluate(SHOWN, name))

    async def kind(self) -> str | None:
        return await self.page.locator("#one").get_attribute("kind")

    async def until(self, kind: str) -> None:
        await self.page.locator(f"#one[kind={kind}]").wait_for(state="attached")

    async def advance(self, seconds: float) -> None:
        await self.page.clock.run_for(round(seconds * 1000))


def _site(request: RecordedRequest) -> Script:
    if request.target.startswith("/status.js"):
        return plain(headers=[("Content-Type", "text/javascript")], body=MODULE)
    return plain(headers=[("Content-Type", "text/html"), POLICY], body=PAGE)


@asynccontextmanager
async def _shown() -> AsyncIterator[StatusPage]:
    """Open a page with a strict policy and a clock that stands still."""
    async with FakeUpstream(_site) as site, page_at("about:blank") as page:
        await page.clock.install(time=0)
        await page.goto(site.url)
        await page.clock.pause_at(1_000_000)
        await page.evaluate("customElements.whenDefined('sse-status').then(() => null)")
        yield StatusPage(page)


STATES: list[tuple[dict[str, Any], str, str]] = [
    ({"state": "connecting"}, "connecting", "Connecting"),
    ({"state": "open"}, "live", "Live"),
    ({"state": "open", "idleSeconds": 12}, "thinking", "Thinking"),
    ({"state": "stalled", "reason": "Nothing came for 30 s."}, "stalled", "Nothing came for 30 s."),
    ({"state": "reconnecting", "reason": "It was lost."}, "reconnecting", "It was lost."),
    ({"state": "completed", "reason": "All is here."}, "completed", "Complete"),
    ({"state": "failed", "reason": "It died. Try again."}, "failed", "It died. Try again."),
    ({"state": "failed", "reason": "It died."}, "failed", "It died. Ask again."),
    ({"state": "failed", "reason": "No.", "code": "err-sidecar-x"}, "failed", "No."),
    ({"state": "closed", "reason": "You stopped this."}, "closed", "You stopped this."),
]


async def test_each_state_shows_its_text() -> None:
    async with _shown() as shown:
        for fields, kind, text in STATES:
            await shown.begin(**fields)
            assert (await shown.kind(), await shown.part("text")) == (kind, text)
            await shown.begin(state="open")
            await shown.change(**fields)
            assert (await shown.kind(), await shown.part("text")) == (kind, text)


async def test_kept_state_is_shown_like_a_stream() -> None:
    async with _shown() as shown:
        kept = "{ state: 'failed', reason: 'It died.', text: 'a' }"
        await shown.page.evaluate(f"document.getElementById('one').source = {kept}")
        assert (await shown.kind(), await shown.part("text")) == ("failed", "It died. Ask again.")


async def test_without_a_stream_nothing_is_shown() -> None:
    async with _shown() as shown:
        assert [await shown.part(name) for name in ("text", "count", "gap", "retry")] == ["", "", "", ""]
        await shown.begin()
        assert await shown.part("text") == "Live"
        await shown.page.evaluate("document.getElementById('one').source = null")
        assert (await shown.kind(), await shown.part("text")) == (None, "")


async def test_thinking_counts_seconds_until_the_next_message() -> None:
    async with _shown() as shown:
        await shown.begin(idleSeconds=0)
        await shown.change("heartbeat", idleSeconds=10)
        assert (await shown.kind(), await shown.part("count")) == ("thinking", "10 s")
        await shown.advance(3.1)
        assert await shown.part("count") == "13 s"
        await shown.page.evaluate("window.source.idleSeconds = 0")
        await shown.advance(0.3)
        assert (await shown.kind(), await shown.part("count")) == ("live", "")


async def test_retry_works_by_mouse_and_keyboard() -> None:
    async with _shown() as shown:
        now = await shown.page.evaluate("Date.now()")
        await shown.begin(state="reconnecting", reason="It was lost.", attempt=2, retryAt=now + 2000)
        assert await shown.part("count") == "attempt 2, in 2 s"
        await shown.advance(1.2)
        assert await shown.part("count") == "attempt 2, in 1 s"
        await shown.page.get_by_role("button", name="Retry now").click()
        await shown.page.keyboard.press("Enter")
        assert await shown.page.evaluate("window.source.asked") == 2
        await shown.change(retryAt=0)
        assert await shown.part("count") == "attempt 2"
        await shown.change(state="open")
        assert await shown.page.get_by_role("button").count() == 0


RECOVERIES: list[tuple[int | None, str]] = [
    (0, "Connection restored: 0 messages replayed"),
    (1, "Connection restored: 1 message replayed"),
    (7, "Connection restored: 7 messages replayed"),
    (None, "Connection restored"),
]


async def test_recovery_is_shown_for_four_seconds() -> None:
    async with _shown() as shown:
        for replayed, text in RECOVERIES:
            await shown.begin(state="reconnecting")
            recovery = {"attempts": 1, "seconds": 1.1, "replayed": replayed}
            await shown.change("recovered", recovery, state="open")
            assert (await shown.kind(), await shown.part("text")) == ("recovered", text)
            await shown.advance(3.7)
            assert await shown.kind() == "recovered"
            await shown.advance(0.6)
            assert await shown.kind() == "live"


async def test_gap_stays_beside_every_later_state() -> None:
    gaps = [{"missedFrom": 3, "missedThrough": 4, "reason": "trimmed"}]
    async with _shown() as shown:
        await shown.begin()
        await shown.change("gap", gaps=gaps)
        assert (await shown.part("gap")).startswith("2 messages ")
        await shown.change(state="completed")
        assert (await shown.part("gap")).startswith("2 messages ")
        await shown.change("gap", gaps=[*gaps, {"missedFrom": 9, "missedThrough": None, "reason": ""}])
        assert (await shown.part("gap")).startswith("Some messages ")


async def test_every_text_can_be_replaced() -> None:
    async with _shown() as shown:
        await shown.begin(state="failed", reason="R.", code="c")
        one = "document.getElementById('one')"
        await shown.page.evaluate(f"{one}.texts = {{ failed: 'Aus: {{reason}} ({{code}}, {{stream}})' }}")
        assert await shown.part("text") == "Aus: R. (c, s1)"
        await shown.page.evaluate(f"{one}.texts = {{ failed: ({{ reason }}) => reason.toLowerCase() }}")
        assert await shown.part("text") == "r."
        await shown.page.evaluate(f"{one}.setAttribute('text-failed', 'Oh: {{reason}}')")
        assert await shown.part("text") == "Oh: R."
        await shown.page.evaluate(f"{one}.removeAttribute('text-failed'); {one}.texts = null")
        assert await shown.part("text") == "R. Ask again."


async def test_screen_reader_reads_states_but_no_seconds() -> None:
    watch = """() => {
      const region = document.getElementById("one").shadowRoot.querySelector("[role=status]");
      window.told = [];
      new MutationObserver(() => window.told.push(region.textContent))
        .observe(region, { childList: true, characterData: true, subtree: true });
    }"""
    async with _shown() as shown:
        await shown.begin()
        await shown.page.evaluate(watch)
        await shown.change("heartbeat", idleSeconds=2)
        for second in range(3, 9):
            await shown.advance(1)
            await shown.change("heartbeat", idleSeconds=second)
        now = await shown.page.evaluate("Date.now()")
        await shown.change(state="reconnecting", reason="It was lost.", attempt=1, retryAt=now + 5000)
        await shown.advance(5)
        assert await shown.page.evaluate("window.told") == ["Thinking", "It was lost."]
        assert await shown.page.get_by_role("status").inner_text() == "It was lost."


async def test_reduced_motion_and_page_colours_apply() -> None:
    style = """(name) => getComputedStyle(document.getElementById("one").shadowRoot
      .querySelector("[part=dot]"))[name]"""
    async with _shown() as shown:
        await shown.begin(state="reconnecting")
        assert await shown.page.evaluate(style, "animationName") == "beat"
        await shown.page.emulate_media(reduced_motion="reduce")
        assert await shown.page.evaluate(style, "animationName") == "none"
        for scheme, colour in (("light", "rgb(143, 86, 0)"), ("dark", "rgb(242, 185, 92)")):
            await shown.page.evaluate(f"document.documentElement.style.colorScheme = {json.dumps(scheme)}")
            assert await shown.page.evaluate(style, "borderTopColor") == colour
        await shown.page.evaluate("document.documentElement.style.setProperty('--sse-wait', 'rgb(1, 2, 3)')")
        assert await shown.page.evaluate(style, "borderTopColor") == "rgb(1, 2, 3)"


async def test_removed_element_does_not_listen_until_it_is_back() -> None:
    async with _shown() as shown:
        await shown.begin()
        await shown.page.evaluate("window.one = document.getElementById('one'); window.one.remove()")
        await shown.change(state="completed")
        assert await shown.page.evaluate("window.one.getAttribute('kind')") == "live"
        await shown.page.evaluate("document.body.append(window.one)")
        assert await shown.kind() == "completed"


async def test_stream_set_before_the_module_loads_is_shown() -> None:
    early = "Object.assign(document.createElement('sse-status'), { source: window.source })"
    async with FakeUpstream(_site) as site, page_at("about:blank") as page:
        await page.route("**/status.js", lambda route: route.abort())
        await page.goto(site.url)
        await page.evaluate(
            "window.source = Object.assign(new EventTarget(), {state: 'completed', gaps: []})"
        )
        await page.evaluate(f"document.body.append({early})")
        await page.unroute("**/status.js")
        await page.evaluate("import('/status.js?late')")
        await page.locator("sse-status[kind=completed]").wait_for()
