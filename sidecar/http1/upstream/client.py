"""The way to the backend: one request out, one response head and its body back, errors in our own words."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol, Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from sidecar.http1.headers import Fields, values
from sidecar.http1.upstream.attempt import Attempt, tracing
from sidecar.http1.upstream.connection import UpstreamConnector
from sidecar.http1.upstream.errors import mapped_errors
from sidecar.http1.upstream.response import AiohttpResponse, UpstreamResponse
from sidecar.observability import errors

REUSABLE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Only these go over a pooled connection: one that the backend just closed can be tried again for them."""

POOL_KEEPALIVE_S = 4.0
"""Below the 5 s after which uvicorn and Node close an idle connection."""

READ_BYTES_MAX = 64 * 1024
HEADERS_MAX = 256

_not_in_a_value = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET = ":target"
"""Carries the exact request target into the request class; no field name may begin with a colon."""


@dataclass(slots=True)
class OutgoingRequest:
    """One request to the backend; ``body`` None: it has none. Time limits in seconds, 0: none."""

    method: str
    target: bytes
    fields: list[tuple[bytes, bytes]]
    body: AsyncIterator[bytes] | None = None
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 120.0
    connected: Callable[[float], None] | None = None
    """Told how many seconds a new connection took."""


class Upstream(Protocol):
    """Where requests go."""

    async def request(self, request: OutgoingRequest) -> UpstreamResponse:
        """Send a request and wait for the response head; raises UpstreamError."""
        ...


class AiohttpUpstream:
    """The backend at one base URL."""

    def __init__(self, base: str, header_bytes_max: int = 65536) -> None:
        url = URL(base)
        self._url = url.with_path("/")
        self._prefix = url.raw_path.rstrip("/").encode()
        self._trace = tracing()
        self._header_bytes_max = header_bytes_max
        self._pooled: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._pooled = self._session(UpstreamConnector(POOL_KEEPALIVE_S))
        self._fresh = self._session(UpstreamConnector(0))
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (self._pooled, self._fresh):
            if session is not None:
                await session.close()

    async def request(self, request: OutgoingRequest) -> UpstreamResponse:
        """Send it once; again only if a pooled connection turned out dead, so nothing is done twice."""
        if request.body is not None or request.method not in REUSABLE_METHODS:
            return await self._send(self._fresh, request, _attempt(request))
        attempt = _attempt(request)
        try:
            return await self._send(self._pooled, request, attempt)
        except errors.UpstreamReset:
            if not attempt.reused:
                raise
        return await self._send(self._fresh, request, _attempt(request))

    async def _send(
        self, session: aiohttp.ClientSession | None, request: OutgoingRequest, attempt: Attempt
    ) -> AiohttpResponse:
        if session is None:
            message = "enter the upstream with `async with` first"
            raise RuntimeError(message)
        try:
            with mapped_errors():
                async with asyncio.timeout(None) as attempt.limit:
                    response = await session.request(
                        request.method,
                        self._url,
                        headers=self._fields(request),
                        data=attempt.body,
                        allow_redirects=False,
                        timeout=aiohttp.ClientTimeout(total=None, connect=request.connect_timeout_s or None),
                        trace_request_ctx=attempt,
                    )
        except TimeoutError as error:
            raise errors.UpstreamFirstByteTimeout from error
        finally:
            attempt.limit = None
        if not _can_be_relayed(response):
            response.close()
            raise errors.UpstreamBadResponse(f"status {response.status} or a field that no message may carry")
        return AiohttpResponse(response)

    def _fields(self, request: OutgoingRequest) -> CIMultiDict[str]:
        fields = CIMultiDict((_text(name), _text(value)) for name, value in request.fields)
        fields[_TARGET] = _text(self._prefix + request.target if request.target != b"*" else b"*")
        return fields

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=connector,
            request_class=_ExactRequest,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=READ_BYTES_MAX,
            max_line_size=self._header_bytes_max,
            max_field_size=self._header_bytes_max,
            max_headers=HEADERS_MAX,
            trace_configs=[self._trace],
        )
        session._retry_connection = False  # noqa: SLF001 - the library's own tests and users set it so
        return session


class _Target:
    """Stands for the URL while the request line is written, so that its target is not normalised."""

    __slots__ = ("_url", "raw_path_qs")

    def __init__(self, url: URL, target: str) -> None:
        self._url = url
        self.raw_path_qs = target

    def __getattr__(self, name: str) -> object:
        return getattr(self._url, name)

    def __str__(self) -> str:
        return str(self._url)


class _ExactRequest(aiohttp.ClientRequest):
    """Sends the target of the ``:target`` field byte for byte: ``/a?``, ``//``, ``%2F``, ``*``."""

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        url = self.url
        self.url = _Target(url, self.headers.popone(_TARGET))  # type: ignore[assignment] # a stand-in, see there
        try:
            return await super().send(conn)
        finally:
            self.url = url


def _can_be_relayed(response: aiohttp.ClientResponse) -> bool:
    """Tell whether a head that the client library takes is one of RFC 9110 (sections 5.5 and 15)."""
    return 200 <= response.status <= 599 and not any(  # noqa: PLR2004 - final statuses
        _not_in_a_value.search(value) for _, value in response.raw_headers
    )


def _attempt(request: OutgoingRequest) -> Attempt:
    return Attempt(request.body, request.first_byte_timeout_s, request.connected)


def _text(raw: bytes) -> str:
    """Field bytes as the client library wants them: it sends UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def has_body(fields: Fields) -> bool:
    """Tell whether a request carries a body (RFC 9112 section 6.3)."""
    return bool(values(fields, b"transfer-encoding")) or values(fields, b"content-length") not in ([], [b"0"])
