"""What is drilled: two causes or more for each alert, and the row of the runbook that has to find each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp

from compose.chat_client import ChatRequest, client
from compose.faults import COMPLETION, DOWN, INTEGRITY, RECONNECT, SILENT
from tests.monitoring.drills.site import Site

SPEEDS = {COMPLETION: 120, RECONNECT: 20, INTEGRITY: 60, SILENT: 60, DOWN: 20}
"""As fast as the shortest window of an alert still holds two scrapes, and its faults come often enough."""

READERS = 12
FEED_INTERVAL_MS = "200"
TOKEN = "YOUR-ADMIN-TOKEN"  # as the runbook writes it
DOWN_S, UP_S = 7, 3
"""Away for longer than the objective of reconnects allows, back for long enough to be found."""


@asynccontextmanager
async def as_it_is(_site: Site) -> AsyncIterator[None]:
    """Prepare nothing."""
    yield


@asynccontextmanager
async def readers_of_the_feed(site: Site) -> AsyncIterator[None]:
    """Have people read the feed all the time."""
    reading = [asyncio.create_task(_read_on(site, number)) for number in range(READERS)]
    try:
        yield
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def _read_on(site: Site, number: int) -> None:
    question = ChatRequest("/notifications", {"interval_ms": FEED_INTERVAL_MS})
    async with client(site.stack.public, f"reader-{number}") as person:
        while True:
            with suppress(aiohttp.ClientError, OSError):
                async with person.ask(question) as reading:
                    await reading.read()
            await asyncio.sleep(1)


def fault(name: str) -> Callable[[Site], Awaitable[object]]:
    """Return what injects a fault of the stack."""
    return lambda site: site.stack.inject(name)


async def new_token(site: Site) -> None:
    """Deploy a configuration with a token that nobody told Prometheus."""
    await site.configure(admin_token=TOKEN)
    site.token = TOKEN


async def crash_loop(site: Site) -> None:
    """Have the backend crash, come back, and crash again."""
    site.trouble(_crash_on(site))


async def _crash_on(site: Site) -> None:
    while True:
        await site.stack.backend.kill()
        await asyncio.sleep(DOWN_S)
        await site.stack.backend.start()
        await asyncio.sleep(UP_S)


async def wrong_ending(site: Site) -> None:
    """Deploy a configuration that waits for an event which the backend never sends."""
    await site.configure(routes={"chat": {"complete_on": "finished"}})


@dataclass(frozen=True, eq=False)
class Cause:
    """One drill: what is injected into what, and what the runbook must find.

    ``labels`` are those of the alert to wait for. ``row`` has to be the first that speaks; ``also`` may.
    """

    alert: str
    name: str
    inject: Callable[[Site], Awaitable[object]]
    row: str
    labels: dict[str, str]
    also: tuple[str, ...] = ()
    prepare: Callable[[Site], AbstractAsyncContextManager[None]] = as_it_is

    @property
    def speed(self) -> float:
        """How much faster than in production the rules run."""
        return SPEEDS[self.alert]


CAUSES = (
    Cause(
        COMPLETION,
        "the backend's connections break",
        fault("reset"),
        "D1",
        {"route": "chat", "severity": "critical"},
    ),
    Cause(
        COMPLETION,
        "the configuration waits for an event that never comes",
        wrong_ending,
        "D2",
        {"route": "chat", "severity": "critical"},
    ),
    Cause(
        RECONNECT,
        "the backend of a feed crashes again and again",
        crash_loop,
        "D1",
        {"route": "notifications", "side": "upstream"},
        prepare=readers_of_the_feed,
    ),
    Cause(
        RECONNECT,
        "users come back with a renewed login",
        fault("renewed_login"),
        "D2",
        {"route": "chat", "side": "client"},
        also=("D5",),
    ),
    Cause(
        INTEGRITY,
        "a feed outruns its log",
        fault("loss"),
        "D1",
        {"route": "notifications", "violation": "lost", "severity": "critical"},
    ),
    Cause(
        INTEGRITY,
        "the backend sends events twice",
        fault("repeat"),
        "D3",
        {"route": "chat", "violation": "duplicated", "severity": "warning"},
    ),
    Cause(
        SILENT,
        "the backend answers with a web page",
        fault("wrong_type"),
        "D1",
        {"route": "chat", "kind": "wrong_content_type"},
    ),
    Cause(
        SILENT,
        "a proxy rewrites streams",
        fault("spoilt"),
        "D4",
        {"kind": "canary_mismatch"},
    ),
    Cause(
        DOWN,
        "Prometheus is refused",
        new_token,
        "D4",
        {},
    ),
    Cause(DOWN, "the process is gone", fault("sidecar_down"), "D1", {}),
    Cause(DOWN, "the process is stopped", fault("sidecar_frozen"), "D2", {}, also=("D3",)),
)
