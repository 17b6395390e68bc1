"""A connection whose client has another address: no FIN, no RST."""

import asyncio
import socket
import struct

GIVE_UP_S = 30.0
"""So long a server's kernel waits for an answer to what it sent, then it drops the connection."""

READ_BYTES = 4096
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, for 0 seconds: close() drops what is unsent and sends a RST."""


class Dark:
    """The two sockets of such a connection; bytes sent to them vanish."""

    def __init__(
        self, client: socket.socket, server: socket.socket | None, *, give_up_s: float = GIVE_UP_S
    ) -> None:
        self._client = client
        self._server = server
        self._give_up_s = give_up_s

    async def run(self) -> None:
        """Hold the client's socket until it closes, the server's ``give_up_s``."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._outlast_client())
                tasks.create_task(self._outlast_server())
        finally:
            self._client.close()
            self._drop_server()

    async def _outlast_client(self) -> None:
        await _swallow(self._client)
        self._client.close()

    async def _outlast_server(self) -> None:
        if self._server is None:
            return
        try:
            async with asyncio.timeout(self._give_up_s):
                await _swallow(self._server)
        except TimeoutError:
            pass
        finally:
            self._drop_server()

    def _drop_server(self) -> None:
        if self._server is not None and self._server.fileno() >= 0:
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._server.close()


async def _swallow(end: socket.socket) -> None:
    """Read until the other side has said its last word."""
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(end, READ_BYTES):
            pass
    except OSError:
        return  # reset: also a last word
