"""End a TCP connection with RST."""

import asyncio
import fcntl
import socket
import struct

LINGER_ZERO_SECONDS = struct.pack("ii", 1, 0)
SIOCOUTQNSD = 0x894B
"""ioctl of Linux: how many bytes of the send queue have not been sent at all (linux/sockios.h)."""

POLL_S = 0.001
POLLS_MAX = 1000
"""A peer whose window is full takes no more: what it was not sent by then, it does not get."""


def reset_on_close(connected: socket.socket) -> None:
    """Let close() send RST in place of FIN and drop what the kernel still holds (SO_LINGER, socket(7))."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO_SECONDS)


async def until_on_its_way(connected: socket.socket) -> None:
    """Wait until the kernel has sent what it was given: after many small writes it waits for ACKs itself."""
    for _ in range(POLLS_MAX):
        if not _unsent_bytes(connected):
            return
        await asyncio.sleep(POLL_S)


def _unsent_bytes(connected: socket.socket) -> int:
    if connected.fileno() < 0:
        return 0
    (unsent,) = struct.unpack("i", fcntl.ioctl(connected.fileno(), SIOCOUTQNSD, bytes(4)))
    return int(unsent)
