"""Two listeners in one event loop, and the drain at the end."""

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from sidecar.http1.protocol import SidecarProtocol
from sidecar.http1.request_clock import ClockedProtocol
from sidecar.observability import log_events
from sidecar.proxy.readiness import Readiness
from sidecar.proxy.resume import Resume
from sidecar.sse import backoff
from sidecar.streams.hub import Hub
from sidecar.streams.subscriber import Subscriber

BACKLOG = 4096
TCP_USER_TIMEOUT_MS = 30_000
"""How long a client's kernel may acknowledge nothing before the connection counts as dead."""

UNSENT_BYTES_MAX = 32 * 1024
"""Held by the kernel for a client that does not read; by itself it takes up to 4 MB of each, unseen by us."""

KEEPALIVE_IDLE_S = 75
DRAIN_FINISH_RATIO = 0.6
"""Part of the drain in which streams may still finish; in the rest they are sent away one by one."""

DRAIN_TICK_S = 0.1


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket.

    Raises OSError, which names the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio alone leaves it off here
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from error
    listener.setblocking(False)  # noqa: FBT003 - the interface of the socket module
    return listener


def _config(app: Callable[..., Any], **more: Any) -> uvicorn.Config:  # noqa: ANN401 - uvicorn's own keywords
    return uvicorn.Config(
        app,
        interface="asgi3",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        ws="none",
        timeout_keep_alive=KEEPALIVE_IDLE_S,
        backlog=BACKLOG,
        **more,
    )


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals and shutdown to the caller."""

    async def open(self, listener: socket.socket) -> None:
        """Begin to accept connections."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])

    async def shut(self, patience_s: float) -> None:
        """Accept no more and close connections.

        Idle ones close first; requests have ``patience_s`` to finish.
        """
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        until = asyncio.get_running_loop().time() + patience_s
        while self.server_state.tasks and asyncio.get_running_loop().time() < until:
            await asyncio.wait(
                list(self.server_state.tasks), timeout=until - asyncio.get_running_loop().time()
            )
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()


def public_listener(app: Callable[..., Any]) -> Listener:
    """Return the listener of proxied traffic."""
    return Listener(_config(app, http=SidecarProtocol))


def admin_listener(app: Callable[..., Any]) -> Listener:
    """Return the listener of metrics and health."""
    return Listener(_config(app, http=ClockedProtocol))


class Shutdown:
    """The shutdown, from the first signal; a second one ends it at once."""

    def __init__(self, hub: Hub, resume: Resume, readiness: Readiness, drain_s: float) -> None:
        self._hub = hub
        self._resume = resume
        self._readiness = readiness
        self._drain_s = drain_s
        self._asked = asyncio.Event()
        self._forced = asyncio.Event()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask)

    def ask(self) -> None:
        """Begin to drain; asked again: leave now."""
        (self._forced if self._asked.is_set() else self._asked).set()
        self._readiness.draining = True
        self._resume.draining = True

    async def asked(self) -> None:
        """Wait for the first signal."""
        await self._asked.wait()

    async def drain(self) -> float:
        """Let streams finish, then ask readers to reconnect over time.

        Return the remaining seconds.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._drain_s
        log_events.draining(len(self._readers()), self._drain_s)
        await self._until(lambda: not self._readers(), loop.time() + self._drain_s * DRAIN_FINISH_RATIO)
        readers = self._readers()
        window_s = max(0.0, end - loop.time()) * DRAIN_FINISH_RATIO
        begin = loop.time()
        for reader, offset_s in zip(readers, backoff.spread_s(len(readers), window_s), strict=True):
            await self._until(lambda: False, begin + offset_s)
            reader.drain()
        await self._until(self._all_sent_away, end)
        return 0.0 if self._forced.is_set() else max(0.0, end - loop.time())

    def _all_sent_away(self) -> bool:
        """Ask readers that joined during the drain to reconnect.

        A request does not always show that it will become a stream.
        """
        readers = self._readers()
        for reader in readers:
            reader.drain()
        return not readers

    def _readers(self) -> list[Subscriber]:
        return [
            reader
            for stream in self._hub.streams.values()
            for reader in stream.readers
            if isinstance(reader, Subscriber)
        ]

    async def _until(self, done: Callable[[], bool], end: float) -> None:
        loop = asyncio.get_running_loop()
        while not done() and not self._forced.is_set() and (left := end - loop.time()) > 0:
            try:
                await asyncio.wait_for(self._forced.wait(), min(left, DRAIN_TICK_S))
            except TimeoutError:
                continue
