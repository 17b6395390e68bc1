"""The load backend: a process of its own that sends paced event streams as cheaply as Python can.

``GET /paced?rate=50`` sends that many events per second for ever, ``GET /idle`` one event and then nothing.
Every event carries its number and the monotonic time at which it was sent. The first line on stdout is the
port.
"""

import asyncio
import sys
import time
from typing import cast
from urllib.parse import parse_qs, urlsplit

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT_BYTES = 110
BACKLOG = 4096
PHASES = 50
"""Streams tick at so many different moments of an interval, so that events do not come in bursts."""


def event(number: int, sent_ns: int) -> bytes:
    """Build one event of ``EVENT_BYTES``."""
    start = b'data: {"n":%d,"t":%d,"pad":"' % (number, sent_ns)
    return start + b"x" * (EVENT_BYTES - len(start) - 4) + b'"}\n\n'


class BenchConnection(asyncio.Protocol):
    """One connection of a proxy; it carries one stream after another."""

    opened = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in everything but its type
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._unread = b""
        self._number = 0

    def data_received(self, data: bytes) -> None:
        """Start the stream that is asked for."""
        self._unread += data
        if b"\r\n\r\n" not in self._unread:
            return
        target = self._unread.split(b" ", 2)[1].decode("latin-1")
        self._unread = b""
        self._transport.write(HEAD)
        rate = parse_qs(urlsplit(target).query).get("rate")
        if rate is None:
            self._send()
        else:
            self._start(1.0 / float(rate[0]))

    def _start(self, interval_s: float) -> None:
        self._interval_s = interval_s
        phase = BenchConnection.opened % PHASES / PHASES
        BenchConnection.opened += 1
        self._due = self._loop.time() + phase * interval_s
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._send()
        self._due += self._interval_s
        self._timer = self._loop.call_at(self._due, self._tick)

    def _send(self) -> None:
        self._number += 1
        self._transport.write(b"%x\r\n%b\r\n" % (EVENT_BYTES, event(self._number, time.monotonic_ns())))

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()


async def serve() -> None:
    """Listen on a free port of loopback and say which."""
    server = await asyncio.get_running_loop().create_server(BenchConnection, "127.0.0.1", 0, backlog=BACKLOG)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
