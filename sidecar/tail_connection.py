"""One connection of a tail: aiohttp inside, and outside only an answer or the word that it was lost."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

CONNECT_S = 10.0
HEAD_S = 150.0
"""Longest wait for the head; the sidecar itself gives its backend less by default, and then says so."""

HEADER_BYTES_MAX = 64 * 1024
PROBLEM_BYTES_MAX = 64 * 1024
PROBLEM_S = 10.0


class Lost(Exception):
    """The connection is gone, and what was asked may be asked again; the message says what happened."""

    def __init__(self, what: str, retry_after_s: float | None = None) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s


class NeverSent(Lost):
    """The request was not begun by anybody, so that asking again is no second request."""


class Answer:
    """A response whose body is still to come."""

    def __init__(self, response: aiohttp.ClientResponse, stall_s: float) -> None:
        self._response = response
        self._stall_s = stall_s
        self.status = response.status
        self.stream = response.headers.get("SSE-Stream")

    @property
    def is_event_stream(self) -> bool:
        """Tell whether the body can be read as events."""
        return self.status == 200 and self._response.content_type == "text/event-stream"  # noqa: PLR2004

    @property
    def retry_after_s(self) -> float | None:
        """Return the seconds of Retry-After (RFC 9110 section 10.2.3); its date form counts as absent."""
        value = self._response.headers.get("Retry-After", "")
        return float(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None  # noqa: PLR2004

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, until it ends in order; raises Lost if it breaks or falls silent."""
        while chunk := await self._chunk():
            yield chunk

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout(self._stall_s):
                return await self._response.content.readany()
        except TimeoutError:
            raise Lost(f"stalled: no byte for {self._stall_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"the connection broke: {_reason(error)}") from None

    async def told(self) -> str:
        """Return in one line what an answer that is no stream says."""
        head = f"the server answered {self.status}"
        if self.status == 200:  # noqa: PLR2004
            return f"{head} with {self._response.content_type or 'no type'}, which is no event stream"
        if location := self._response.headers.get("Location"):
            return f"{head}: it moved to {location}"
        return f"{head}: {await self._title() or self._response.reason or 'and says no more'}"

    async def _title(self) -> str:
        try:
            async with asyncio.timeout(PROBLEM_S):
                problem = json.loads(await self._response.content.read(PROBLEM_BYTES_MAX))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return ""
        if not isinstance(problem, dict):
            return ""
        code = problem.get("code")
        return f"{problem.get('title', '')} ({code})" if code else str(problem.get("title", ""))


class Connections:
    """Opens the connections of one tail. Nothing is read from the environment, kept or followed."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_field_size=HEADER_BYTES_MAX,
            max_line_size=HEADER_BYTES_MAX,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            connector=aiohttp.TCPConnector(force_close=True),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and what is open in it."""
        await self._session.close()

    @asynccontextmanager
    async def ask(self, method: str, url: str, headers: dict[str, str], body: bytes) -> AsyncIterator[Answer]:
        """Send a request and yield its answer once the head is there; raises Lost, or NeverSent."""
        response = await self._head(method, url, headers, body)
        try:
            yield Answer(response, self._stall_s)
        finally:
            response.close()

    async def _head(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(HEAD_S):
                return await self._session.request(
                    method, URL(url, encoded=True), headers=headers, data=body or None, allow_redirects=False
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NeverSent(f"cannot connect: {_reason(error)}") from None
        except TimeoutError:
            raise Lost(f"no answer within {HEAD_S:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"the connection broke before an answer came: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it was cut before the end of the answer"
    system = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    errno = getattr(system, "errno", None) or 0
    if errno > 0:
        return os.strerror(errno)
    return getattr(system, "strerror", None) or str(error) or type(error).__name__
