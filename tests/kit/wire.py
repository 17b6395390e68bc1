"""The accepting end of one TCP connection: bytes in, bytes out, and how the peer went away."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Literal, TypeAlias, cast

from tests.kit.deadline import WAIT_S, within
from tests.kit.reset import reset_on_close, until_on_its_way

Departure: TypeAlias = Literal["", "fin", "reset"]

UNREAD_BYTES_MAX = 64 * 1024
"""Bytes kept for a script that does not read; beyond it the kernel's buffers fill and the peer feels it."""


class AcceptedConnection(asyncio.Protocol):
    """One accepted connection.

    ``peer_left`` is set when the peer's FIN or RST arrives before an end of our own; ``peer_left_at`` is that
    moment on the loop's clock. With more than ``UNREAD_BYTES_MAX`` unread, a FIN waits behind those bytes.
    """

    def __init__(self, on_connect: Callable[["AcceptedConnection"], None]) -> None:
        self.peer_left = asyncio.Event()
        self.peer_left_at: float | None = None
        self.departure: Departure = ""
        self.lost = asyncio.Event()
        self.ended_by_us = False
        self.error: Exception | None = None
        self._on_connect = on_connect
        self._unread = b""
        self._at_end = False
        self._paused = False
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # A write is over when the kernel has the bytes, so that a later reset cannot discard them here.
        self._transport.set_write_buffer_limits(high=0)
        self._on_connect(self)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if len(self._unread) > UNREAD_BYTES_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._readable.set()

    def eof_received(self) -> bool:
        self._note_departure("fin")
        return True  # a peer that has finished sending may still be listening

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._note_departure("reset" if exc else "fin")
        self._writable.set()
        self.lost.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _note_departure(self, departure: Departure) -> None:
        self._at_end = True
        self._readable.set()
        if not self.ended_by_us and not self.peer_left.is_set():
            self.departure = departure
            self.peer_left_at = asyncio.get_running_loop().time()
            self.peer_left.set()

    @property
    def fate(self) -> str:
        """What became of the connection: "open", "peer fin", "peer reset" or "ended by us"."""
        if self.departure:
            return f"peer {self.departure}"
        return "ended by us" if self.ended_by_us else "open"

    async def closed_by_peer(self, within_s: float) -> float:
        """Wait until the peer closes; return the loop's time of it. Overdue if it does not in time."""
        async with within(within_s, lambda: f"the peer has not closed its connection, which is {self.fate}"):
            await self.peer_left.wait()
        return self.peer_left_at or 0.0

    async def read(self) -> bytes:
        """Wait for bytes and return all there are; empty when the peer sends no more."""
        await self._readable.wait()
        data, self._unread = self._unread, b""
        if not self._at_end:
            self._readable.clear()
            self._resume_reading()
        return data

    def _resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    async def write(self, data: bytes) -> None:
        """Send bytes; back when the kernel has taken them. ConnectionResetError if the connection is gone."""
        self._refuse_if_lost()
        self._transport.write(data)
        await self._writable.wait()
        self._refuse_if_lost()

    def _refuse_if_lost(self) -> None:
        if self.lost.is_set() or self.ended_by_us:
            raise ConnectionResetError("the peer is gone") from self.error

    async def fin(self) -> None:
        """Close the connection in order."""
        self.ended_by_us = True
        if not self._transport.is_closing():
            # Unread input would turn the FIN of close() into RST, so it goes out by itself first; a peer that
            # has reset the connection by now needs none.
            with contextlib.suppress(OSError):
                self._transport.write_eof()
        self._transport.close()
        await self._until_lost()

    async def reset(self) -> None:
        """Close the connection with RST, behind everything that was sent."""
        self.ended_by_us = True
        connected = self._transport.get_extra_info("socket")
        if not self._transport.is_closing():
            await until_on_its_way(connected)
        if not self._transport.is_closing():
            reset_on_close(connected)
        self._transport.abort()
        await self._until_lost()

    async def _until_lost(self) -> None:
        async with within(WAIT_S, lambda: "the connection does not close: its peer reads nothing"):
            await self.lost.wait()
