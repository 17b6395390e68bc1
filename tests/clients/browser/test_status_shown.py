"""Each state of a stream, by its cause, as ``<sse-status>`` shows it."""

import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import expect

from sidecar.observability.errors import ResumeExpired
from tests.kit.chat import STALL_S, ChatSite, chatting
from tests.kit.chromium import needs_chromium
from tests.kit.stands import STANDS

AXE = Path(__file__).parents[3] / "tests/clients/sdk/node_modules/axe-core/axe.min.js"
needs_axe = pytest.mark.needs("npm")
pytestmark = [pytest.mark.browser, needs_chromium]

UNREACHED = "The server cannot be reached."
SILENT = f"Nothing has arrived for {STALL_S:g} seconds."
BROKEN = "The connection to the backend broke before the answer was complete. Try again."
TOLD = {
    "connecting": "Connecting",
    "live": "Live",
    "thinking": "Thinking",
    "stalled": SILENT,
    "reconnecting": UNREACHED,
    "completed": "Complete",
    "failed": BROKEN,
    "closed": "You stopped this.",
}
COUNTS = {
    "thinking": re.compile(r"\d+ s"),
    "stalled": re.compile(r"attempt \d"),
    "reconnecting": re.compile(r"attempt \d, in "),
}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WAIT_MS = 20_000
RECOVERY_S_MAX = 5.0


async def _violations(chat: ChatSite) -> list[str]:
    """Return the findings of axe-core, each with its first element."""
    result: dict[str, Any] = await chat.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{found['id']}: {json.dumps(found['nodes'][0]['target'])}" for found in result["violations"]]


@needs_axe
@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_each_state_is_shown_and_accessible() -> None:
    async with chatting() as chat:
        await chat.page.evaluate(AXE.read_text(encoding="utf-8"))
        for kind, stand in STANDS.items():
            async with stand(chat) as told:
                assert told == TOLD.get(kind, told)
                await expect(chat.status.locator("[part=count]")).to_have_text(
                    COUNTS.get(kind, ""), timeout=WAIT_MS
                )
                for scheme in SCHEMES:
                    await chat.page.emulate_media(color_scheme=scheme)
                    assert await _violations(chat) == []


async def test_recovery_shows_the_replayed_messages() -> None:
    async with chatting() as chat:
        await chat.ask(n=2000, pace_ms=20)
        await chat.tokens(5)
        chat.switches.break_for("cut", 60)
        await chat.until("reconnecting", "attempt 2")
        chat.switches.mend()
        told = await chat.until("recovered")
        replayed = int(told.removeprefix("Connection restored: ").removesuffix(" messages replayed"))
        assert replayed > 10
        await chat.press("Stop")
        await chat.until("closed")
        assert (await chat.row("ours"))[1:] == [0, 0, 2]


async def test_gap_is_shown_until_the_end() -> None:
    async with chatting(kind="live", log_events_max=5) as chat:
        await chat.ask(n=120, pace_ms=30)
        await chat.tokens(5)
        chat.switches.break_for("cut", 60)
        await chat.until("reconnecting", "attempt 2")
        chat.switches.mend()
        await chat.until("completed")
        missing = (await chat.row("ours"))[1]
        assert missing > 0
        gap = chat.status.locator("[part=gap]")
        assert (await gap.inner_text()).startswith(f"{missing} messages ")


async def test_stream_that_is_gone_is_shown_as_failed() -> None:
    async with chatting(linger_s=0, retain_s=0) as chat:
        await chat.ask(n=400)
        await chat.tokens(5)
        chat.switches.break_for("cut", 60)
        await chat.sc.until(lambda: not chat.sc.parts.hub.streams)
        chat.switches.mend()
        told = await chat.until("failed")
        assert told == ResumeExpired.message


async def test_offline_is_shown_until_the_page_is_online() -> None:
    async with chatting() as chat:
        await chat.ask(n=100)
        await chat.tokens(5)
        await chat.page.context.set_offline(True)
        chat.network.cut()
        await chat.until("reconnecting", "You are offline.")
        await chat.page.context.set_offline(False)
        await chat.until("completed")
        assert (await chat.row("ours"))[:3] == [100, 0, 0]


async def test_stalled_to_recovered_takes_less_than_five_seconds() -> None:
    watch = """() => {
      window.kinds = {};
      const status = document.querySelector("article:last-child sse-status");
      new MutationObserver(() => { window.kinds[status.kind] ??= performance.now(); })
        .observe(status, { attributeFilter: ["kind"] });
    }"""
    async with chatting() as chat:
        await chat.ask(n=1000)
        await chat.tokens(5)
        await chat.page.evaluate(watch)
        chat.network.blackhole()
        await chat.until("stalled")
        chat.network.heal()
        await chat.until("recovered")
        kinds = await chat.page.evaluate("window.kinds")
        assert 0 < (kinds["recovered"] - kinds["stalled"]) / 1000 < RECOVERY_S_MAX
        await chat.press("Stop")
