"""The admin page in Chromium; at its end nothing broke its policy, and nobody else was asked for anything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page

from tests.kit.chromium import page_at

FOCUSED_TEXT = "document.activeElement.textContent.trim()"
TABS_MAX = 40

CONTRASTS = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parse(colour).map((value) => value / 255).map(
      (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((parse(colour)[3] ?? 1) === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const rows = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!own || !element.checkVisibility() || !element.getClientRects().length) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
    rows.push([element.textContent.trim().slice(0, 40), (a + 0.05) / (b + 0.05)]);
  }
  return rows;
}"""
"""Relative luminance and contrast as WCAG 2.2 defines them, of every element that has text of its own."""


class AdminPage:
    """The page and what it did; ``requests`` are the URLs it asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type in {"error", "warning"} else None,
        )

    def at(self, selector: str, text: str | None = None) -> Locator:
        """Return what the selector finds first."""
        return self.page.locator(selector, has_text=text).first

    async def shows(self, selector: str, text: str) -> None:
        """Wait until an element has the text in it."""
        await self.at(selector, text).wait_for()

    async def text(self, selector: str) -> str:
        """Return the visible text of an element."""
        return (await self.at(selector).inner_text()).strip()

    async def refresh(self) -> None:
        """Have it ask now, as it does when its tab is looked at again, and wait for the answer."""
        async with self.page.expect_response(lambda response: "/overview" in response.url):
            await self.look()

    async def look(self) -> None:
        """Have it ask now."""
        await self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    async def tab_to(self, text: str) -> None:
        """Press Tab until what has this text has the focus; AssertionError if it never has."""
        for _ in range(TABS_MAX):
            await self.page.keyboard.press("Tab")
            if await self.focused() == text:
                return
        raise AssertionError(f"{text!r} is not reached by {TABS_MAX} tabs")

    async def focuses(self, text: str) -> None:
        """Wait until what has this text has the focus."""
        await self.page.wait_for_function(f"(text) => ({FOCUSED_TEXT}) === text", arg=text)

    async def focused(self) -> str:
        """Return the text of what has the focus."""
        return str(await self.page.evaluate(FOCUSED_TEXT))

    async def overflow_px(self) -> int:
        """Return by how much the page is wider than the window."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    async def contrasts(self) -> dict[str, float]:
        """Return the contrast of each text that is shown."""
        return dict(await self.page.evaluate(CONTRASTS))


@asynccontextmanager
async def admin_page(
    port: int, path: str = "/", *, width: int = 1280, may_complain: bool = False
) -> AsyncIterator[AdminPage]:
    """Open the page; ``may_complain``: the browser may report requests that fail, as the test makes them."""
    async with page_at("about:blank") as page:
        await page.set_viewport_size({"width": width, "height": 800})
        shown = AdminPage(page)
        await page.goto(f"http://127.0.0.1:{port}{path}")
        yield shown
        assert may_complain or shown.complaints == []
        assert {urlsplit(url).netloc for url in shown.requests} == {f"127.0.0.1:{port}"}
