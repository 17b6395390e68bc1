"""Scripts for the fake upstream: its answer to one request."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from tests.kit.deadline import WAIT_S, within
from tests.kit.head import FieldLines, Fields
from tests.kit.upstream_connection import UpstreamConnection

Script: TypeAlias = Callable[[UpstreamConnection], Awaitable[None]]
Ending: TypeAlias = Literal["end", "reset", "fin", "stall", "bad_chunk"]

SSE_HEADERS: tuple[tuple[str, str], ...] = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-cache"),
    ("Transfer-Encoding", "chunked"),
)


def sse(
    *blocks: bytes | asyncio.Event,
    then: Ending = "end",
    status: int = 200,
    headers: FieldLines = SSE_HEADERS,
) -> Script:
    """Answer with an event stream: each block is one chunk; at an ``asyncio.Event`` it waits for the test.

    ``then``: "end" in order, "reset" RST, "fin" FIN without the final chunk, "stall" silence until the peer
    closes, "bad_chunk" a broken chunk size and then silence.
    """

    async def script(connection: UpstreamConnection) -> None:
        await connection.body()
        await connection.send_head(status, headers)
        for block in blocks:
            if isinstance(block, asyncio.Event):
                await connection.wait(block)
            else:
                await connection.write(block)
        await _finish(connection, then)

    return script


def plain(status: int = 200, headers: FieldLines = (), body: bytes = b"", *, then: Ending = "end") -> Script:
    """Answer with a plain response; it gets a Content-Length unless it has a framing or can have no body.

    A truncated answer: give a longer Content-Length and ``then="fin"`` or ``"reset"``.
    """

    async def script(connection: UpstreamConnection) -> None:
        await connection.body()
        await connection.send_head(status, _with_length(status, headers, body))
        if body and connection.request.method != "HEAD":
            await connection.write(body)
        await _finish(connection, then)

    return script


def literal(data: bytes, *, then: Ending = "end") -> Script:
    """Answer with these very bytes, head and framing included; ``truth`` stays empty."""

    async def script(connection: UpstreamConnection) -> None:
        await connection.body()
        await connection.send(data)
        await _finish(connection, then)

    return script


class ByHand:
    """A script whose lines the test speaks itself: ``connection = await by_hand.connection()``.

    Unless ``head`` is False it reads the request's body and sends the head of an event stream by itself, so
    that a client's ``open`` returns and the test goes on from there.
    """

    def __init__(self, *, head: bool = True) -> None:
        self._sends_head = head
        self._arrived: asyncio.Future[UpstreamConnection] = asyncio.get_running_loop().create_future()

    async def __call__(self, connection: UpstreamConnection) -> None:
        """Hand the connection to the test and wait until its response is over."""
        if self._sends_head:
            await connection.body()
            await connection.send_head(200, SSE_HEADERS)
        self._arrived.set_result(connection)
        await connection.until_over()

    async def connection(self, within_s: float = WAIT_S) -> UpstreamConnection:
        """Wait for the request that this script answers; Overdue if it does not come."""
        async with within(within_s, lambda: "no request came for the script by hand"):
            return await asyncio.shield(self._arrived)


def _with_length(status: int, headers: FieldLines, body: bytes) -> Fields:
    fields = Fields(headers)
    framed = fields.get("content-length") is not None or fields.get("transfer-encoding") is not None
    if not framed and status not in {204, 304}:
        fields.append(("Content-Length", str(len(body))))
    return fields


async def _finish(connection: UpstreamConnection, ending: Ending) -> None:
    match ending:
        case "end":
            await connection.end()
        case "reset":
            await connection.reset()
        case "fin":
            await connection.fin()
        case "stall":
            await connection.stall()
        case "bad_chunk":
            await connection.send(b"xyz\r\n")
            await connection.stall()
