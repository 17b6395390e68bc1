"""How a test ends a TCP connection with RST."""

import socket
import struct

LINGER_ZERO_SECONDS = struct.pack("ii", 1, 0)


def reset_on_close(connected: socket.socket) -> None:
    """Let close() send RST in place of FIN and drop what the kernel still holds (SO_LINGER, socket(7))."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO_SECONDS)
