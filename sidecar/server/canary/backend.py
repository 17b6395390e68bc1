"""The canary's backend: a known stream on a loopback port.

The path has a token.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.proxy.exchange import Receive, Scope, Send
from sidecar.server.canary.known_stream import KnownStream
from sidecar.server.server import admin_listener, listening_socket

HOST = "127.0.0.1"
TYPE = [(b"content-type", b"text/event-stream")]


class CanaryBackend:
    """Send the known stream; its second half waits for the cut."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._known = KnownStream(0)
        self._cut = asyncio.Event()
        self.url = ""

    def play(self, known: KnownStream) -> None:
        """Answer the next request with this stream."""
        self._known = known
        self._cut = asyncio.Event()

    def cut(self) -> None:
        """Go on with the second half."""
        self._cut.set()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["raw_path"] != self._path:
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            return
        known, cut = self._known, self._cut
        await send({"type": "http.response.start", "status": 200, "headers": TYPE})
        for number, piece in enumerate(known.pieces):
            if number == known.half:
                await cut.wait()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})


@asynccontextmanager
async def listening(backend: CanaryBackend) -> AsyncIterator[None]:
    """Serve on a free loopback port; raise OSError if there is none."""
    own = listening_socket(HOST, 0)
    listener = admin_listener(backend)
    backend.url = f"http://{HOST}:{own.getsockname()[1]}"
    await listener.open(own)
    try:
        yield
    finally:
        await listener.shut(0)
