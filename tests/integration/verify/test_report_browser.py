"""The report in a browser: readable on a phone, on a screen and on paper, in light and dark, by everybody."""

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page

from sidecar.verify.report.html.page import page
from sidecar.verify.results import Results
from tests.kit.chromium import needs_chromium, page_at
from tests.kit.verify_results import results

AXE = Path(__file__).parents[3] / "tests/clients/sdk/node_modules/axe-core/axe.min.js"
LOOKS: dict[int, Literal["light", "dark"]] = {360: "light", 1280: "dark"}
TEXT_PX_MIN = 11

pytestmark = [
    pytest.mark.browser,
    needs_chromium,
    pytest.mark.needs("npm"),
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
@pytest.mark.timeout(240)
async def test_axe_finds_nothing_on_a_phone_in_light_nor_on_a_screen_in_dark(tmp_path: Path) -> None:
    async with page_at(_written([results()], tmp_path)) as shown:
        await shown.context.add_init_script(path=AXE)
        for width, scheme in LOOKS.items():
            await _look(shown, width, scheme)
            assert await _violations(shown) == [], (width, scheme)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [1, 2])
async def test_it_fits_every_width_with_text_that_can_be_read_and_it_prints(
    tmp_path: Path, runs: int
) -> None:
    async with page_at(_written([results(seed) for seed in range(runs)], tmp_path)) as shown:
        for width, scheme in LOOKS.items():
            await _look(shown, width, scheme)
            assert await shown.evaluate("document.documentElement.scrollWidth") == width
            assert min(await shown.evaluate(SIZES)) >= TEXT_PX_MIN
            assert await shown.evaluate(CUT) == []
        assert (await shown.pdf(format="A4"))[:5] == b"%PDF-"


def _written(runs: list[Results], folder: Path) -> str:
    file = folder / "report.html"
    file.write_text(page(runs), encoding="utf-8")
    return file.as_uri()


async def _look(shown: Page, width: int, scheme: Literal["light", "dark"]) -> None:
    await shown.set_viewport_size({"width": width, "height": 900})
    await shown.emulate_media(color_scheme=scheme)
    await shown.reload()


async def _violations(shown: Page) -> list[str]:
    result: dict[str, Any] = await shown.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in result["violations"]]
