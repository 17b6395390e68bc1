"""Both ends of TCP connections with a network with faults in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sidecar.faultnet.network import FaultyNetwork
from tests.kit.client_connection import RawConnection
from tests.kit.deadline import WAIT_S, within
from tests.kit.wire import AcceptedConnection


@dataclass
class Pair:
    """The two ends of one connection."""

    client: RawConnection
    server: AcceptedConnection

    async def down(self, data: bytes) -> bytes:
        """Say something at the server's end; return what comes of it, as soon as it is as long."""
        await self.server.write(data)
        return await self.heard(len(data))

    async def heard(self, size: int, within_s: float = WAIT_S) -> bytes:
        """Return the next ``size`` bytes at the client's end, or less if the connection ends."""
        got = b""
        async with within(within_s, lambda: f"only {got!r}"):
            while len(got) < size and (data := await self.client.read()):
                got += data
        return got

    async def up(self, data: bytes) -> bytes:
        """Say something at the client's end; return what comes of it at the server's."""
        await self.client.send(data)
        return await self.heard_above(len(data))

    async def heard_above(self, size: int) -> bytes:
        """Return the next ``size`` bytes at the server's end, or less if the connection ends."""
        got = b""
        async with within(WAIT_S, lambda: f"only {got!r}"):
            while len(got) < size and (data := await self.server.read()):
                got += data
        return got


class Wired:
    """A server, and the network in front of it."""

    def __init__(self, network: FaultyNetwork, accepted: asyncio.Queue[AcceptedConnection]) -> None:
        self.network = network
        self._accepted = accepted
        self._clients: list[RawConnection] = []

    async def connect(self) -> RawConnection:
        """Open a client's end."""
        client = await RawConnection.connect("127.0.0.1", self.network.port)
        self._clients.append(client)
        return client

    async def pair(self) -> Pair:
        """Open a connection; return both its ends."""
        client = await self.connect()
        async with within(WAIT_S, lambda: "no connection arrived"):
            return Pair(client, await self._accepted.get())

    async def close(self) -> None:
        """Close all ends."""
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def wired(seed: int = 0) -> AsyncIterator[Wired]:
    """Run a server and a network in front of it."""
    accepted: asyncio.Queue[AcceptedConnection] = asyncio.Queue()
    wires: list[AcceptedConnection] = []

    def accept(wire: AcceptedConnection) -> None:
        wires.append(wire)
        accepted.put_nowait(wire)

    server = await asyncio.get_running_loop().create_server(
        lambda: AcceptedConnection(accept), "127.0.0.1", 0
    )
    try:
        async with FaultyNetwork(*server.sockets[0].getsockname()[:2], seed=seed) as network:
            ends = Wired(network, accepted)
            yield ends
            await ends.close()
    finally:
        server.close()
        for wire in wires:
            await wire.reset()
