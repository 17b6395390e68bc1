"""A relay from plain TCP to a server with TLS.

Paths carry what people say in the clear as far as here, so that one way of impairing it does for both. What
people say and hear is the same; only the handshake is not impaired.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.faultnet.target import ListenAddress, PathError

HOST = "127.0.0.1"
CONNECT_S = 10.0
READ_BYTES = 16 * 1024
BUFFER_BYTES = 64 * 1024
"""Held in each direction for an end that does not read."""


class TlsRelay:
    """Relay each connection to ``target`` by TLS, with SNI."""

    def __init__(self, target: ListenAddress, context: ssl.SSLContext) -> None:
        self._target = target
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to carry a connection."""
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Abort what is open."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the server; raises OSError, which ssl.SSLError is too."""
        async with asyncio.timeout(CONNECT_S):
            return await asyncio.open_connection(
                self._target.host, self._target.port, ssl=self._context, limit=BUFFER_BYTES
            )

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await self.connect()
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        both = [
            asyncio.ensure_future(_pump(reader, to_writer)),
            asyncio.ensure_future(_pump(to_reader, writer)),
        ]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            broken = any(each.exception() is not None for each in done)
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            to_writer.transport.abort()
        if broken:
            writer.transport.abort()
        else:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry until the end of one direction; raises OSError if it breaks off."""
    while data := await reader.read(READ_BYTES):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def tls_relay(
    target: ListenAddress, context: ssl.SSLContext | None = None
) -> AsyncIterator[ListenAddress]:
    """Run a relay on a free port.

    Raises PathError if the server is unreachable or its certificate is invalid.

    ``context``: which authorities are believed; by default those of the machine, or SSL_CERT_FILE.
    """
    relay = TlsRelay(target, context or ssl.create_default_context())
    try:
        _, writer = await relay.connect()
    except (OSError, TimeoutError) as error:
        raise PathError(f"no TLS with {target.host}:{target.port}: {error}") from error
    writer.transport.abort()
    server = await asyncio.start_server(relay.accept, HOST, 0, limit=BUFFER_BYTES)
    try:
        yield ListenAddress(HOST, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await relay.close()
