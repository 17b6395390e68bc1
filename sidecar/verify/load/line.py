"""A user's connections, which can be cut or can fall silent."""

import asyncio
import time
from socket import SO_LINGER, SOL_SOCKET

import aiohttp

from sidecar.client.answer import ResponseHead
from sidecar.client.connection import HttpAnswer, HttpTransport, Lost, StreamResponse
from sidecar.client.course import ConnectionLoss
from sidecar.client.request import Request
from sidecar.faultnet.dark import RESET_ON_CLOSE

CLOSED, CANCEL = b'"state":"closed"', "/cancel"


class ClientSession(HttpTransport):
    """What one client asks with; ``session`` is the person's and stays open."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(session)
        self.taken_at: float | None = None
        """When the server took the word that the client leaves or cancels (monotonic); None: it has not."""

        self.streams: dict[str, None] = {}
        """Every stream that an answer has named."""

        self._answer: _Darkening | None = None
        self._response: aiohttp.ClientResponse | None = None
        self._dark: list[StreamResponse] = []

    async def send(self, request: Request, within_s: float) -> StreamResponse:  # type: ignore[override]
        """Implements Transport."""
        answer = await super().send(request, within_s)
        stream = answer.head.headers.get("sse-stream", "")
        if stream:
            self.streams[stream] = None
        self._answer = _Darkening(answer, self._dark)
        return self._answer

    async def _send(self, request: Request) -> aiohttp.ClientResponse:
        self._response = await super()._send(request)
        return self._response

    async def post(self, url: str, headers: dict[str, str], body: bytes = b"") -> bool:
        """Implements Transport."""
        taken = await super().post(url, headers, body)
        if taken and (CLOSED in body or url.endswith(CANCEL)):
            self.taken_at = time.monotonic()
        return taken

    def cut(self) -> None:
        """Break the connection: both ends see a reset."""
        connection = self._response.connection if self._response is not None else None
        transport = connection.transport if connection is not None else None
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, RESET_ON_CLOSE)
            transport.abort()

    def go_dark(self) -> None:
        """Stop all bytes without a close, as after a change of networks."""
        if self._answer is not None:
            self._answer.go_dark()

    async def close(self) -> None:
        """Implements Transport; what is dark is given up only now."""
        for answer in self._dark:
            answer.close()
        await super().close()


class _Darkening:
    """A response that can fall silent while its socket stays open."""

    def __init__(self, answer: HttpAnswer, dark: list[StreamResponse]) -> None:
        self.head: ResponseHead = answer.head
        self._answer = answer
        self._all_dark = dark
        self._dark = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def retry_after_s(self) -> float | None:
        """See Answer."""
        return self._answer.retry_after_s

    async def chunk(self) -> bytes:
        """See Answer."""
        if not self._dark.is_set():
            return await self._answer.chunk()
        await self._closed.wait()
        raise Lost(ConnectionLoss("The connection was lost."))

    def go_dark(self) -> None:
        """See Line."""
        self._dark.set()
        self._all_dark.append(self._answer)

    def close(self) -> None:
        """See Answer."""
        self._closed.set()
        if not self._dark.is_set():
            self._answer.close()
