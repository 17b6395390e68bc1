"""The demo's page where it is made for: the real backend, the real sidecar, and a network that can break."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import expect

from sidecar.demo.webapi import create_app
from sidecar.demo.webapi import running as running_backend
from sidecar.demo.words import tokens
from tests.kit.admin_page import CONTRASTS
from tests.kit.chat import ChatSite, chatting
from tests.kit.chromium import needs_chromium, page_at

pytestmark = [pytest.mark.browser, needs_chromium]

UNFINISHED = "The backend ended the answer before it was complete. Try again."
BROKEN = "The connection to the backend broke before the answer was complete. Try again."
TOLD = {
    "no_terminal": UNFINISHED,
    "empty": UNFINISHED,
    "reset": BROKEN,
    "truncate": BROKEN,
    "error": "The model stopped unexpectedly. Ask again.",
}
WAIT_MS = 20_000
CONTRAST_MIN = 4.5
"""WCAG 2.2, 1.4.3, level AA."""


async def _truth(chat: ChatSite, n: int) -> str:
    """Return the answer to the newest question as its backend wrote it."""
    (kept,) = await chat.page.evaluate("JSON.parse(sessionStorage.talk).slice(-1)")
    seed = parse_qs(urlsplit(kept["url"]).query)["seed"][0]
    return "".join(tokens(seed, n))


async def test_an_answer_whose_network_is_cut_is_whole_in_the_end() -> None:
    async with chatting() as chat:
        await chat.ask(n=100)
        await chat.tokens(5)
        await chat.press("Cut the network")
        assert await chat.until("reconnecting") in {
            "The connection was lost.",
            "The server cannot be reached.",
        }
        network = chat.page.locator("#network")
        await expect(network).to_have_text("The network is cut.")
        await chat.press("Cut the network")
        await expect(network).to_have_text("The network works.", timeout=WAIT_MS)
        await chat.until("completed")
        assert await chat.row("ours") == [100, 0, 0, 2]
        assert await chat.answer() == await _truth(chat, 100)
        assert chat.sc.outcomes() == {"completed": 1}


async def test_bytes_that_get_lost_on_the_way_cost_a_connection_and_no_word() -> None:
    async with chatting() as chat:
        await chat.ask(n=60)
        await chat.tokens(5)
        await chat.press("Lose bytes")
        await expect(chat.page.locator("#network")).to_have_text("The network has lost what was under way.")
        await chat.until("completed")
        assert (await chat.row("ours"))[:3] == [60, 0, 0]
        assert await chat.answer() == await _truth(chat, 60)


async def test_in_silence_the_client_comes_back_and_a_plain_reader_does_not_even_notice() -> None:
    async with chatting() as chat:
        await chat.ask(n=100)
        await chat.tokens(5)
        await chat.press("Network silent")
        assert await chat.until("stalled") == "Nothing has arrived for 3 seconds."
        assert await chat.page.locator("#plain-state").inner_text() == "open"
        await chat.press("Network silent")
        await chat.until("completed")
        assert (await chat.row("ours"))[:3] == [100, 0, 0]
        assert (await chat.row("ours"))[3] > (await chat.row("plain"))[3] == 1


async def test_straight_from_the_backend_a_plain_reader_gets_words_twice_and_costs_a_second_answer() -> None:
    async with chatting() as chat:
        await chat.page.select_option("#beside", "bare")
        await chat.ask(n=60)
        await chat.holds("Number(document.querySelector('#plain td').textContent) >= 5")
        await chat.press("Cut the network")
        await expect(chat.page.locator("#plain-state")).to_have_text("error; it will try again some time")
        chat.switches.mend()
        await chat.until("completed")
        await expect(chat.page.locator("#plain-state")).to_have_text("done", timeout=WAIT_MS)
        ours, plain = await chat.row("ours"), await chat.row("plain")
        assert (ours[0], ours[2]) == (60, 0)
        assert plain[2] > 0


async def test_every_failure_of_the_backend_is_told_with_its_reason_and_what_to_do() -> None:
    async with chatting() as chat:
        for fault, told in TOLD.items():
            await chat.ask(n=6, fault=fault)
            assert await chat.until("failed") == told
            assert (await chat.row("ours"))[1:3] == [0, 0]
        assert sum(chat.sc.outcomes().values()) == len(TOLD)
        assert "completed" not in chat.sc.outcomes()


async def test_a_backend_that_is_killed_is_told_of() -> None:
    async with chatting() as chat:
        await chat.ask(n=400)
        await chat.tokens(3)
        await chat.press("Kill the backend")
        assert await chat.until("failed") == BROKEN
        told = chat.page.locator("#told")
        await expect(told).to_have_text("Every live stream of the backend was reset.")
        await expect(chat.page.get_by_role("button", name="Ask")).to_be_enabled()


async def test_a_reload_keeps_the_talk_and_goes_on_with_the_answer_in_flight() -> None:
    async with chatting() as chat:
        await chat.ask(n=4, question="First?")
        await chat.until("completed")
        first = await chat.answer()
        await chat.ask(n=60, question="Second?")
        await chat.tokens(10)
        async with chat.page.expect_navigation():
            await chat.press("Reload this page")
        await chat.until("completed")
        assert await chat.page.locator(".question").all_inner_texts() == ["First?", "Second?"]
        assert await chat.page.locator(".answer").first.text_content() == first
        assert await chat.answer() == await _truth(chat, 60)
        async with chat.page.expect_navigation():
            await chat.press("Reload this page")
        await chat.until("completed")
        assert await chat.answer() == await _truth(chat, 60)
        assert chat.sc.outcomes() == {"completed": 2}


async def test_a_second_device_joins_from_the_start_by_the_link() -> None:
    async with chatting() as chat:
        await chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await chat.ask(n=80, question="Why?")
        await chat.tokens(10)
        await chat.press("Copy the link")
        await expect(chat.page.locator("#told")).to_have_text("The link is copied.")
        link = await chat.page.evaluate("navigator.clipboard.readText()")
        stream = await chat.page.evaluate("new URL(document.getElementById('device').href).hash")
        assert link == f"{chat.url}/{stream}"
        assert stream.startswith("#join=s1")
        async with page_at(link) as page:
            other = ChatSite(page, chat.sc, chat.switches, link)
            await other.until("completed")
            await chat.until("completed")
            assert await other.answer() == await chat.answer() == await _truth(chat, 80)
            assert await page.locator(".question").inner_text() == "Why?"
            await page.reload()
            await other.until("completed")
            assert await other.answer() == await chat.answer()
        assert chat.sc.outcomes() == {"completed": 1}


async def test_stop_stops_the_backend() -> None:
    async with chatting() as chat:
        await chat.ask(n=400)
        await chat.tokens(3)
        await chat.press("Stop")
        assert await chat.until("closed") == "You stopped this."
        await chat.sc.until(lambda: chat.sc.outcomes() == {"client_cancelled": 1})
        assert (await _truth(chat, 400)).startswith(await chat.answer())


async def test_the_keyboard_is_enough() -> None:
    async with chatting() as chat:
        await chat.page.evaluate("document.getElementById('length').value = 120")
        await chat.page.evaluate("document.getElementById('pace').value = 60")
        await chat.page.focus("#prompt")
        await chat.page.keyboard.type("Why?")
        await chat.page.keyboard.press("Enter")
        await chat.tokens(3)
        await _tab_to(chat, "Cut the network")
        await chat.page.keyboard.press("Space")
        await chat.until("reconnecting")
        chat.switches.mend()
        await _tab_to(chat, "Retry now", backwards=True)
        await chat.page.keyboard.press("Enter")
        await chat.until("completed")
        for name in ("Network silent", "Lose bytes", "Kill the backend", "Reload this page", "Copy the link"):
            await _tab_to(chat, name)


async def test_without_a_sidecar_it_works_as_far_as_it_can_and_says_what_cannot() -> None:
    async with running_backend(create_app()) as url, page_at(url) as page:
        await page.fill("#prompt", "Why?")
        await page.keyboard.press("Enter")
        await page.locator("sse-status[kind=live]").wait_for()
        assert await page.get_by_role("button", name="Cut the network").is_disabled()
        said = await page.locator("#network").inner_text()
        assert "sse-sidecar demo" in said


async def test_it_fits_every_screen_and_can_be_read_by_day_and_by_night() -> None:
    async with chatting() as chat:
        await chat.ask(n=20, fault="error")
        await chat.until("failed")
        for width in (360, 1280):
            await chat.page.set_viewport_size({"width": width, "height": 740})
            assert await chat.page.evaluate("document.documentElement.scrollWidth") == width
            for scheme in ("light", "dark"):
                await chat.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                contrasts = dict(await chat.page.evaluate(CONTRASTS))
                assert len(contrasts) > 20
                assert {text: ratio for text, ratio in contrasts.items() if ratio < CONTRAST_MIN} == {}


async def _tab_to(chat: ChatSite, name: str, *, backwards: bool = False) -> None:
    focused = """() => {
      let at = document.activeElement;
      while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
      return at.textContent.trim();
    }"""
    for _ in range(60):
        if await chat.page.evaluate(focused) == name:
            return
        await chat.page.keyboard.press("Shift+Tab" if backwards else "Tab")
    raise AssertionError(f"{name!r} is not reached by Tab")
