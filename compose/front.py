"""A proxy in front of the sidecar that can change what it relays.

The canary's requests pass through it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.verify.program import HOST

CHUNK_BYTES_MAX = 64 * 1024
CONNECTIONS_MAX = 16
"""More are closed at once: only the canary comes this way."""

HEALTHY, SPOILT = b"data: ", b"date: "
"""Of the same length, so that the framing of HTTP stays whole and only the content lies."""


class ByteRelay:
    """Relays bytes between its clients and the port ``to``.

    ``to`` and ``spoils`` may change at any time.
    """

    def __init__(self, to: int) -> None:
        self.spoils = False
        self.to = to
        self._relays: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        if len(self._relays) >= CONNECTIONS_MAX:
            writer.close()
            return
        relay = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def close(self) -> None:
        """End what is relayed."""
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay both ways until one side closes."""
        try:
            behind = await asyncio.open_connection(HOST, self.to)
        except OSError:
            writer.close()
            return
        ways = [
            asyncio.create_task(self._pump(reader, behind[1], spoils=False)),
            asyncio.create_task(self._pump(behind[0], writer, spoils=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            behind[1].close()
            writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, spoils: bool
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES_MAX):
            writer.write(chunk.replace(HEALTHY, SPOILT) if spoils and self.spoils else chunk)
            await writer.drain()


@asynccontextmanager
async def front(port: int, to: int) -> AsyncIterator[ByteRelay]:
    """Relay from one port to another on loopback, for the length of the block."""
    relaying = ByteRelay(to)
    server = await asyncio.start_server(relaying.accept, HOST, port)
    try:
        yield relaying
    finally:
        server.close()
        await relaying.close()
