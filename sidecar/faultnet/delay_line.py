r"""A delay line: packets come out later, perhaps twice or reordered.

A process of its own, so that its clock does not depend on how busy people are:
``python -m sidecar.faultnet.delay_line TUN SEED``, where TUN is the descriptor of a TUN device. What the
kernel routes into the device is written back to it when it is due. Each line on stdin, such as
``{"delay_s": 0.2}``, changes the line and is answered with ``ok``; with the end of stdin it ends.
"""

import heapq
import json
import os
import random
import select
import sys
import time
from contextlib import suppress

PACKETS_MAX = 20_000
"""On their way at the same time; what comes then is dropped, as any router would."""

PACKET_BYTES_MAX = 65_536
OVERTAKEN_S = 0.02
"""So much later, at most, comes a packet that others are to overtake, and the second one of two."""

BATCH = 64
"""So many packets are taken before it is looked whether others are due."""


class DelayLine:
    """What is on its way. All times are arguments, in seconds of one clock."""

    def __init__(self, seed: int) -> None:
        self.delay_s = 0.0
        self.duplicate = 0.0
        self.reorder = 0.0
        self._chance = random.Random(seed)  # noqa: S311 - repeatable
        self._packets: list[tuple[float, int, bytes]] = []
        self._count = 0

    def take(self, packet: bytes, now: float) -> None:
        """Let a packet begin its way, and perhaps its double."""
        late = self._chance.random() < self.reorder
        self._put(packet, now + late * self._chance.uniform(0, OVERTAKEN_S))
        if self._chance.random() < self.duplicate:
            self._put(packet, now + self._chance.uniform(0, OVERTAKEN_S))

    def _put(self, packet: bytes, at: float) -> None:
        if len(self._packets) < PACKETS_MAX:
            self._count += 1
            heapq.heappush(self._packets, (at, self._count, packet))

    def due_in(self, now: float) -> float | None:
        """Return in how many seconds the next packet is due; None: there is none."""
        return max(0.0, self._packets[0][0] + self.delay_s - now) if self._packets else None

    def due(self, now: float) -> list[bytes]:
        """Return the packets that have arrived."""
        packets = []
        while self._packets and self._packets[0][0] + self.delay_s <= now:
            packets.append(heapq.heappop(self._packets)[2])
        return packets


class _Process:
    """The line between a TUN device and itself, and who changes it."""

    def __init__(self, tun: int, seed: int) -> None:
        self._tun = tun
        self._line = DelayLine(seed)
        self._told = b""

    def run(self) -> None:
        """Carry until stdin ends."""
        os.set_blocking(self._tun, False)
        told = True
        while told:
            ready, _, _ = select.select([self._tun, 0], [], [], self._line.due_in(time.monotonic()))
            if 0 in ready:
                told = self._listen()
            if self._tun in ready:
                self._read()
            self._write()

    def _listen(self) -> bool:
        said = os.read(0, PACKET_BYTES_MAX)
        *lines, self._told = (self._told + said).split(b"\n")
        for line in lines:
            vars(self._line).update(json.loads(line))
            os.write(1, b"ok\n")
        return bool(said)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            for _ in range(BATCH):
                self._line.take(os.read(self._tun, PACKET_BYTES_MAX), time.monotonic())

    def _write(self) -> None:
        for packet in self._line.due(time.monotonic()):
            with suppress(OSError):  # no room or no route: a packet lost, as anywhere
                os.write(self._tun, packet)


if __name__ == "__main__":
    _Process(int(sys.argv[1]), int(sys.argv[2])).run()
