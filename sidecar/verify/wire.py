"""The blocks of a client's connections, from a parser of its own."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sidecar.client.connection import Lost, StreamResponse, Transport
from sidecar.client.request import Request

BLOCKS_MAX = 50_000
"""Blocks kept of one connection; the oldest go first."""

CONNECTIONS_MAX = 1_000
"""Connections kept of one client; the oldest go first."""

Ended = Literal["open", "clean", "lost", "left"]
"""In order; not in order; by the client itself, which had enough or had waited long enough."""

_line_end = re.compile(rb"\r\n|\n|\r")


class ReceivedBlock(NamedTuple):
    """The lines of a block, and the time of the last (s, monotonic)."""

    at_s: float
    lines: tuple[str, ...]

    def value(self, name: str) -> str | None:
        """Return the last value of a field; None: the block has no such field."""
        found = [value for own, value in self.fields if own == name]
        return found[-1] if found else None

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Return the fields in order; a comment has no name.

        Source: WHATWG HTML section 9.2.6.
        """
        parts = [line.partition(":") for line in self.lines]
        return [(name, value.removeprefix(" ")) for name, _, value in parts]

    @property
    def data(self) -> str | None:
        """The data that a client is given; None: the block has none."""
        values = [value for name, value in self.fields if name == "data"]
        return "\n".join(values) if values else None


class Splitter:
    """Split a body into blocks, with any line ends and any chunks."""

    def __init__(self) -> None:
        self.tail = b""
        """What has come of a line that has not ended."""
        self.lines: list[str] = []
        """The lines of a block that has not ended."""

    def feed(self, chunk: bytes, at_s: float) -> list[ReceivedBlock]:
        """Return the blocks that a chunk completes."""
        held = self.tail + chunk
        cut = -1 if held.endswith(b"\r") else len(held)  # its LF may follow
        *lines, rest = _line_end.split(held[:cut])
        self.tail = rest + held[cut:] if cut == -1 else rest
        return [block for line in lines if (block := self._line(line, at_s)) is not None]

    def _line(self, line: bytes, at_s: float) -> ReceivedBlock | None:
        if line:
            self.lines.append(line.decode("utf-8", "replace"))
            return None
        block = ReceivedBlock(at_s, tuple(self.lines))
        self.lines = []
        return block if block.lines else None


@dataclass(slots=True)
class RecordedConnection:
    """One connection: request, blocks and end; times in s, monotonic."""

    method: str
    url: str
    after: str
    """The ``Last-Event-ID`` that was sent; "" if there was none."""
    asked_at_s: float
    answered_at_s: float | None = None
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    first_byte_at_s: float | None = None
    last_byte_at_s: float | None = None
    blocks: deque[ReceivedBlock] = field(default_factory=lambda: deque(maxlen=BLOCKS_MAX))
    ended: Ended = "open"
    detail: str = ""
    over_at_s: float | None = None

    @property
    def stream(self) -> str:
        """Id of the stream at a sidecar; "" without one."""
        return self.headers.get("sse-stream", "")

    def end(self, how: Ended, detail: str = "") -> None:
        """Take note of the end; the first counts."""
        if self.ended == "open":
            self.ended, self.detail, self.over_at_s = how, detail, time.monotonic()


class RecordedAnswer:
    """An answer whose body is written down on its way to the client."""

    def __init__(self, answer: StreamResponse, connection: RecordedConnection) -> None:
        self.head = answer.head
        self._answer = answer
        self._connection = connection
        self._splitter = Splitter()

    @property
    def retry_after_s(self) -> float | None:
        """See Answer."""
        return self._answer.retry_after_s

    async def chunk(self) -> bytes:
        """See Answer."""
        try:
            chunk = await self._answer.chunk()
        except Lost as lost:
            self._connection.end("lost", lost.loss.detail or lost.loss.reason)
            raise
        if chunk:
            self._note(chunk)
        else:
            self._connection.end("clean")
        return chunk

    def _note(self, chunk: bytes) -> None:
        connection, now = self._connection, time.monotonic()
        connection.first_byte_at_s = connection.first_byte_at_s or now
        connection.last_byte_at_s = now
        connection.blocks.extend(self._splitter.feed(chunk, now))

    def close(self) -> None:
        """See Answer."""
        self._connection.end("left")
        self._answer.close()


class RecordedTransport:
    """A network that records its connections in order."""

    def __init__(self, transport: Transport, connections: deque[RecordedConnection]) -> None:
        self._transport = transport
        self._connections = connections

    async def send(self, request: Request, within_s: float) -> RecordedAnswer:
        """Implements Transport."""
        after = request.headers.get("last-event-id", "")
        connection = RecordedConnection(request.method, request.url, after, time.monotonic())
        self._connections.append(connection)
        try:
            answer = await self._transport.send(request, within_s)
        except Lost as lost:
            connection.end("left" if lost.loss.stalled else "lost", lost.loss.detail or lost.loss.reason)
            raise
        except asyncio.CancelledError:
            connection.end("left")
            raise
        connection.answered_at_s = time.monotonic()
        connection.status, connection.headers = answer.head.status, answer.head.headers
        return RecordedAnswer(answer, connection)

    async def post(self, url: str, headers: dict[str, str], body: bytes = b"") -> bool:
        """Implements Transport."""
        return await self._transport.post(url, headers, body)

    async def close(self) -> None:
        """Implements Transport."""
        await self._transport.close()
