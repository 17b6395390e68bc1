"""A path through a TCP proxy, which needs no privileges."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from math import isinf
from typing import Final, Literal, TypeVar

from sidecar.faultnet.network import FaultyNetwork
from sidecar.faultnet.path import Weather
from sidecar.faultnet.target import ListenAddress, PathError
from sidecar.faultnet.toxics import Bandwidth, Latency, PacketLoss, Timeout, Toxic

Outcome = TypeVar("Outcome")

CONNECTIONS_MAX = 4096
RETRANSMIT_S = 0.2
"""The least that TCP waits before it sends again (Linux); to it comes the round trip."""

PIECES: Final = {
    "bandwidth": "TCP proxy: one rate for all connections together (emulated)",
    "delay": "TCP proxy: bytes are held; making a connection is not delayed (emulated)",
    "loss": "TCP proxy: a lost piece arrives later, as if sent again; nothing is lost (emulated)",
    "silence": "TCP proxy: nothing is passed on, not even FIN or RST; connecting succeeds (emulated)",
    "cut": "TCP proxy: RST to both peers (real)",
    "hand-off": "TCP proxy: open connections go dark, new ones come from the same address (emulated)",
}


class UserspacePath:
    """See path.Path; people run in the caller's own loop."""

    kind: Literal["userspace"] = "userspace"

    def __init__(
        self, target: ListenAddress, network: FaultyNetwork, pieces: Mapping[str, str] = PIECES
    ) -> None:
        self.pieces = pieces
        self.network = network
        self._target = target

    def url(self, url: str) -> str:
        """See path.Path; raises PathError for another server."""
        return self._target.elsewhere(url, "127.0.0.1", self.network.port)

    async def set(self, weather: Weather) -> None:
        """See path.Path; raises PathError for what only packets can suffer."""
        toxics = list(_toxics(weather))
        self.network.clear()
        self.network.add(*toxics)

    async def cut(self) -> None:
        """See path.Path."""
        self.network.cut()

    async def hand_off(self) -> None:
        """See path.Path."""
        self.network.hand_off()

    async def run(self, people: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """See path.Path."""
        return await people()


def _toxics(weather: Weather) -> Iterator[Toxic]:
    if weather.duplicate or weather.reorder:
        raise PathError("a TCP proxy has no packets to send twice or out of order: take a real path")
    if not isinf(weather.rate_bytes):
        yield Bandwidth(direction="both", rate_bytes=weather.rate_bytes, shared=True)
    if weather.delay_s:
        yield Latency(direction="both", latency_s=weather.delay_s)
    if weather.loss:
        again_s = RETRANSMIT_S + 2 * weather.delay_s
        yield PacketLoss(direction="both", share=weather.loss, again_s=again_s)
    if weather.silent:
        yield Timeout(direction="both")


@asynccontextmanager
async def userspace_path(
    url: str, seed: int = 0, pieces: Mapping[str, str] = PIECES, through: ListenAddress | None = None
) -> AsyncIterator[UserspacePath]:
    """Make a path to the server of ``url``; raise PathError.

    ``through``: what is connected to in place of the server itself.
    """
    target = ListenAddress.of(url)
    async with FaultyNetwork(*(through or target), seed=seed, connections_max=CONNECTIONS_MAX) as network:
        yield UserspacePath(target, network, pieces)
