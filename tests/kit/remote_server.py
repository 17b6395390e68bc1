"""A server at the far end of a network path, and clients' connections to it.

async with remote_server("real") as far:
    assert await far.run(far.round_trip_s) < 1
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import pytest

from sidecar.faultnet.path import Path, PathKind
from sidecar.faultnet.paths import path_to
from sidecar.faultnet.real_path import RealPath

Outcome = TypeVar("Outcome")

WAIT_S = 40.0
"""With a tenth of the packets lost, both ways, TCP needs longer than this for one of a million answers."""

TRIES_MAX = 8
BOTH_KINDS = [
    "userspace",
    pytest.param("real", marks=pytest.mark.needs("real_network")),
]
needs_real_path = pytest.mark.needs("real_network")

TCP_INFO_RETRANSMITTED = slice(100, 104)
"""tcpi_total_retrans of struct tcp_info (linux/tcp.h)."""


class RemoteConnection(NamedTuple):
    """People's end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def address(self) -> str:
        return str(self.writer.get_extra_info("sockname")[0])

    async def ask(self, size: int) -> bytes:
        """Ask the server for so many bytes, and read them."""
        self.writer.write(b"%d\n" % size)
        async with asyncio.timeout(WAIT_S):
            return await self.reader.readexactly(size)

    async def hears(self, within_s: float) -> bytes | None:
        """Return what comes, b"" at the end, None if nothing comes within a time."""
        try:
            return await asyncio.wait_for(self.reader.read(65_536), within_s)
        except TimeoutError:
            return None

    async def ends(self) -> type[BaseException] | None:
        """Return how the connection ends: None, or the exception's type."""
        try:
            async with asyncio.timeout(WAIT_S):
                while await self.reader.read(65_536):
                    pass
        except ConnectionError as error:
            return type(error)
        return None


class RemoteServer:
    """What the tests have: the path, what the server saw, and how people get there."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self.accepted: list[asyncio.StreamWriter] = []
        self.gone: asyncio.Queue[type[BaseException] | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._lines: list[RemoteConnection] = []

    @property
    def real(self) -> RealPath:
        assert isinstance(self.path, RealPath)
        return self.path

    @property
    def retransmitted(self) -> int:
        """How many packets the server sent again, over all connections that are open."""
        infos = (
            writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            for writer in self.accepted
        )
        return sum(int.from_bytes(info[TCP_INFO_RETRANSMITTED], "little") for info in infos)

    async def run(self, people: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Let people do something, and close what they have left open."""

        async def life() -> Outcome:
            try:
                return await people()
            finally:
                for line in self._lines:
                    line.writer.transport.abort()
                await asyncio.sleep(0)  # closed at the loop's next turn

        return await self.path.run(life)

    async def line(self) -> RemoteConnection:
        """Make a connection; to be called by people."""
        parts = urlsplit(self.path.url(self.url))
        async with asyncio.timeout(WAIT_S):
            line = RemoteConnection(*await asyncio.open_connection(parts.hostname, parts.port))
        self._lines.append(line)
        return line

    async def here(self, doing: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Let something be done in the test's own loop; to be called by people."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(doing, self._loop))

    async def round_trip_s(self) -> float:
        """Return the shortest of some round trips of one byte."""
        line, loop = await self.line(), asyncio.get_running_loop()
        times = []
        for _ in range(4):
            began = loop.time()
            await line.ask(1)
            times.append(loop.time() - began)
        line.writer.close()
        return min(times)

    async def counted(self, name: str) -> int:
        """Return a counter of the kernel where people live (nstat(8))."""
        said = await self.real.people.command(f"nstat -asz {name}")
        return int(said.split()[-2])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send as many bytes as are asked for."""
        if not (line := await reader.readline()):
            writer.close()  # the path asked whether somebody listens
            return
        self.accepted.append(writer)
        ended: type[BaseException] | None = None
        try:
            while line:
                writer.write(content(int(line)))
                line = await reader.readline()
        except OSError as error:
            ended = type(error)
        finally:
            self.gone.put_nowait(ended)
            writer.close()


async def quickest(measure: Callable[[], Awaitable[float]], enough_s: float) -> float:
    """Return the shortest of some times: what a busy machine adds to most of them is not what is measured."""
    times = [await measure()]
    while min(times) > enough_s and len(times) < TRIES_MAX:
        times.append(await measure())
    return min(times)


def content(size: int) -> bytes:
    """Return what the server sends: no two places alike."""
    return b"".join(b"%07d " % number for number in range(size // 8 + 1))[:size]


class _Server:
    """Listens before there is a path to it."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.far: RemoteServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/x?y"
        return self

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.far is None:
            writer.close()
            return
        task = asyncio.ensure_future(self.far.serve(reader, writer))
        self._tasks.add(task)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self.far.accepted if self.far else ():
            writer.transport.abort()


@asynccontextmanager
async def remote_server(
    kind: PathKind | Literal["auto"], host: str = "0.0.0.0", seed: int = 7
) -> AsyncIterator[RemoteServer]:
    """Run a server at ``host`` and make a path to it."""
    async with _Server(host) as server, path_to(server.url, kind, seed) as path:
        server.far = RemoteServer(path, server.url)
        yield server.far
