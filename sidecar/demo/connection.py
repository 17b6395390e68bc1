"""Below ASGI: how an endpoint of the demo breaks its own TCP connection.

ASGI knows no way to end a response badly: an application that returns early is closed by the server, which
also logs it as a programming error. So :class:`OpenProtocol` puts uvicorn's transport into the scope's
extensions, where the faults ``reset`` and ``truncate`` (and the kill switch) find it.
"""

import asyncio
import socket
import struct
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "demo.transport"
LINGER_ZERO = struct.pack("ii", 1, 0)
"""``struct linger``, on, 0 seconds: close discards what is unsent and sends RST (socket(7))."""


class OpenProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol, with its transport in the scope."""

    def on_message_begin(self) -> None:
        """Add the extension to the scope that uvicorn has just made."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # a TypedDict without our extension
        scope["extensions"] = {EXTENSION: self.transport}


def transport_of(scope: Scope) -> asyncio.Transport | None:
    """Return the transport of a request, or None under another server."""
    transport: asyncio.Transport | None = scope.get("extensions", {}).get(EXTENSION)
    return transport


def close(transport: asyncio.Transport) -> None:
    """Close with FIN after the written bytes, without the body's end."""
    transport.close()


def reset(transport: asyncio.Transport) -> None:
    """Close with RST, as a killed process does.

    Bytes that the peer has not read may be lost.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    transport.abort()


def hold_writes(transport: asyncio.Transport) -> None:
    """Let the next ASGI send wait until the kernel has every byte."""
    transport.set_write_buffer_limits(high=0)
