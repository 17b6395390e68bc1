"""A network with faults: a TCP proxy in front of one address.

async with FaultyNetwork("127.0.0.1", 8080) as network:
    ...  # talk to 127.0.0.1:network.port
    network.add(Latency(latency_s=0.2, jitter_s=0.05))
    network.cut()
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from sidecar.faultnet.dark import RESET_ON_CLOSE, Dark
from sidecar.faultnet.faults import Faults
from sidecar.faultnet.link import NEVER, Link, LinkBroken
from sidecar.faultnet.toxics import Down, Timeout, Toxic

CONNECTIONS_MAX = 1024
"""Open at the same time, unless more is asked for; whoever comes when there are so many is reset."""

IPV4 = 4
BACKLOG = 1024
ACCEPTS_MAX = 128
"""Connections let in before whatever else is due has its turn."""

CONNECT_TIMEOUT_S = 10.0
SOCKET_BUFFER_BYTES = 64 * 1024
"""What the kernel may hold in each direction: a slow link is to be felt by who sends."""

_BLACKHOLE = Timeout(direction="both")
_STALL = Timeout(direction="down")


class FaultyNetwork:
    """Carry every connection to ``host``:``port``, with the toxics.

    It listens on ``own_host`` at ``port_of_its_own`` (0: any that is free), from ``async with`` on. ``seed``
    decides which connections a toxicity below 1 affects, and all jitter and loss.
    """

    def __init__(  # noqa: PLR0913 - each has a name and nearly each a default
        self,
        host: str,
        port: int,
        *,
        seed: int = 0,
        own_host: str = "127.0.0.1",
        port_of_its_own: int = 0,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._target = (host, port)
        self._seed = seed
        self._own_host = own_host
        self._connections_max = connections_max
        self._faults = Faults(seed)
        self._bound: socket.socket | None = None
        """Holds the port, also while nobody listens: no other program shall get it then."""
        self._listens = False
        self._connections: dict[asyncio.Task[None], _Relay] = {}
        self._dark: set[asyncio.Task[None]] = set()
        self.port = port_of_its_own
        self.accepted = 0
        """How many connections there were."""

    @property
    def live(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def add(self, *toxics: Toxic) -> None:
        """Put toxics in force; raises ValueError if there are too many."""
        for toxic in toxics:
            self._faults.add(toxic, asyncio.get_running_loop().time())
            if isinstance(toxic, Down):
                if self._listens:
                    self._close()
                    self._bind()
                self.cut()

    def remove(self, toxic: Toxic) -> None:
        """Take out every toxic that equals this one."""
        self._faults.keep(lambda other: other != toxic)
        self._listen()

    def clear(self) -> None:
        """Take out every toxic: from here on all is well."""
        self._faults.keep(lambda _: False)
        self._listen()

    def cut(self) -> None:
        """Reset every open connection (RST to both peers); new ones pass."""
        for task, connection in self._connections.items():
            connection.reset = True
            task.cancel()

    def hand_off(self) -> None:
        """Drop every open connection without FIN or RST; new ones pass.

        A phone with a new address behaves like this. Bytes of both directions on the old connection are lost,
        and the server drops it after dark.GIVE_UP_S.
        """
        for task, connection in self._connections.items():
            connection.moved = True
            task.cancel()

    def blackhole(self) -> None:
        """Stop both directions, also connection ends, until ``heal``."""
        self.add(_BLACKHOLE)

    def stall(self) -> None:
        """Stop the direction to clients, also connection ends, until ``heal``."""
        self.add(_STALL)

    def heal(self) -> None:
        """End ``blackhole`` and ``stall``; what was held up in them passes now."""
        self._faults.keep(lambda toxic: toxic not in (_BLACKHOLE, _STALL))

    def drop_bytes(self, count: int) -> None:
        """Drop the next ``count`` bytes to the client on each connection."""
        for connection in self._connections.values():
            if connection.down is not None:
                connection.down.vanish_bytes += count

    @property
    def losing(self) -> bool:
        """Whether bytes are still to be taken from a connection that is open."""
        links = [connection.down for connection in self._connections.values()]
        return any(link is not None and link.vanish_bytes for link in links)

    async def __aenter__(self) -> Self:
        """Begin to listen; raises OSError if the port is taken."""
        self._bind()
        self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Reset what is open and listen no more."""
        self._close()
        self.cut()
        while pending := {*self._connections, *self._dark}:
            for task in self._dark:
                task.cancel()
            await asyncio.wait(pending)

    def _bind(self) -> None:
        """Listen on the port, also beside closing connections; raise OSError."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setblocking(False)  # noqa: FBT003 - the word of the library
        _bound_buffers(bound)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._own_host, self.port))
        except OSError:
            bound.close()
            raise
        self.port = bound.getsockname()[1]
        self._bound = bound

    def _listen(self) -> None:
        if self._bound is None or self._listens or self._faults.down:
            return
        self._bound.listen(BACKLOG)
        self._listens = True
        asyncio.get_running_loop().add_reader(self._bound, self._accept, self._bound)

    def _close(self) -> None:
        """Give up the port, and with it those who wait to be let in."""
        if self._bound is not None:
            asyncio.get_running_loop().remove_reader(self._bound)
            self._bound.close()
            self._bound, self._listens = None, False

    def _accept(self, listener: socket.socket) -> None:
        """Accept every waiting connection.

        One connection per turn would keep many simultaneous clients waiting.
        """
        with suppress(OSError):  # none is left, or it closed before, or no descriptor: try again
            for _ in range(ACCEPTS_MAX):
                self._let_in(listener.accept()[0])

    def _let_in(self, client: socket.socket) -> None:
        self.accepted += 1
        connection = _Relay(client, self.accepted)
        if len(self._connections) + len(self._dark) >= self._connections_max:
            connection.reset = True
            connection.close()
            return
        task = asyncio.ensure_future(connection.run(self._target, self._faults, self._seed))
        self._connections[task] = connection
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        connection = self._connections.pop(task)
        if connection.moved:
            dark = asyncio.ensure_future(connection.dark().run())
            self._dark.add(dark)
            dark.add_done_callback(self._dark.discard)
        else:
            connection.close()


class _Relay:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, number: int) -> None:
        self._sockets = [client]
        self._number = number
        self.down: Link | None = None
        self.reset = False
        self.moved = False
        """Whether its client has another address by now."""
        client.setblocking(False)  # noqa: FBT003 - the word of the library

    async def run(self, target: tuple[str, int], faults: Faults, seed: int) -> None:
        """Carry both directions until they end; close nothing."""
        try:
            await self._carry(target, faults, seed)
        except* LinkBroken as broken:
            self.reset |= any(error.reset for error in _leaves(broken))
        except* OSError:
            self.reset = True  # the server cannot be reached

    async def _carry(self, target: tuple[str, int], faults: Faults, seed: int) -> None:
        client = self._sockets[0]
        server = await self._connected(target, faults)
        up = Link(client, server, faults, self._number, "up", seed)
        self.down = Link(server, client, faults, self._number, "down", seed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(up.run())
            tasks.create_task(self.down.run())

    async def _connected(self, target: tuple[str, int], faults: Faults) -> socket.socket:
        """Return a connection to the server; wait while nothing passes.

        Raises OSError.
        """
        await faults.until(lambda: NEVER if any(faults.on(self._number, "up", Timeout)) else 0.0)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            family, address = await _resolved(*target)
            server = socket.socket(family, socket.SOCK_STREAM)
            self._sockets.append(server)
            server.setblocking(False)  # noqa: FBT003 - the word of the library
            _bound_buffers(server)
            await loop.sock_connect(server, address)
        for end in self._sockets:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def dark(self) -> Dark:
        """Return what is left of it once its client has moved."""
        return Dark(self._sockets[0], self._sockets[1] if len(self._sockets) > 1 else None)

    def close(self) -> None:
        """Close both sockets, as ``reset`` says."""
        for end in self._sockets:
            if self.reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.close()


async def _resolved(host: str, port: int) -> tuple[int, tuple[str, int]]:
    """Return family and address of a server."""
    try:
        version = ip_address(host).version
    except ValueError:
        loop = asyncio.get_running_loop()
        family, *_, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
        return family, (str(address[0]), port)
    return socket.AF_INET if version == IPV4 else socket.AF_INET6, (host, port)


def _bound_buffers(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)


def _leaves(group: BaseExceptionGroup[LinkBroken]) -> Iterator[LinkBroken]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
