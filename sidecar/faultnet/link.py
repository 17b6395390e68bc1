"""One direction of one connection, with its toxics."""

import asyncio
import random
import socket
from math import log
from typing import NamedTuple

from sidecar.faultnet.faults import SLACK_S, Faults
from sidecar.faultnet.toxics import (
    Bandwidth,
    Direction,
    Latency,
    LimitData,
    PacketLoss,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
)

READ_BYTES = 4096
PIECES_MAX = 256
"""Pieces under way in one direction, READ_BYTES each at most; then nothing is read until one has left."""

LOST_IN_A_ROW_MAX = 8
"""A piece that was lost so often arrives all the same: a share of 1 is not the way to say silence."""

NEVER = float("inf")


class LinkBroken(Exception):
    """The connection is over; peers get RST with ``reset``, otherwise FIN."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset


class Piece(NamedTuple):
    """Bytes of one read and their loop time.

    ``jitter`` is a chance from -1 to 1, ``loss`` from 0 to 1.
    """

    arrived_at: float
    jitter: float
    luck: float
    data: bytes


class Link:
    """Carry bytes and the end from ``source`` to ``sink``; close neither."""

    def __init__(  # noqa: PLR0913, PLR0917 - the two ends, and whose they are
        self,
        source: socket.socket,
        sink: socket.socket,
        faults: Faults,
        number: int,
        direction: Direction,
        seed: int,
    ) -> None:
        self._source = source
        self._sink = sink
        self._faults = faults
        self._number = number
        self._direction = direction
        self._chance = random.Random(f"{seed} {number} {direction}")  # noqa: S311 - repeatable
        self._loop = asyncio.get_running_loop()
        self._started_at = self._sent_at = self._loop.time()
        self._sent_bytes = 0
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue(PIECES_MAX)
        self.passed_bytes = 0
        self.vanish_bytes = 0
        """How many of the next bytes are to be taken from the way without a word."""

    async def run(self) -> None:
        """Carry until the direction ends.

        Raises LinkBroken, in an ExceptionGroup, if the connection is over.
        """
        async with asyncio.TaskGroup() as tasks:
            doom = tasks.create_task(self._doom())
            tasks.create_task(self._read())
            await self._write()
            doom.cancel()

    async def _read(self) -> None:
        data = b"-"
        while data:
            try:
                data = await self._loop.sock_recv(self._source, READ_BYTES)
            except OSError:
                await self._faults.until(self._open_at)
                raise LinkBroken(reset=True) from None
            jitter, luck = self._chance.uniform(-1, 1), self._chance.random()
            await self._pieces.put(Piece(self._loop.time(), jitter, luck, data))

    async def _write(self) -> None:
        while True:
            piece = await self._pieces.get()
            await self._faults.until(lambda: self._due(piece))  # noqa: B023 - waited for right here
            if not piece.data:
                break
            await self._pass(self._left_of(piece.data))
        ended_at = self._loop.time()
        await self._faults.until(lambda: max(self._open_at(), ended_at + self._slow_close_s()))
        try:
            self._sink.shutdown(socket.SHUT_WR)
        except OSError:
            raise LinkBroken(reset=True) from None

    async def _pass(self, data: bytes) -> None:
        """Send data in the pieces of a slicer, a slow link or a limit."""
        while data:
            size = self._size_of_next(len(data))
            await self._faults.turn(self._number, self._direction, size)
            await self._faults.until(self._free_at)
            free_at = self._free_at()
            size = min(size, self._size_of_next(len(data)))
            try:
                await self._loop.sock_sendall(self._sink, data[:size])
            except OSError:
                raise LinkBroken(reset=True) from None
            self._sent_at = max(free_at, self._loop.time() - SLACK_S)
            self._sent_bytes = size
            self.passed_bytes += size
            data = data[size:]
            if self._room_bytes() <= 0:
                raise LinkBroken(reset=False)

    async def _doom(self) -> None:
        """Break the connection when a toxic says so."""
        await self._faults.until(lambda: min(self._closes_at(), self._resets_at()))
        raise LinkBroken(reset=self._resets_at() <= self._loop.time())

    def _left_of(self, data: bytes) -> bytes:
        vanished = min(self.vanish_bytes, len(data))
        self.vanish_bytes -= vanished
        return data[vanished:]

    def _due(self, piece: Piece) -> float:
        toxics = [toxic for toxic, _ in self._faults.on(self._number, self._direction, Latency)]
        delay_s = sum(max(0.0, toxic.latency_s + piece.jitter * toxic.jitter_s) for toxic in toxics)
        return max(self._open_at(), piece.arrived_at + delay_s + self._again_s(piece))

    def _again_s(self, piece: Piece) -> float:
        """Return the delay of a lost packet, after one or more retransmissions."""
        waits_s = 0.0
        for toxic, _ in self._faults.on(self._number, self._direction, PacketLoss):
            share = min(max(toxic.share, 0.0), 1.0)
            lost = LOST_IN_A_ROW_MAX if share == 1 else int(log(max(piece.luck, 1e-9), share)) if share else 0
            waits_s += toxic.again_s * (2 ** min(lost, LOST_IN_A_ROW_MAX) - 1)
        return waits_s

    def _open_at(self) -> float:
        """Return 0 or, while nothing passes, NEVER."""
        return NEVER if any(self._faults.on(self._number, self._direction, Timeout)) else 0.0

    def _free_at(self) -> float:
        """Return when the last piece has left, by link rate and slicer."""
        rate_bytes = self._rate_bytes(shared=False)
        took_s = self._sent_bytes / rate_bytes if rate_bytes else 0.0
        if self._sent_bytes:
            took_s += sum(s.delay_s for s, _ in self._faults.on(self._number, self._direction, Slicer))
        return max(self._open_at(), self._sent_at + took_s)

    def _rate_bytes(self, *, shared: bool) -> float:
        toxics = self._faults.on(self._number, self._direction, Bandwidth)
        return min((toxic.rate_bytes for toxic, _ in toxics if toxic.shared == shared), default=0.0)

    def _size_of_next(self, size: int) -> int:
        """Return how many of ``size`` bytes go out at once."""
        for shared in (False, True):
            if rate_bytes := self._rate_bytes(shared=shared):
                size = min(size, int(rate_bytes * SLACK_S))
        for toxic, _ in self._faults.on(self._number, self._direction, Slicer):
            variation = self._chance.randint(-toxic.variation_bytes, toxic.variation_bytes)
            size = min(size, toxic.average_bytes + variation)
        return max(1, min(size, int(min(self._room_bytes(), size))))

    def _room_bytes(self) -> float:
        toxics = self._faults.on(self._number, self._direction, LimitData)
        return min((toxic.limit_bytes - self.passed_bytes for toxic, _ in toxics), default=NEVER)

    def _slow_close_s(self) -> float:
        return sum(toxic.delay_s for toxic, _ in self._faults.on(self._number, self._direction, SlowClose))

    def _closes_at(self) -> float:
        """Return when a timeout closes the connection."""
        toxics = self._faults.on(self._number, self._direction, Timeout)
        ends = [max(since, self._started_at) + toxic.timeout_s for toxic, since in toxics if toxic.timeout_s]
        return min(ends, default=NEVER)

    def _resets_at(self) -> float:
        toxics = self._faults.on(self._number, self._direction, ResetPeer)
        return min((max(since, self._started_at) + t.timeout_s for t, since in toxics), default=NEVER)
