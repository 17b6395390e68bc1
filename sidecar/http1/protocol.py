"""uvicorn's HTTP protocol, taught what the proxy needs to know of a connection."""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from sidecar.http1 import descriptors, headers
from sidecar.http1.connection import EXTENSION
from sidecar.http1.request_clock import ClockedProtocol
from sidecar.observability import log_events

WRITE_BUFFER_BYTES_MAX = 16 * 1024
"""Held for a client that takes nothing, beside what its kernel holds; then the writer waits."""

PARTING_S_MAX = 1.0
PARTING_BYTES_MAX = 64 * 1024
"""What is still read of a request that was answered before its end; then the connection is closed."""

QUEUED = struct.Struct("i")
LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send RST."""

_BODY_FIELDS = frozenset({b"content-length", b"transfer-encoding"})


class RequestConnection:
    """See Connection: one request's view of the socket it came over."""

    __slots__ = (
        "_transport",
        "aborted",
        "close_delimited",
        "cycle",
        "lost",
        "lost_cleanly",
        "on_lost",
        "parting",
        "raw_target",
    )

    def __init__(self, transport: asyncio.Transport, raw_target: bytes) -> None:
        self._transport = transport
        self.cycle: RequestResponseCycle | None = None
        self.raw_target = raw_target
        self.close_delimited = False
        self.parting = False
        self.aborted = False
        self.lost = False
        self.lost_cleanly = False
        self.on_lost: Callable[[], object] | None = None

    @property
    def unproven(self) -> int:
        """See Connection (tcp(7), SIOCOUTQ)."""
        buffered = self._transport.get_write_buffer_size()
        plain: socket.socket | None = self._transport.get_extra_info("socket")
        if plain is None or plain.fileno() < 0:
            return buffered
        (queued,) = QUEUED.unpack(fcntl.ioctl(plain.fileno(), termios.TIOCOUTQ, bytes(QUEUED.size)))
        return buffered + int(queued)

    def write(self, body: bytes) -> bool:
        """See Connection: the one chunk of a body (RFC 9112 section 7.1) that ASGI's ``send`` would write."""
        cycle = self.cycle
        if cycle is None or not cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
            return False
        self._transport.write(body if self.close_delimited else b"%x\r\n%b\r\n" % (len(body), body))
        return True

    @property
    def answered(self) -> bool:
        """Whether the response is complete."""
        return self.cycle is not None and self.cycle.response_complete

    def abort(self) -> None:
        """See Connection. The transport flushes what is written; the body's end was never written.

        Where the end of the connection is the end of the body (HTTP/1.0), only RST tells a broken answer.
        """
        self.aborted = True
        if self.close_delimited:
            plain: socket.socket | None = self._transport.get_extra_info("socket")
            if plain is not None:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self.finish()

    def finish(self) -> None:
        """Close after what is written; the server expects nothing more of the app."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        self._transport.close()

    def kill(self) -> None:
        """See Connection."""
        self.aborted = True
        self._transport.abort()

    def lose(self, *, cleanly: bool) -> None:
        """Note that the socket is closed; one that was closed from here says nothing of its client.

        Whoever listens and the server's own state refer to this object: without the references back all of
        them, and with them the stream's log, go at once and not when the garbage is collected next.
        """
        self.lost = True
        self.lost_cleanly = cleanly and not self.aborted
        cycle, self.cycle = self.cycle, None
        on_lost, self.on_lost = self.on_lost, None
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if on_lost is not None:
            on_lost()


class SidecarProtocol(ClockedProtocol):
    """Keeps the raw request target, tells of lost connections, and frames bodies for HTTP/1.0 clients."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound what is buffered for a client that does not read; without descriptors to spare, send it away.

        It is closed without a word: any status would make a native EventSource give up for good.
        """
        super().connection_made(transport)
        self._open: list[RequestConnection] = []
        self._parting_bytes: int | None = None
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        plain: socket.socket | None = self.transport.get_extra_info("socket")
        if plain is not None and descriptors.are_scarce(plain.fileno()):
            log_events.connection_shed()
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """Put the connection into the scope of the request."""
        connection = RequestConnection(self.transport, self.url)
        self.scope["extensions"] = {EXTENSION: cast("dict[object, object]", connection)}
        if self.parser.get_http_version() == "1.0":
            self.app = cast("Any", CloseDelimited(self.config.loaded_app, connection))
        elif any(name in _BODY_FIELDS for name, _ in self.headers):
            self.app = cast("Any", Parting(self.config.loaded_app, connection))
        else:
            self.app = self.config.loaded_app
        self.url, _ = headers.origin_form(self.url)  # the server's own parser takes none without a path
        super().on_headers_complete()
        connection.cycle = self.cycle
        self._open = [*(open_ for open_ in self._open if not open_.answered or open_.on_lost), connection]

    def on_response_complete(self) -> None:
        """Go on to the next request, unless the rest of this one stands in the way."""
        if not any(connection.parting for connection in self._open):
            super().on_response_complete()
        elif not self.transport.is_closing():
            self._parting_bytes = PARTING_BYTES_MAX
            self.flow.resume_reading()
            self.transport.write_eof()
            self.loop.call_later(PARTING_S_MAX, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Parse, or drop what comes after an early answer."""
        if self._parting_bytes is None:
            super().data_received(data)
            return
        self._parting_bytes -= len(data)
        if self._parting_bytes <= 0:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request that is not answered yet: uvicorn tells only the last of those pipelined.

        FIN is a client that left, an error one that died.
        """
        super().connection_lost(exc)
        for connection in self._open:
            connection.lose(cleanly=exc is None)
        self._open = []


class CloseDelimited:
    """Answers HTTP/1.0: a body of unknown length ends with its connection (RFC 9112 section 6.3)."""

    def __init__(self, app: Callable[..., Any], connection: RequestConnection) -> None:
        self._app = app
        self._connection = connection

    async def __call__(self, scope: object, receive: object, send: Callable[[Any], Any]) -> None:
        """Serve one request."""
        connection = self._connection

        async def send_1_0(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                cycle = connection.cycle
                if cycle is not None and b"content-length" not in names:
                    connection.close_delimited = True
                    cycle.chunked_encoding = False
                    cycle.expected_content_length = cast("int", float("inf"))
            elif connection.close_delimited and not message.get("more_body", False):
                if message.get("body"):
                    await send({**message, "more_body": True})
                connection.finish()
                return
            await send(message)

        await self._app(scope, receive, send_1_0)


class Parting:
    """Says goodbye with an answer that comes before its request is whole (RFC 9112 section 9.6).

    To close at once would reset the connection, and the client might lose the answer with it.
    """

    def __init__(self, app: Callable[..., Any], connection: RequestConnection) -> None:
        self._app = app
        self._connection = connection

    async def __call__(self, scope: object, receive: object, send: Callable[[Any], Any]) -> None:
        """Serve one request."""
        connection = self._connection

        async def send_parting(message: MutableMapping[str, Any]) -> None:
            cycle = connection.cycle
            early = cycle is not None and cycle.more_body and cycle.keep_alive
            if cycle is None or not early or message["type"] != "http.response.start":
                await send(message)
                return
            connection.parting = True
            await send({**message, "headers": [*message["headers"], (b"connection", b"close")]})
            cycle.keep_alive = True  # or the server would close as soon as the answer is complete

        await self._app(scope, receive, send_parting)
