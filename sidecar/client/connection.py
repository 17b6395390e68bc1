"""One connection of a client: a response, or ``Lost``."""

import asyncio
import os
import time
from typing import Protocol

import aiohttp
from yarl import URL

from sidecar.client.answer import ResponseHead, problem_of
from sidecar.client.course import ConnectionLoss
from sidecar.client.request import Request
from sidecar.client.wait import epoch_of, retry_after_s

CONNECT_S = 10.0
HEADER_BYTES_MAX = 64 * 1024
PROBLEM_BYTES_MAX = 64 * 1024
PROBLEM_S = 10.0
POST_S = 5.0
"""Longest wait for the answer to a report or a cancel."""

REDIRECTS_MAX = 5


class Lost(Exception):
    """The connection is gone, or did not come about."""

    def __init__(self, loss: ConnectionLoss) -> None:
        super().__init__(loss.reason)
        self.loss = loss


class StreamResponse(Protocol):
    """A response: its head, and its body as it comes."""

    head: ResponseHead

    @property
    def retry_after_s(self) -> float | None:
        """What the answer asks for, in seconds."""

    async def chunk(self) -> bytes:
        """Return the next bytes of the body, or none at its clean end.

        Raises Lost if it breaks.
        """

    def close(self) -> None:
        """Close the connection; a waiting read raises Lost."""


class Transport(Protocol):
    """Makes the connections of one stream; its EventSource closes it."""

    async def send(self, request: Request, within_s: float) -> StreamResponse:
        """Send a request and return its response after the head.

        Raises Lost, also when the head is late.
        """

    async def post(self, url: str, headers: dict[str, str], body: bytes = b"") -> bool:
        """Send a small body; return whether the server accepted it.

        Raises nothing for a network error.
        """

    async def close(self) -> None:
        """Close everything that is open."""


class HttpAnswer:
    """An answer of aiohttp's."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        fields = {name.lower(): value for name, value in response.headers.items()}
        self.head = ResponseHead(response.status, fields)

    @property
    def retry_after_s(self) -> float | None:
        """Return the seconds of ``Retry-After``.

        A date is relative to the response's ``Date``, if it has one.
        """
        now = epoch_of(self.head.headers.get("date", "")) or time.time()
        return retry_after_s(self.head.headers.get("retry-after", ""), now)

    async def read_problem(self) -> None:
        """Read the body of a response that is not a stream."""
        try:
            async with asyncio.timeout(PROBLEM_S):
                body = await self._response.content.read(PROBLEM_BYTES_MAX)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return
        self.head = ResponseHead(self.head.status, self.head.headers, problem_of(body))

    async def chunk(self) -> bytes:
        """Implements StreamResponse."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(ConnectionLoss("The connection was lost.", _detail(error))) from None

    def close(self) -> None:
        """Implements StreamResponse."""
        self._response.close()


class HttpTransport:
    """Make the connections of one stream with aiohttp.

    It reads no settings from the environment and keeps no cookies.

    ``session``: the caller's own, for TLS and proxies; it is not closed here. ``redirects``: whether they are
    followed, REDIRECTS_MAX at most; a login goes to the first origin only.
    """

    def __init__(self, session: aiohttp.ClientSession | None = None, *, redirects: bool = False) -> None:
        self._own = session is None
        self._session = session or _session()
        self._redirects = redirects

    async def send(self, request: Request, within_s: float) -> HttpAnswer:
        """Implements Transport."""
        try:
            async with asyncio.timeout(within_s):
                answer = HttpAnswer(await self._send(request))
                if not answer.head.is_event_stream:
                    await answer.read_problem()
                return answer
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Lost(ConnectionLoss("The server cannot be reached.", _detail(error), unsent=True)) from None
        except TimeoutError:
            raise Lost(
                ConnectionLoss(f"Nothing has arrived for {within_s:g} seconds.", stalled=True)
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(ConnectionLoss("The server cannot be reached.", _detail(error))) from None

    async def _send(self, request: Request) -> aiohttp.ClientResponse:
        return await self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body or None,
            allow_redirects=self._redirects,
            max_redirects=REDIRECTS_MAX,
        )

    async def post(self, url: str, headers: dict[str, str], body: bytes = b"") -> bool:
        """Implements Transport."""
        try:
            async with (
                asyncio.timeout(POST_S),
                self._session.post(
                    URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
                ) as response,
            ):
                return response.status == 204  # noqa: PLR2004 - how the control API says that it is done
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Implements Transport."""
        if self._own:
            await self._session.close()


def _session() -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        max_field_size=HEADER_BYTES_MAX,
        max_line_size=HEADER_BYTES_MAX,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        connector=aiohttp.TCPConnector(force_close=True),
        trust_env=False,
    )
    # It would ask at once again when a connection breaks before the head, behind the back of every wait.
    session._retry_connection = False  # noqa: SLF001 - the library's own tests and users set it so
    return session


def _detail(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it was cut before the end of the answer"
    system = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    errno = getattr(system, "errno", None) or 0
    if errno > 0:
        return os.strerror(errno)
    return getattr(system, "strerror", None) or str(error) or type(error).__name__
