"""The demo's chat page in Chromium, over a network with faults."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from playwright.async_api import Locator, Page

from sidecar.demo.chat_page import Setup
from sidecar.demo.network import Switches, breakable
from sidecar.demo.server import listen, serve, url_of
from sidecar.demo.webapi import create_app
from tests.kit.chromium import page_at
from tests.kit.running import RunningSidecar, running

HEARTBEAT_S = 0.4
STALL_S = 3.0
WAIT_S = 20.0
STATE_MS = 40_000
"""The third stall takes 12 s where nothing else runs."""
POLL_S = 0.02
ROUTE = {"name": "chat", "path": "/api/chat", "complete_on": "done", "heartbeat_s": HEARTBEAT_S}
Scheme = Literal["light", "dark"]


class ChatSite:
    """The page, and everything that it stands on."""

    def __init__(self, page: Page, sc: RunningSidecar, switches: Switches, url: str) -> None:
        self.page = page
        self.sc = sc
        self.switches = switches
        self.url = url
        self.network = switches.networks[0]

    async def ask(self, *, n: int = 40, pace_ms: int = 50, fault: str = "", question: str = "Why?") -> None:
        """Ask for an answer of ``n`` tokens."""
        await self.page.evaluate("document.querySelector('form details').open = true")
        await self.page.fill("#length", str(n))
        await self.page.fill("#pace", str(pace_ms))
        await self.page.select_option("#fault", fault)
        await self.page.fill("#prompt", question)
        await self.press("Ask")

    async def press(self, name: str) -> None:
        """Press a button."""
        await self.page.get_by_role("button", name=name, exact=True).click()

    @property
    def status(self) -> Locator:
        """The status of the newest answer."""
        return self.page.locator("sse-status").last

    async def until(self, kind: str, text: str = "") -> str:
        """Wait until the newest answer stands like this, and return all that is said."""
        status = self.page.locator(f"article:last-child sse-status[kind={kind}]", has_text=text)
        await status.wait_for(timeout=STATE_MS)
        return await self.said()

    async def said(self) -> str:
        """Return what the status of the newest answer tells a screen reader."""
        return (await self.status.get_by_role("status").inner_text()).strip()

    async def tokens(self, least: int) -> None:
        """Wait for so many tokens."""
        await self.holds(f"Number(document.querySelector('#ours td').textContent) >= {least}")

    async def holds(self, expression: str) -> None:
        """Wait until an expression is true; the page's policy forbids the driver to wait in the page."""
        loop = asyncio.get_running_loop()
        end = loop.time() + WAIT_S
        while not await self.page.evaluate(expression):
            assert loop.time() < end, f"not true within {WAIT_S} s: {expression}"
            await asyncio.sleep(POLL_S)

    async def answer(self) -> str:
        """Return the text of the newest answer."""
        return str(await self.page.locator(".answer").last.text_content())

    async def row(self, reader: str) -> list[int]:
        """Return what a reader got: tokens, missing ones, those that came twice, connections."""
        return [int(text) for text in await self.page.locator(f"#{reader} td").all_inner_texts()]


@asynccontextmanager
async def chatting(
    *, may_fail: bool = False, stall_s: float = STALL_S, **route: Any
) -> AsyncIterator[ChatSite]:
    """Open the page through the network and the sidecar."""
    with listen() as listener:
        upstream = url_of(listener)
        backend_port = listener.getsockname()[1]
        async with (
            running(upstream, routes=[ROUTE | route]) as sc,
            breakable([(0, sc.port), (0, backend_port)]) as switches,
        ):
            url, bare = (f"http://127.0.0.1:{network.port}" for network in switches.networks)
            app = create_app(setup=Setup(switches.url, bare, (url,), stall_s))
            serving = asyncio.create_task(serve(app, listener))
            try:
                async with page_at(url) as page:
                    yield ChatSite(page, sc, switches, url)
            finally:
                serving.cancel()
                await asyncio.wait([serving])
