"""docs/clients-guide.md: each recipe is run in Chromium, with the network cut in the middle of the answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from sidecar.demo.ledger import GenerationLog
from sidecar.demo.webapi import create_app
from sidecar.demo.webapi import running as running_backend
from sidecar.demo.words import tokens
from sidecar.faultnet.network import FaultyNetwork
from tests.kit.chromium import needs_chromium, page_at
from tests.kit.recipes import build, write_out
from tests.kit.running import running

pytestmark = [
    pytest.mark.browser,
    needs_chromium,
    pytest.mark.needs("npm"),
]

TOKENS = 60
TRUTH = "".join(tokens("recipe", TOKENS))
COURSE = f"n={TOKENS}&seed=recipe&interval_ms=30".encode()
ROUTES = [{"name": "chat", "path": "/api/chat", "complete_on": "done"}]
STREAMS = ("/api/chat", "/v1/chat/completions", "/v1/messages")
ARRIVED = "document.getElementById('answer').textContent.length >= 20"


class SameAnswer:
    """ASGI middleware that has every answer written alike, whatever its recipe asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") in STREAMS:
            scope["query_string"] = COURSE
        await self._app(scope, receive, send)


class Kitchen:
    """A browser page behind a network, the sidecar and the demo backend."""

    def __init__(self, page: Page, network: FaultyNetwork, ledger: GenerationLog) -> None:
        self.page = page
        self.network = network
        self.ledger = ledger

    async def try_out(self, name: str) -> None:
        """Open a page, ask, cut the network, and see that the answer is whole and was asked for once."""
        before = self.ledger.started_total
        await self.page.goto(f"http://127.0.0.1:{self.network.port}/recipes/{name}.html")
        await self.page.fill("input[name=question]", "Why?")
        await self.page.get_by_role("button", name="Ask").click()
        await self.page.wait_for_function(ARRIVED)
        self.network.cut()
        await self.page.locator("sse-status[kind=reconnecting]").wait_for()
        await self.page.locator("sse-status[kind=completed]").wait_for()
        assert await self.page.locator("#answer").text_content() == TRUTH
        assert self.ledger.started_total == before + 1

    async def stop(self) -> None:
        """Ask once more, and stop it."""
        await self.page.get_by_role("button", name="Ask").click()
        await self.page.locator("sse-status[kind=live]").wait_for()
        await self.page.wait_for_function(ARRIVED)
        await self.page.get_by_role("button", name="Stop").click()
        await self.page.locator("sse-status[kind=closed]", has_text="You stopped this.").wait_for()


@asynccontextmanager
async def _kitchen(folder: Path) -> AsyncIterator[Kitchen]:
    app: Any = create_app()
    app.router.routes.append(Mount("/recipes", StaticFiles(directory=folder)))
    app.add_middleware(SameAnswer)
    async with (
        running_backend(app) as backend,
        running(backend, routes=ROUTES) as sc,
        FaultyNetwork("127.0.0.1", sc.port) as network,
        page_at("about:blank") as page,
    ):
        yield Kitchen(page, network, app.state.ledger)


async def test_the_plain_page_works_as_it_stands_with_each_dialect(tmp_path: Path) -> None:
    names = write_out(tmp_path)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    dialects = [name for name in ("openai.js", "anthropic.js", "own.js") if name in names]
    assert len(dialects) == 3
    async with _kitchen(tmp_path) as kitchen:
        for dialect in dialects:
            (tmp_path / f"{dialect}.html").write_text(page.replace("./openai.js", f"./{dialect}"), "utf-8")
            await kitchen.try_out(dialect)
        await kitchen.stop()


async def test_the_components_work_as_they_stand_in_react_and_vue(tmp_path: Path) -> None:
    write_out(tmp_path)
    build(tmp_path)
    async with _kitchen(tmp_path) as kitchen:
        for name in ("react", "vue"):
            await kitchen.try_out(name)
            await kitchen.stop()


async def test_an_answer_survives_a_reload_and_is_kept_at_its_end(tmp_path: Path) -> None:
    write_out(tmp_path)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    head, _, _ = page.partition('<script type="module">')
    script = (
        'import { show } from "./reload.js"; import "@sse-sidecar/client/status.js";'
        'show("Why?", "one", document.querySelector("sse-status"), document.getElementById("answer"));'
    )
    (tmp_path / "reload.html").write_text(f'{head}<script type="module">{script}</script>', "utf-8")
    async with _kitchen(tmp_path) as kitchen:
        await kitchen.page.goto(f"http://127.0.0.1:{kitchen.network.port}/recipes/reload.html")
        await kitchen.page.wait_for_function(ARRIVED)
        await kitchen.page.reload()
        await kitchen.page.locator("sse-status[kind=completed]").wait_for()
        assert await kitchen.page.locator("#answer").text_content() == TRUTH
        await kitchen.page.reload()
        await kitchen.page.locator("sse-status[kind=completed]").wait_for()
        assert await kitchen.page.locator("#answer").text_content() == TRUTH
        assert kitchen.ledger.started_total == 1
