"""The distribution's Chromium, headless, with one empty page; and an EventSource in it that remembers."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from playwright.async_api import Page, async_playwright

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
WAIT_MS = 15_000
CLOSED = 2

needs_chromium = pytest.mark.needs("chromium")

EVENT_SOURCE = """
class Watched {
  constructor(url, names) {
    this.events = [];
    this.life = [];
    this.source = new EventSource(url);
    const note = ({ type, data, lastEventId }) => this.events.push([type, data, lastEventId]);
    for (const name of names) this.source.addEventListener(name, note);
    this.source.onopen = () => this.life.push("open");
    this.source.onerror = (event) => {
      if (event.data !== undefined) return note(event);
      this.life.push(this.source.readyState === EventSource.CLOSED ? "closed" : "connecting");
    };
  }
}
"""
NAMES = ("message", "done", "sse-error", "sse-gap", "sse-end", "heartbeat", "comment", "undefined", "")


class Dispatched(NamedTuple):
    """What an EventSource handed to its listeners."""

    type: str
    data: str
    last_event_id: str


class NativeEventSource:
    """The native EventSource of a page; ``life`` are ``open``, ``connecting`` and ``closed`` as they came."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def events(self) -> list[Dispatched]:
        """Return the events so far."""
        return [Dispatched(*event) for event in await self._page.evaluate("window.watched.events")]

    async def life(self) -> list[str]:
        """Return what happened to its connections so far."""
        life: list[str] = await self._page.evaluate("window.watched.life")
        return life

    async def state(self) -> int:
        """Return its ``readyState``."""
        return int(await self._page.evaluate("window.watched.source.readyState"))

    async def until(self, condition: str) -> None:
        """Wait until an expression over the watched source ``w`` holds; playwright's TimeoutError if not."""
        await self._page.wait_for_function(f"(() => {{ const w = window.watched; return {condition}; }})()")

    async def until_events(self, count: int) -> None:
        """Wait for so many events in all."""
        await self.until(f"w.events.length >= {count}")

    async def until_closed(self) -> None:
        """Wait until it has given up for good."""
        await self.until(f"w.source.readyState === {CLOSED}")


@asynccontextmanager
async def page_at(url: str) -> AsyncIterator[Page]:
    """Open a page in a new browser; at the end no error of a script may have gone uncaught."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        page.set_default_timeout(WAIT_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(url)
        yield page
        await browser.close()
        assert not errors


async def event_source(page: Page, url: str) -> NativeEventSource:
    """Open an EventSource in a page."""
    names = json.dumps(NAMES)
    await page.evaluate(f"{EVENT_SOURCE}; window.watched = new Watched({json.dumps(url)}, {names}); null")
    return NativeEventSource(page)
