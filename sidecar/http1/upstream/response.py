"""A response of the backend: its head, and its body read, or handed on as the socket brings it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import aiohttp

from sidecar.http1.headers import Fields
from sidecar.http1.upstream.connection import UpstreamProtocol
from sidecar.http1.upstream.errors import own_error
from sidecar.observability import errors


class BodySink(Protocol):
    """What takes a body as it comes."""

    def took(self, chunk: bytes) -> None:
        """Take the next bytes."""
        ...

    def ended(self) -> None:
        """Take note of the clean end; the last call."""
        ...

    def broke(self, error: errors.UpstreamError) -> None:
        """Take note that the rest will not come; the last call."""
        ...


class UpstreamResponse(Protocol):
    """A response whose head is here and whose body is still coming."""

    status: int
    fields: Fields

    async def read(self) -> bytes:
        """Return the next bytes of the body as they came; empty at its clean end.

        Raises UpstreamReset or UpstreamBadResponse when it ends in any other way.
        """
        ...

    def relay(self, sink: BodySink) -> None:
        """Hand the body on to ``sink`` as it comes, instead of ``read``."""
        ...

    def pause(self) -> None:
        """Hand on nothing for now: the backend is made to wait."""
        ...

    def resume(self) -> None:
        """Go on handing on."""
        ...

    def close(self) -> None:
        """Close the connection, whatever is still to come; the sink is told no more. May be called twice."""
        ...


class RelayedBody(aiohttp.StreamReader):
    """aiohttp's reader once a sink takes the body: a queue, without its accounts of sizes and chunk ends.

    An instance becomes one by its class alone, since the parser goes on feeding the reader it made, and only
    when it is empty: until then its accounts may have stopped the parser, and have to let it go on. What
    bounds the queue is the sink, which pauses the socket.
    """

    __slots__ = ()

    def feed_data(self, data: bytes, size: int = 0) -> bool:  # noqa: ARG002 - the library's signature
        """Keep the next bytes for the sink; False: there is no decompression to go on with."""
        self._buffer.append(data)
        return False

    def _read_nowait(self, n: int) -> bytes:  # noqa: ARG002 - the library's signature
        held = self._buffer
        if len(held) == 1:
            return held.popleft()
        chunk = b"".join(held)
        held.clear()
        return chunk

    def begin_http_chunk_receiving(self) -> None:
        """Note that the head of a chunk was parsed (RFC 9112 section 7.1)."""
        self._protocol.chunk_open = True  # type: ignore[attr-defined] # UpstreamProtocol's

    def end_http_chunk_receiving(self) -> None:
        """Note that the chunk is complete."""
        self._protocol.chunk_open = False  # type: ignore[attr-defined]


class AiohttpResponse:
    """A response of aiohttp's, seen through our interface."""

    __slots__ = (
        "_buffer",
        "_content",
        "_over",
        "_paused",
        "_protocol",
        "_response",
        "_sink",
        "_waiter",
        "fields",
        "status",
    )

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        empty = self._content is aiohttp.EMPTY_PAYLOAD
        self._buffer: deque[bytes] = deque() if empty else self._content._buffer  # noqa: SLF001 - see _held
        self._protocol: UpstreamProtocol | None = None
        self._sink: BodySink | None = None
        self._paused = False
        self._over = False
        self._waiter: asyncio.Future[None] | None = None
        self.status = response.status
        self.fields: Fields = [(name.lower(), value) for name, value in response.raw_headers]

    async def read(self) -> bytes:
        """See UpstreamResponse: what came before a break is returned before the break is raised.

        The library's own reader, woken by the end of a chunk, sleeps through a break that follows at once.
        """
        content = self._content
        self._listen(self._rouse)
        while not (chunk := self._held()):
            broken = content.exception()
            if broken is not None:
                self._let_go()
                raise own_error(broken) from broken
            if content.is_eof():
                self._let_go()
                break
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return chunk

    def relay(self, sink: BodySink) -> None:
        """See UpstreamResponse."""
        self._sink = sink
        self._content.on_eof(self._note_over)
        self._listen(self._arrived)
        if self._protocol is not None:
            self._protocol.broke = self._note_over
        self._over |= self._content.exception() is not None
        self._arrived()

    def pause(self) -> None:
        """See UpstreamResponse; after the end the connection may be somebody else's already."""
        self._paused = True
        if self._protocol is not None and not self._over:
            self._protocol.took = None
            self._protocol.hold()

    def resume(self) -> None:
        """See UpstreamResponse."""
        self._paused = False
        if self._protocol is not None and not self._over:
            self._protocol.go_on()
        asyncio.get_running_loop().call_soon(self._arrived)

    def close(self) -> None:
        """See UpstreamResponse."""
        self._let_go()
        self._response.close()
        self._rouse()

    def _listen(self, arrived: Callable[[], None]) -> None:
        connection = self._response.connection
        if connection is not None and isinstance(connection.protocol, UpstreamProtocol):
            self._protocol = connection.protocol
            self._protocol.arrived = arrived

    def _held(self) -> bytes:
        """Return the bytes that are there, also after a break, where the library's public readers refuse."""
        return self._content._read_nowait(-1) if self._buffer else b""  # noqa: SLF001

    def _rouse(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _arrived(self) -> None:
        """Hand on all that is there, then the end of the body, whichever it is.

        To take bytes out can bring in more, which the library's parser had kept back.
        """
        sink = self._sink
        if sink is None:
            return
        held = self._buffer
        while held and not self._paused:
            sink.took(self._held())
            if self._sink is None:
                return
        if self._paused:
            return
        if self._over:
            self._finish(sink)
        elif self._protocol is not None:
            if type(self._content) is aiohttp.StreamReader:
                self._content.__class__ = RelayedBody
            self._protocol.took = sink.took

    def _note_over(self) -> None:
        self._over = True

    def _finish(self, sink: BodySink) -> None:
        broken = self._content.exception()
        self._let_go()
        if broken is None:
            sink.ended()
        else:
            sink.broke(
                own_error(broken) if isinstance(broken, Exception) else errors.UpstreamReset(str(broken))
            )

    def _let_go(self) -> None:
        """Leave the connection to whoever uses it next."""
        self._sink = None
        if self._protocol is not None:
            self._protocol.let_go()
            self._protocol = None
