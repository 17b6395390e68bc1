r"""A raw HTTP/1.1 client for event streams and plain requests; it sends what it is told and hides nothing.

client = SSEClient(host, port)
async with client.open("GET", "/stream") as response:
    async for event in response.events():
        ...
    assert response.ended == "clean"
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.kit.client_connection import RawConnection
from tests.kit.deadline import WAIT_S, Overdue
from tests.kit.eventsource import DispatchedEvent
from tests.kit.head import FieldLines, Fields, write_head
from tests.kit.response import BodyEnded, Response, read_response

__all__ = ["WAIT_S", "BodyEnded", "DispatchedEvent", "Overdue", "RawConnection", "Response", "SSEClient"]

EVENT_STREAM = "text/event-stream"


class SSEClient:
    """Talks to one address. ``headers`` go with every request that it builds, before the request's own.

    ``Host`` and, with a body, ``Content-Length`` are added unless given; ``Accept`` only by ``open``.
    """

    def __init__(self, host: str, port: int, headers: FieldLines = (), *, rcvbuf_bytes: int = 0) -> None:
        self.host = host
        self.port = port
        self.headers = Fields(headers)
        self._rcvbuf_bytes = rcvbuf_bytes

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[RawConnection]:
        """Hold a connection open, for literal bytes and for several requests on it."""
        connection = await RawConnection.connect(self.host, self.port, rcvbuf_bytes=self._rcvbuf_bytes)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def open(
        self,
        method: str = "GET",
        target: str = "/",
        headers: FieldLines = (),
        body: bytes = b"",
        *,
        accept: str | None = EVENT_STREAM,
        version: str = "HTTP/1.1",
    ) -> AsyncIterator[Response]:
        """Send a request on a new connection and give its response once the head is there.

        ``accept`` is the Accept field (None: none); ``headers`` with an Accept of their own win.
        """
        fields = Fields(headers)
        if accept is not None and fields.get("accept") is None:
            fields.append(("Accept", accept))
        async with self.connect() as connection:
            yield await self.request(connection, method, target, fields, body, version=version)

    @asynccontextmanager
    async def resume(
        self,
        last_event_id: str,
        method: str = "GET",
        target: str = "/",
        headers: FieldLines = (),
    ) -> AsyncIterator[Response]:
        """Open with a Last-Event-ID."""
        async with self.open(method, target, [*headers, ("Last-Event-ID", last_event_id)]) as response:
            yield response

    async def fetch(
        self,
        method: str = "GET",
        target: str = "/",
        headers: FieldLines = (),
        body: bytes = b"",
        *,
        version: str = "HTTP/1.1",
        within_s: float = WAIT_S,
    ) -> Response:
        """Send a request on a new connection and read its response until it has ``ended``."""
        async with self.connect() as connection:
            response = await self.request(connection, method, target, headers, body, version=version)
            await response.read_to_end(within_s)
        return response

    async def fetch_raw(self, request: bytes, *, method: str = "GET", within_s: float = WAIT_S) -> Response:
        """Send literal bytes on a new connection and read one response to its end.

        ``method`` is how the response is read: one to HEAD has no body.
        """
        async with self.connect() as connection:
            connection.start_sending(request)
            response = await read_response(connection, method, within_s)
            await response.read_to_end(within_s)
        return response

    async def request(
        self,
        connection: RawConnection,
        method: str = "GET",
        target: str = "/",
        headers: FieldLines = (),
        body: bytes = b"",
        *,
        version: str = "HTTP/1.1",
    ) -> Response:
        """Send a request on a connection, after the last response on it was read; wait for its head.

        An answer that comes before the whole body has been taken is returned at once.
        """
        connection.start_sending(self.request_bytes(method, target, headers, body, version=version))
        return await read_response(connection, method)

    def request_bytes(
        self,
        method: str,
        target: str,
        headers: FieldLines = (),
        body: bytes = b"",
        *,
        version: str = "HTTP/1.1",
    ) -> bytes:
        """Build what ``request`` sends."""
        fields = Fields([*self.headers, *headers])
        if fields.get("host") is None:
            fields.insert(0, ("Host", f"{self.host}:{self.port}"))
        framed = fields.get("content-length") is not None or fields.get("transfer-encoding") is not None
        if body and not framed:
            fields.append(("Content-Length", str(len(body))))
        return write_head(f"{method} {target} {version}", fields) + body
