"""The report in a browser: readable on a phone, on a screen and on paper, in light and dark, by everybody."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from sidecar.verify.page import page
from tests.support.chromium import needs_chromium, page_at
from tests.support.verify_results import results

AXE = Path(__file__).parent / "sdk/node_modules/axe-core/axe.min.js"
PHONE, SCREEN = 360, 1280
TEXT_PX_MIN = 11

pytestmark = [
    pytest.mark.browser,
    needs_chromium,
    pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: cd tests/sdk && npm ci"),
]

SIZES = """
[...document.querySelectorAll("svg text")].map((text) => text.getBoundingClientRect().height)
"""
CUT = """
[...document.querySelectorAll("svg.plot > text")].filter((text) => {
  const { left, right } = text.getBoundingClientRect();
  return left < 0 || right > innerWidth;
}).map((text) => text.textContent)
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_it_is_readable_at_every_width_in_light_and_dark_and_on_paper(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page([results()]), encoding="utf-8")
    async with page_at(file.as_uri()) as shown:
        await shown.context.add_init_script(path=AXE)
        for width in (PHONE, SCREEN):
            for scheme in ("light", "dark"):
                await shown.set_viewport_size({"width": width, "height": 900})
                await shown.emulate_media(color_scheme=scheme)
                await shown.reload()
                assert await _violations(shown) == [], (width, scheme)
                assert await shown.evaluate("document.documentElement.scrollWidth") == width
                assert min(await shown.evaluate(SIZES)) >= TEXT_PX_MIN
                assert await shown.evaluate(CUT) == []
        assert (await shown.pdf(format="A4"))[:5] == b"%PDF-"


async def _violations(shown: Page) -> list[str]:
    result: dict[str, Any] = await shown.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in result["violations"]]
