"""One connection to the backend: its socket, and aiohttp's protocol, made to tell of every broken body."""

import functools
import socket
from collections.abc import Callable

import aiohttp
from aiohttp.client_proto import ResponseHandler

DNS_TTL_S = 10
TCP_KEEPALIVE_IDLE_S = 10
TCP_KEEPALIVE_INTERVAL_S = 5
TCP_KEEPALIVE_PROBES_MAX = 4
TCP_USER_TIMEOUT_S = 30


class UpstreamConnector(aiohttp.TCPConnector):
    """Opens connections whose breaks are noticed: by the kernel within half a minute, by us at once.

    ``keepalive_s`` is how long an idle connection waits for its next request; 0: each carries one request.
    """

    def __init__(self, keepalive_s: float) -> None:
        pooled = {"keepalive_timeout": keepalive_s} if keepalive_s else {"force_close": True}
        super().__init__(limit=0, ttl_dns_cache=DNS_TTL_S, socket_factory=_socket, **pooled)
        protocol: type[ResponseHandler] = UpstreamProtocol
        self._factory = functools.partial(protocol, loop=self._loop)


class UpstreamProtocol(ResponseHandler):
    """Hands every break on to whoever reads the body.

    aiohttp 3.14 by itself leaves the reader waiting for ever after a broken chunk, and takes RST for the
    clean end of a body that ends with its connection. ``arrived`` is called whenever a body has more to read
    or is over, after ``broke`` if it broke: to be called costs half of waiting. ``took`` is given what was
    read as one whole chunk past the parser, which stays where it stood, between two chunks: ``make bench``
    shows what that saves.
    """

    arrived: Callable[[], None] | None = None
    broke: Callable[[], None] | None = None
    took: Callable[[bytes], None] | None = None
    chunk_open = True
    """Whether more of a chunk is to come; for ever in a body that is not chunked."""

    _between_chunks = False

    def data_received(self, data: bytes) -> None:
        """Parse what the socket brought."""
        if self._between_chunks and self.took is not None:
            start = data.find(b"\r\n") + 2
            size = len(data) - start - 2
            if size > 0 and data.startswith(b"%x\r\n" % size) and data.endswith(b"\r\n"):
                self.took(data[start:-2])
                return
        super().data_received(data)
        if self.arrived is not None and data:
            self._between_chunks = not self.chunk_open and data.endswith(b"\r\n")
            self.arrived()

    def let_go(self) -> None:
        """Tell nobody any more; the next response begins anew."""
        self.arrived = self.broke = self.took = None
        self.chunk_open = True
        self._between_chunks = False

    def hold(self) -> None:
        """Read nothing from the socket: by itself the library goes on until its buffer holds 128 KiB."""
        self._pause_reading_for_buffer()

    def go_on(self) -> None:
        """Read again."""
        self._resume_reading_for_buffer()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - the library's signature
        """Go on reading if it was stopped; by itself the library runs its parser again after every read."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Note what is wrong with the response."""
        self._break_body(exc_cause or exc)
        if exc_cause is None:
            super().set_exception(exc)
        else:
            super().set_exception(exc, exc_cause)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note that the connection is closed; ``exc`` None: by FIN."""
        if exc is not None:
            self._break_body(exc)
        super().connection_lost(exc)
        if self.broke is not None:
            self.broke()
        if self.arrived is not None:
            self.arrived()

    def _break_body(self, cause: BaseException) -> None:
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            error = aiohttp.ClientPayloadError(f"the body broke: {cause!r}")
            error.__cause__ = cause
            body.set_exception(error)
            if self.broke is not None:
                self.broke()


def _socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    """Return a socket that notices within half a minute that the other host is gone."""
    family, kind, protocol, _, _ = info
    connection = socket.socket(family, kind, protocol)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", TCP_KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", TCP_KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", TCP_KEEPALIVE_PROBES_MAX),
        ("TCP_USER_TIMEOUT", TCP_USER_TIMEOUT_S * 1000),
    ):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return connection
