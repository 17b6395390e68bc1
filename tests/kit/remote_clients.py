"""Clients that reach the sidecar over a real network path.

async with remote_clients({"heartbeat_s": 1}) as far:
    async def people() -> None:
        async with far.client.open("GET", "/feed") as response: ...
        await far.here(far.path.set(Weather(silent=True)))
    await far.run(people)
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sidecar.faultnet.real_path import RealPath, real_path
from tests.kit.client import SSEClient
from tests.kit.fake_upstream import FakeUpstream
from tests.kit.relayed import assert_conserved
from tests.kit.running import RunningSidecar, running

Outcome = TypeVar("Outcome")
SEED = 11


class RemoteClients:
    """A scripted upstream, the real sidecar in front of it, and a path to the sidecar itself."""

    def __init__(self, up: FakeUpstream, sc: RunningSidecar, path: RealPath) -> None:
        self.up = up
        self.sc = sc
        self.path = path
        address = urlsplit(path.url(f"http://127.0.0.1:{sc.port}"))
        self.client = SSEClient(str(address.hostname), int(address.port or 0))
        """For the clients, in their namespace and loop."""

        self._loop = asyncio.get_running_loop()

    async def run(self, people: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Run a coroutine in the clients' network namespace."""
        return await self.path.run(people)

    async def here(self, doing: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Run a coroutine in the test's loop; called from the clients' loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(doing, self._loop))


@asynccontextmanager
async def remote_clients(
    route: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[RemoteClients]:
    """Run all of it; ``route`` and ``settings`` as in ``relayed``."""
    async with (
        FakeUpstream() as up,
        running(up.url, route, listen="0.0.0.0:0", **settings) as sc,
        real_path(f"http://127.0.0.1:{sc.port}", SEED) as path,
    ):
        assert path.pieces["server's end"] == "the server's own sockets"
        yield RemoteClients(up, sc, path)
        assert_conserved(sc)
