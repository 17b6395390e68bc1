"""Thousands of stream readers in one process."""

import asyncio
import re
from typing import Self, cast

STAMP = re.compile(rb"data: (\d+)[^\n]*\nid: ([\w-]+)\.(\d+)\n\n")


class LeanReader(asyncio.Protocol):
    """One HTTP/1.0 connection to a stream: its body is what comes until it closes, with no framing.

    ``first`` is set with the first event, ``over`` when the connection is closed.
    """

    def __init__(self, target: str, last_event_id: str = "", *, reads: bool = True) -> None:
        """Ask for a target; one that does not read takes nothing until ``go_on``."""
        position = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
        head = f"GET {target} HTTP/1.0\r\nHost: a\r\nAccept: text/event-stream\r\n{position}\r\n"
        self.received = bytearray()
        self.first = asyncio.Event()
        self.over = asyncio.Event()
        self._request = head.encode()
        self._reads = reads

    @classmethod
    async def connected(cls, port: int, target: str, last_event_id: str = "", *, reads: bool = True) -> Self:
        """Connect to a port of loopback."""
        loop = asyncio.get_running_loop()
        _, reader = await loop.create_connection(
            lambda: cls(target, last_event_id, reads=reads), "127.0.0.1", port
        )
        return reader

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._reads:
            self._transport.pause_reading()
        self._transport.write(self._request)

    def go_on(self) -> None:
        """Read what there is."""
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.received += data
        if not self.first.is_set() and b"\n\n" in self.body:
            self.first.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is over."""
        self.over.set()

    def cut(self) -> None:
        """Go without a word."""
        self._transport.abort()

    @property
    def status(self) -> int:
        """The status of the response; 0 while there is none."""
        return int(self.received[9:12] or 0)

    @property
    def body(self) -> bytes:
        """What came behind the head so far."""
        return bytes(self.received.partition(b"\r\n\r\n")[2])

    @property
    def events(self) -> list[tuple[int, int]]:
        """Number in the data and seq of each event so far."""
        return [(int(match[1]), int(match[3])) for match in STAMP.finditer(self.body)]

    @property
    def stream(self) -> str:
        """The stream, as the first event's id names it; empty while there is none."""
        match = STAMP.search(self.body)
        return match[2].decode() if match else ""


async def open_readers(port: int, targets: list[str], at_once: int = 100) -> list[LeanReader]:
    """Open a reader for each target, some at once, and wait until each has its first event."""
    readers: list[LeanReader] = []
    for begin in range(0, len(targets), at_once):
        opening = [LeanReader.connected(port, target) for target in targets[begin : begin + at_once]]
        wave = await asyncio.gather(*opening)
        await asyncio.gather(*(reader.first.wait() for reader in wave))
        readers += wave
    return readers
