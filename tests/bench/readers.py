"""The load's clients: many event streams read in one loop, counting, checking and timing each event."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import cast

OPEN_S_MAX = 60.0
OPEN_AT_ONCE = 200
EVENT = re.compile(rb'"n":(\d+),"t":(\d+),')


@dataclass
class BenchCounts:
    """What the readers of one address have seen; latencies only while ``measuring``."""

    measuring: bool = False
    events: int = 0
    lost: int = 0
    closed: int = 0
    latencies_ns: list[int] = field(default_factory=list)


class BenchReader(asyncio.Protocol):
    """One stream; ``opened`` is done when its first event is there."""

    def __init__(self, tally: BenchCounts, target: str) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tally = tally
        self._request = (f"GET {target} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n").encode(
            "latin-1"
        )
        self._unread = b""
        self._number = 0
        self._leaving = False
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in everything but its type
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count the events of the lines that are complete."""
        now_ns = time.monotonic_ns()
        data = self._unread + data
        complete = data.rfind(b"\n") + 1
        self._unread = data[complete:]
        for match in EVENT.finditer(data, 0, complete):
            self._take(int(match[1]), now_ns - int(match[2]))

    def _take(self, number: int, latency_ns: int) -> None:
        tally = self._tally
        if tally.measuring:
            tally.events += 1
            tally.latencies_ns.append(latency_ns)
        tally.lost += number != self._number + 1
        self._number = number
        if not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note a stream that ended by itself."""
        self._tally.closed += not self._leaving
        self._lost.set()
        if not self.opened.done():
            self.opened.set_exception(ConnectionResetError("closed before its first event"))

    async def leave(self) -> None:
        """Close."""
        self._leaving = True
        self._transport.abort()
        await self._lost.wait()


async def open_streams(port: int, target: str, count: int, tally: BenchCounts) -> list[BenchReader]:
    """Open streams, some at once, until each has its first event."""
    loop = asyncio.get_running_loop()
    readers: list[BenchReader] = []
    async with asyncio.timeout(OPEN_S_MAX):
        while len(readers) < count:
            wave = [BenchReader(tally, target) for _ in range(min(OPEN_AT_ONCE, count - len(readers)))]
            for reader in wave:
                await loop.create_connection(lambda reader=reader: reader, "127.0.0.1", port)  # type: ignore[misc]
            await asyncio.gather(*(reader.opened for reader in wave))
            readers += wave
    return readers
