"""One attempt to send a request: what its connection was, and how long the backend may take for a head."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import aiohttp


class Attempt:
    """Bounds the wait for a response head by the time the backend has had, not by what its client took."""

    __slots__ = ("_connect_from", "_connected", "_head_s", "body", "limit", "reused")

    def __init__(
        self,
        body: AsyncIterator[bytes] | None,
        head_s: float,
        connected: Callable[[float], None] | None,
    ) -> None:
        """Send ``body``; ``head_s`` 0: no bound. ``connected`` is told how long a new connection took."""
        self._head_s = head_s
        self._connected = connected
        self._connect_from = 0.0
        self.body = None if body is None else self._timed(body)
        self.limit: asyncio.Timeout | None = None
        """Set while the head is awaited."""

        self.reused = False
        """The connection has carried a request before."""

    def connecting(self) -> None:
        """Note that a connection is being opened."""
        self._connect_from = asyncio.get_running_loop().time()

    def connected(self, *, reused: bool) -> None:
        """Note that there is a connection: without a body, the backend has all it needs."""
        self.reused = reused
        if not reused and self._connected is not None:
            self._connected(asyncio.get_running_loop().time() - self._connect_from)
        if self.body is None:
            self._bound(self._head_s)

    async def _timed(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in body:
            self._bound(self._head_s)
            yield chunk
            self._bound(0)
        self._bound(self._head_s)

    def _bound(self, seconds: float) -> None:
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + seconds if seconds else None)


def tracing() -> aiohttp.TraceConfig:
    """Return what tells an Attempt, given as ``trace_request_ctx``, of its connection."""
    trace = aiohttp.TraceConfig()

    async def connecting(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connecting()

    async def connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connected(reused=False)

    async def reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connected(reused=True)

    trace.on_connection_create_start.append(connecting)
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(reused)
    return trace
