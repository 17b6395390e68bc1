"""Answers under seeded misfortune, each in a frame of one page and over a network of its own."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Error as BrowserError
from playwright.async_api import Frame, Page, Request
from starlette.applications import Starlette
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from sidecar.demo.ledger import DemoGeneration, GenerationLog
from sidecar.demo.webapi import create_app
from sidecar.demo.webapi import running as running_backend
from sidecar.faultnet.network import FaultyNetwork
from sidecar.faultnet.toxics import Down
from tests.kit.chromium import page_at
from tests.kit.running import RunningSidecar, running

PAGE = Path(__file__).parent / "run_page.html"
STALL_S = 1.0
RUN_S = 120.0
LOST_BYTES = 1000
LOADS_MAX = 600
LOAD_POLL_S = 0.05
ROUTE = {"name": "chat", "path": "/api/chat", "complete_on": "done", "heartbeat_s": 0.3, "retain_s": 600}
MISFORTUNES = ("cut", "down", "stall", "lose", "reload", "device", "cancel")


@dataclass(frozen=True)
class DevicePlan:
    """What one run is going to meet; the same seed and number give the same plan."""

    number: int
    seed: str
    tokens: int
    pace_ms: int
    first_at: int
    steps: tuple[tuple[str, float, float], ...]
    """Misfortune, seconds until the next one, seconds that it lasts where it lasts."""

    @classmethod
    def of(cls, seed: int, number: int) -> "DevicePlan":
        """Draw a plan; over the numbers every misfortune is the first one equally often."""
        chance = random.Random(f"{seed} {number}")
        kinds = [
            MISFORTUNES[number % len(MISFORTUNES)],
            *chance.choices(MISFORTUNES[:-1], k=chance.randint(0, 2)),
        ]
        steps = tuple((kind, chance.uniform(0, 0.5), chance.uniform(0.05, 1.2)) for kind in kinds)
        tokens = chance.randint(20, 60)
        return cls(number, f"{seed}-{number}", tokens, chance.randint(25, 60), chance.randint(1, 8), steps)

    def url(self) -> str:
        """Return the question."""
        query = {"n": self.tokens, "interval_ms": self.pace_ms, "seed": self.seed}
        return f"/api/chat?{urlencode(query)}"


@dataclass
class DeviceRun:
    """What became of a plan: what each device shows in the end, and which misfortunes did hit."""

    plan: DevicePlan
    results: list[dict[str, Any]] = field(default_factory=list)
    hit: list[str] = field(default_factory=list)
    stream: str = ""


class Device:
    """A frame that shows the answer, and the network that it reads it over."""

    def __init__(self, page: Page, network: FaultyNetwork, name: str) -> None:
        self._page = page
        self.network = network
        self._name = name
        self._failed = ""
        page.on("requestfailed", self._note)

    async def open(self, **query: str) -> None:
        """Load the page."""
        source = f"http://127.0.0.1:{self.network.port}/run?{urlencode(query | {'stall': str(STALL_S)})}"
        frame = "Object.assign(document.createElement('iframe'), { name, src })"
        await self._page.evaluate(
            f"([name, src]) => {{ document.body.append({frame}); }}", [self._name, source]
        )
        await self._loaded()

    async def _loaded(self) -> None:
        for _ in range(LOADS_MAX):
            frame = self._page.frame(name=self._name)
            try:
                if frame and await frame.evaluate("Boolean(window.result) && !window.old"):
                    return
            except BrowserError:
                pass  # between two documents
            await asyncio.sleep(LOAD_POLL_S)
        raise AssertionError(f"{self._name} has not loaded {self._failed}")

    def _note(self, request: Request) -> None:
        if f":{self.network.port}/" in request.url:
            self._failed = f"{request.url}: {request.failure}"

    @property
    def frame(self) -> Frame:
        """The frame, whose document changes with a reload."""
        frame = self._page.frame(name=self._name)
        assert frame is not None
        return frame

    async def reload(self) -> bool:
        """Reload it, unless the answer is over."""
        try:
            began: bool = await self.frame.evaluate("window.old = true, window.reload()")
        except BrowserError:
            began = True
        if not began:
            await self.frame.evaluate("window.old = false")
            return False
        await self._loaded()
        return True

    async def result(self) -> dict[str, Any]:
        """Wait until the answer is over, return what is shown, and close the page."""
        result: dict[str, Any] = await self.frame.evaluate("window.result()")
        self._page.remove_listener("requestfailed", self._note)
        await self._page.evaluate("(name) => document.getElementsByName(name)[0].remove()", self._name)
        return result


class Field:
    """Where the runs take place."""

    def __init__(
        self, page: Page, sc: RunningSidecar, ledger: GenerationLog, networks: AsyncExitStack
    ) -> None:
        self.page = page
        self.sc = sc
        self.ledger = ledger
        self._networks = networks

    async def device(self, name: str) -> Device:
        """Return a device and its network, which stays until the end: the last report is on its way."""
        network = await self._networks.enter_async_context(FaultyNetwork("127.0.0.1", self.sc.port))
        return Device(self.page, network, name)

    def generations(self, plan: DevicePlan) -> list[DemoGeneration]:
        """Return every time that the backend was asked for this answer."""
        mark = f"seed={plan.seed}"
        return [one for one in self.ledger._generations.values() if one.query.split("&")[2:] == [mark]]

    async def run(self, plan: DevicePlan) -> DeviceRun:
        """Ask, let the misfortunes come, and wait until every device knows how it ended."""
        run = DeviceRun(plan)
        async with asyncio.timeout(RUN_S):
            devices = [await self.device(f"run-{plan.number}")]
            await devices[0].open(url=plan.url(), key=plan.seed)
            await devices[0].frame.evaluate(f"window.reached({plan.first_at})")
            for kind, pause_s, hold_s in plan.steps:
                if await self._meet(kind, hold_s, plan, devices):
                    run.hit.append(kind)
                await asyncio.sleep(pause_s)
            run.stream = await devices[0].frame.evaluate("window.stream()")
            run.results = [await device.result() for device in devices]
        return run

    async def _meet(self, kind: str, hold_s: float, plan: DevicePlan, devices: list[Device]) -> bool:
        """Let one misfortune happen, unless the backend has finished: then a page may be over already."""
        if self.generations(plan)[0].ending != "live":
            return False
        device = devices[0]
        match kind:
            case "cut":
                device.network.cut()
            case "down":
                device.network.add(Down())
                await asyncio.sleep(hold_s)
                device.network.clear()
            case "stall":
                device.network.blackhole()
                await device.frame.evaluate("window.became('stalled')")
                await asyncio.sleep(hold_s)
                device.network.heal()
            case "lose":
                device.network.drop_bytes(LOST_BYTES)
            case "reload":  # not while bytes are to be lost: the page would lose them, not the answer
                return not device.network.losing and await device.reload()
            case "device":
                devices.append(await self.device(f"run-{plan.number}-{len(devices)}"))
                stream = await device.frame.evaluate("window.stream()")
                await devices[-1].open(url=plan.url(), join=stream)
            case "cancel":
                await device.frame.evaluate("window.cancel()")
        return True


@asynccontextmanager
async def field_of_runs() -> AsyncIterator[Field]:
    """Run backend, sidecar and a browser with an empty page."""
    app = create_app()
    app.router.routes.append(Route("/run", _page))
    async with (
        running_backend(app) as backend,
        running(backend, routes=[ROUTE]) as sc,
        AsyncExitStack() as networks,
        page_at(f"{backend}/healthz") as page,
    ):
        yield Field(page, sc, _ledger_of(app), networks)


async def _page(_request: Any) -> Response:
    return FileResponse(PAGE, headers={"Cache-Control": "no-cache"})


def _ledger_of(app: Starlette) -> GenerationLog:
    ledger: GenerationLog = app.state.ledger
    return ledger
