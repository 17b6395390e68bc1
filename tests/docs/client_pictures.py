"""Draws the pictures of docs/client-status.md: ``python -m tests.docs.client_pictures``.

Each state is brought about by its cause in the demo's chat, and photographed on a desk and on a phone, by
day and by night; one sheet for each of the four.
"""

import asyncio
import base64
from pathlib import Path
from typing import Literal

from playwright.async_api import async_playwright

from tests.kit.chat import ChatSite, chatting
from tests.kit.chromium import ARGUMENTS, CHROMIUM
from tests.kit.stands import STANDS

FOLDER = Path(__file__).parents[2] / "docs" / "images"
COLUMNS = {360: 5, 1280: 3}
SHOWN_PX = {360: 300, 1280: 560}
"""Width of one picture on its sheet."""
HEIGHT_PX = {360: 640, 1280: 760}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

Pictures = dict[tuple[int, str], dict[str, bytes]]


async def photograph(chat: ChatSite, kind: str, pictures: Pictures) -> None:
    """Take a state at each width, by day and by night."""
    for width in COLUMNS:
        await chat.page.set_viewport_size({"width": width, "height": HEIGHT_PX[width]})
        for scheme in SCHEMES:
            await chat.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await chat.status.evaluate("(status) => status.scrollIntoView({ block: 'nearest' })")
            assert await chat.status.get_attribute("kind") == kind
            pictures.setdefault((width, scheme), {})[kind] = await chat.page.screenshot()


def sheet(width: int, scheme: str, pictures: dict[str, bytes]) -> str:
    """Return a page with the pictures of one width and scheme."""
    paper, ink = ("#fff", "#222") if scheme == "light" else ("#000", "#ddd")
    figures = "".join(
        f"<figure><figcaption>{kind}</figcaption>"
        f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}"></figure>'
        for kind, picture in pictures.items()
    )
    return (
        f"<style>body {{ margin: 12px; background: {paper}; color: {ink}; font: 15px system-ui; "
        f"display: grid; grid-template-columns: repeat({COLUMNS[width]}, {SHOWN_PX[width]}px); gap: 12px; }} "
        f"figure {{ margin: 0; }} img {{ width: 100%; border: 1px solid #888; }}</style>{figures}"
    )


async def draw(pictures: Pictures) -> None:
    """Write the sheets."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        for (width, scheme), shown in pictures.items():
            total = COLUMNS[width] * (SHOWN_PX[width] + 12) + 12
            await page.set_viewport_size({"width": total, "height": 100})
            await page.set_content(sheet(width, scheme, shown))
            await page.screenshot(path=FOLDER / f"client-{width}-{scheme}.png", full_page=True)
        await browser.close()


async def main() -> None:
    """Bring about every state, photograph it, and draw the sheets."""
    pictures: Pictures = {}
    for kind, stand in STANDS.items():
        async with chatting() as chat:
            await chat.ask(n=30, pace_ms=2, question="What happens in the tunnel?")
            await chat.until("completed")
            async with stand(chat):
                await photograph(chat, kind, pictures)
    await draw(pictures)


if __name__ == "__main__":
    asyncio.run(main())
