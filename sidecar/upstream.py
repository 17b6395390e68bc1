"""The way to the backend: one request out, one response head and its body back, errors in our own words."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol, Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from sidecar import errors
from sidecar.headers import Fields, values
from sidecar.upstream_connection import UpstreamConnector, UpstreamProtocol
from sidecar.upstream_errors import mapped_errors, own_error

REUSABLE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Only these go over a pooled connection: one that the backend just closed can be tried again for them."""

POOL_KEEPALIVE_S = 4.0
"""Below the 5 s after which uvicorn and Node close an idle connection."""

READ_BYTES_MAX = 64 * 1024
HEADERS_MAX = 256

_TARGET = ":target"
"""Carries the exact request target into the request class; no field name may begin with a colon."""


@dataclass(slots=True)
class UpstreamRequest:
    """One request to the backend; ``body`` None: it has none. Time limits in seconds, 0: none."""

    method: str
    target: bytes
    fields: list[tuple[bytes, bytes]]
    body: AsyncIterator[bytes] | None = None
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 120.0
    connected: Callable[[float], None] | None = None
    """Told how many seconds a new connection took."""


class Sink(Protocol):
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

    def relay(self, sink: Sink) -> None:
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


class Upstream(Protocol):
    """Where requests go."""

    async def request(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a request and wait for the response head; raises UpstreamError."""
        ...


class AiohttpUpstream:
    """The backend at one base URL."""

    def __init__(self, base: str, header_bytes_max: int = 65536) -> None:
        url = URL(base)
        self._url = url.with_path("/")
        self._prefix = url.raw_path.rstrip("/").encode()
        self._trace = _connection_trace()
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

    async def request(self, request: UpstreamRequest) -> UpstreamResponse:
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
        self, session: aiohttp.ClientSession | None, request: UpstreamRequest, attempt: SimpleNamespace
    ) -> "AiohttpResponse":
        if session is None:
            message = "enter the upstream with `async with` first"
            raise RuntimeError(message)
        loop = asyncio.get_running_loop()
        try:
            with mapped_errors():
                async with asyncio.timeout(None) as limit:

                    def sent() -> None:
                        if request.first_byte_timeout_s:
                            limit.reschedule(
                                loop.time() + request.first_byte_timeout_s + request.connect_timeout_s
                            )

                    body = _until_sent(request.body, sent) if request.body is not None else None
                    if body is None:
                        sent()
                    response = await session.request(
                        request.method,
                        self._url,
                        headers=self._fields(request),
                        data=body,
                        allow_redirects=False,
                        timeout=aiohttp.ClientTimeout(
                            total=None, sock_connect=request.connect_timeout_s or None
                        ),
                        trace_request_ctx=attempt,
                    )
        except TimeoutError as error:
            raise errors.UpstreamFirstByteTimeout from error
        return AiohttpResponse(response)

    def _fields(self, request: UpstreamRequest) -> CIMultiDict[str]:
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


class AiohttpResponse:
    """A response of aiohttp's, seen through our interface."""

    __slots__ = ("_content", "_over", "_paused", "_protocol", "_response", "_sink", "fields", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self._protocol: UpstreamProtocol | None = None
        self._sink: Sink | None = None
        self._paused = False
        self._over = False
        self.status = response.status
        self.fields: Fields = [(name.lower(), value) for name, value in response.raw_headers]

    async def read(self) -> bytes:
        """See UpstreamResponse: what came before a break is returned before the break is raised."""
        content = self._content
        try:
            return await content.readany()
        except (aiohttp.ClientError, OSError) as error:
            rest = content._read_nowait(-1)  # noqa: SLF001 - its public readers refuse once the body has broken
            if rest:
                return rest
            raise own_error(error) from error

    def relay(self, sink: Sink) -> None:
        """See UpstreamResponse."""
        self._sink = sink
        self._content.on_eof(self._note_over)
        connection = self._response.connection
        if connection is not None and isinstance(connection.protocol, UpstreamProtocol):
            self._protocol = connection.protocol
            self._protocol.arrived = self._arrived
            self._protocol.broke = self._note_over
        self._over |= self._content.exception() is not None
        self._arrived()

    def pause(self) -> None:
        """See UpstreamResponse: the library stops reading the socket once its buffer is full."""
        self._paused = True

    def resume(self) -> None:
        """See UpstreamResponse."""
        self._paused = False
        asyncio.get_running_loop().call_soon(self._arrived)

    def close(self) -> None:
        """See UpstreamResponse."""
        self._let_go()
        self._response.close()

    def _arrived(self) -> None:
        """Hand on what is there: bytes first, then the end of the body, whichever it is."""
        sink = self._sink
        if sink is None or self._paused:
            return
        chunk = self._content._read_nowait(-1)  # noqa: SLF001 - as in read: also what came before a break
        if chunk:
            sink.took(chunk)
        if self._over and not self._stopped():
            self._finish(sink)

    def _stopped(self) -> bool:
        return self._paused or self._sink is None

    def _note_over(self) -> None:
        self._over = True

    def _finish(self, sink: Sink) -> None:
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
            self._protocol.arrived = self._protocol.broke = None
            self._protocol = None


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


async def _until_sent(body: AsyncIterator[bytes], sent: Callable[[], None]) -> AsyncIterator[bytes]:
    async for chunk in body:
        yield chunk
    sent()


def _text(raw: bytes) -> str:
    """Field bytes as the client library wants them: it sends UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _attempt(request: UpstreamRequest) -> SimpleNamespace:
    return SimpleNamespace(reused=False, connected=request.connected)


def _connection_trace() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()

    async def started(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.connect_from = asyncio.get_running_loop().time()

    async def connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        if context.trace_request_ctx.connected is not None:
            context.trace_request_ctx.connected(asyncio.get_running_loop().time() - context.connect_from)

    async def reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.reused = True

    trace.on_connection_create_start.append(started)
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(reused)
    return trace


def has_body(fields: Fields) -> bool:
    """Tell whether a request carries a body (RFC 9112 section 6.3)."""
    return bool(values(fields, b"transfer-encoding")) or values(fields, b"content-length") not in ([], [b"0"])
