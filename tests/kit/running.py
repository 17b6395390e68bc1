"""Run the sidecar on real sockets in the test's event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sidecar.config.settings import Settings
from sidecar.server.app import Sidecar, serving
from tests.kit.client import SSEClient
from tests.kit.deadline import WAIT_S
from tests.kit.scrape import Scrape

POLL_S = 0.005
STREAM = [("Accept", "text/event-stream")]


class RunningSidecar:
    """A running sidecar with a client, its ports and its metrics."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.parts = sidecar
        self.port = sidecar.port
        self.admin_port = sidecar.admin_port
        self.client = SSEClient("127.0.0.1", sidecar.port)

    def scrape(self) -> Scrape:
        """Return the samples of a scrape without formatting them as text."""
        families = self.parts.metrics.registry.collect()
        return Scrape(sample for family in families for sample in family.samples)

    def metric(self, name: str, **labels: str) -> float:
        """Return one metric, and collect only its family.

        To collect all of them takes a tenth of the tests' time.
        """
        families = self.parts.metrics.registry.restricted_registry([name]).collect()
        samples = [sample for family in families for sample in family.samples]
        # A collector of several metrics has no names before it is read.
        return (Scrape(samples) if samples else self.scrape()).metric(name, **labels)

    def outcomes(self) -> dict[str, int]:
        """See Scrape."""
        return self.scrape().outcomes()

    def proof(self) -> tuple[float, float, float]:
        """See Scrape."""
        return self.scrape().proof()

    def conservation(self) -> dict[str, float]:
        """See Scrape."""
        return self.scrape().conservation()

    async def until(self, true: Callable[[], object], within_s: float = WAIT_S) -> None:
        """Wait until a condition holds; AssertionError if it never does."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while not true():
            assert loop.time() < end, f"not true within {within_s} s"
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def running(
    upstream: str, route: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[RunningSidecar]:
    """Run a sidecar on free ports.

    ``route`` has the options of the one route ``all``, which takes every path.
    """
    routes = [{"name": "all", "path": "/*", **route}] if route is not None else settings.pop("routes", [])
    loaded = Settings.model_validate(
        {
            "upstream": upstream,
            "listen": "127.0.0.1:0",
            "admin_listen": "127.0.0.1:0",
            "routes": routes,
            "canary_interval_s": 0,
            **settings,
        }
    )
    async with serving(loaded) as sidecar:
        yield RunningSidecar(sidecar)
