"""Pictures of recorded dashboards, drawn in the distribution's Chromium by Grafana's own components."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import async_playwright

WEB = Path(__file__).parent / "web"
MODULES = WEB / "node_modules"
CHROMIUM = "/usr/bin/chromium"
WIDTH_PX = 1600
SCALE = 1.25
DRAWN_MS = 60_000
BUILD_S = 180

Json = dict[str, Any]


class ToolMissing(Exception):
    """Something that the pictures need is not installed; the message says how to get it."""


def check() -> None:
    """Raise :class:`ToolMissing` if a tool is not there."""
    if not shutil.which(CHROMIUM):
        raise ToolMissing(f"needs {CHROMIUM}: apt-get install chromium")
    if not (MODULES / "@grafana" / "ui").is_dir():
        raise ToolMissing("needs @grafana/ui: npm ci in dashboards/previews/web, or make previews")


async def draw(recorded: Json, into: Path) -> list[Path]:
    """Draw each dashboard of a recording to a PNG file; return the files."""
    check()
    with TemporaryDirectory(prefix="sse-sidecar-previews-") as name:
        built = Path(name)
        await asyncio.to_thread(_build, built)
        (built / "recorded.js").write_text(f"window.RECORDED = {json.dumps(recorded)};\n")
        (built / "index.html").write_text(PAGE)
        return await _pictures(built / "index.html", [json.loads(text) for text in recorded["boards"]], into)


PAGE = """\
<!doctype html>
<meta charset="utf-8">
<link rel="stylesheet" href="preview.css">
<body style="margin: 0"><div id="root"></div>
<script src="recorded.js"></script>
<script src="preview.js"></script>
"""


def _build(into: Path) -> None:
    command = [
        str(MODULES / ".bin" / "esbuild"),
        "src/preview.jsx",
        "--bundle",
        "--minify",
        "--format=iife",
        "--define:process.env.NODE_ENV='production'",
        "--loader:.svg=dataurl",
        "--loader:.woff=dataurl",
        "--loader:.woff2=dataurl",
        "--loader:.ttf=dataurl",
        "--log-level=error",
        f"--outfile={into / 'preview.js'}",
    ]
    subprocess.run(command, cwd=WEB, check=True, timeout=BUILD_S)  # noqa: S603 - our own arguments


async def _pictures(page_file: Path, boards: list[Json], into: Path) -> list[Path]:
    made = []
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, device_scale_factor=SCALE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        for number, board in enumerate(boards):
            await page.goto(f"file://{page_file}?board={number}")
            await page.wait_for_function("window.DRAWN === true", timeout=DRAWN_MS)
            if errors:
                raise RuntimeError(f"{board['uid']}: {'; '.join(errors)}")
            path = into / f"{board['uid']}.png"
            await page.locator("#board").screenshot(path=path)
            made.append(path)
        await browser.close()
    return made
