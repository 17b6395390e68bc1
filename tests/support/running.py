"""The real sidecar on real sockets in the test's own event loop, in front of whatever URL the test names."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client.samples import Sample

from sidecar.app import Sidecar, serving
from sidecar.settings import Settings
from tests.support.client import SSEClient
from tests.support.deadline import WAIT_S

POLL_S = 0.005
STREAM = [("Accept", "text/event-stream")]


class Running:
    """A sidecar and what tests ask of it."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.parts = sidecar
        self.port = sidecar.port
        self.admin_port = sidecar.admin_port
        self.client = SSEClient("127.0.0.1", sidecar.port)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of this name that carry these labels."""
        return sum(
            sample.value
            for sample in self._samples()
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def outcomes(self) -> dict[str, int]:
        """Return how many streams ended in each way, without the zeros."""
        counts: dict[str, int] = {}
        for sample in self._samples():
            if sample.name == "sse_streams_finished_total" and sample.value:
                outcome = sample.labels["outcome"]
                counts[outcome] = counts.get(outcome, 0) + int(sample.value)
        return counts

    def _samples(self) -> Iterator[Sample]:
        """Yield what a scrape would show, without the detour over its text."""
        for family in self.parts.metrics.registry.collect():
            yield from family.samples

    async def until(self, true: Callable[[], object], within_s: float = WAIT_S) -> None:
        """Wait until something is true of the sidecar's state; AssertionError if it does not become so."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while not true():
            assert loop.time() < end, f"not true within {within_s} s"
            await asyncio.sleep(POLL_S)

    def conservation(self) -> dict[str, float]:
        """Return what the conservation laws leave over: all zeros, always."""
        m = self.metric
        return {
            "streams": m("sse_streams_started_total")
            - m("sse_streams_finished_total")
            - m("sse_streams_active"),
            "messages": m("sse_messages_received_total")
            - m("sse_messages_delivered_total")
            - m("sse_messages_lost_total", stage="sidecar")
            - m("sse_messages_duplicated_total", disposition="suppressed", stage="upstream")
            - m("sse_unread_messages_total")
            - m("sse_log_messages", state="undelivered"),
        }


@asynccontextmanager
async def running(
    upstream: str, route: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """Run a sidecar on free ports; ``route`` are the options of the one route ``all``, which takes every path."""
    routes = [{"name": "all", "path": "/*", **route}] if route is not None else settings.pop("routes", [])
    loaded = Settings.model_validate(
        {
            "upstream": upstream,
            "listen": "127.0.0.1:0",
            "admin_listen": "127.0.0.1:0",
            "routes": routes,
            **settings,
        }
    )
    async with serving(loaded) as sidecar:
        yield Running(sidecar)
