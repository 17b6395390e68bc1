"""The demo's page where it is made for: the real backend behind the real sidecar, with faults on request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page

from tests.sdk.cut import delivered, kill
from tests.sdk.front import Front, fronted
from tests.support.chromium import needs_chromium, page_at

pytestmark = [pytest.mark.browser, needs_chromium]

TOKENS = "12"
MODES = ("fetch", "events")
UNFINISHED = "failed: The backend ended the answer before it was complete. Try again."
BROKEN = "failed: The connection to the backend broke before the answer was complete. Try again."
TOLD = {
    "no_terminal": UNFINISHED,
    "empty": UNFINISHED,
    "reset": BROKEN,
    "truncate": BROKEN,
    "error": "failed: The model stopped unexpectedly.",
}


@asynccontextmanager
async def _opened(mode: str) -> AsyncIterator[tuple[Front, Page]]:
    """Open the page through the sidecar."""
    async with fronted() as front, page_at(front.relayed) as page:
        await page.select_option("#mode", mode)
        await page.fill("#length", TOKENS)
        yield front, page


async def _ask(page: Page, fault: str = "") -> None:
    await page.select_option("#fault", fault)
    await page.get_by_role("button", name="Ask").click()


async def _settled(page: Page) -> str:
    state = page.locator("#state:is([data-is=failed], [data-is=completed])")
    await state.wait_for()
    return await state.inner_text()


async def _numbers(page: Page) -> list[str]:
    """Return tokens, missing ones, those that came twice, connections."""
    return await page.locator("dd").all_inner_texts()


@pytest.mark.parametrize("mode", MODES)
async def test_every_failed_answer_settles_with_its_reason(mode: str) -> None:
    async with _opened(mode) as (front, page):
        for fault, told in TOLD.items():
            await _ask(page, fault)
            assert await _settled(page) == told
            assert (await _numbers(page))[1:3] == ["0", "0"]
        assert sum(front.sc.outcomes().values()) == len(TOLD)
        assert "completed" not in front.sc.outcomes()


@pytest.mark.parametrize("mode", MODES)
async def test_an_answer_that_is_cut_is_whole_in_the_end(mode: str) -> None:
    async with _opened(mode) as (front, page):
        await _ask(page)
        kill(await delivered(front.sc, 5))
        assert await _settled(page) == "completed: every token is here"
        assert await _numbers(page) == [TOKENS, "0", "0", "2"]
        assert front.sc.outcomes() == {"completed": 1}
