"""A cell of a mobile network, with a sequence of faults."""

import asyncio
import random
from collections import Counter

from sidecar.faultnet.network import FaultyNetwork
from sidecar.faultnet.toxics import Bandwidth, Latency, Slicer

FINE_S = (3.0, 8.0)
DARK_S = (1.5, 4.0)
"""Beyond what a client waits before it takes silence for a loss: some notice, some need not."""

SLOW_S = (4.0, 8.0)
RATE_BYTES = 50_000
LATENCY_S, JITTER_S = 0.2, 0.05

CUT, DARK, SLOW, SLICED = "cut", "dark", "slow", "sliced"
WEATHERS = {CUT: 4, DARK: 3, SLOW: 3, SLICED: 1}
"""How often each comes, as weights."""


class Cell:
    """A faulty path to ``host``:``port``; ``did`` receives each fault.

    ``calm``: how many times longer than FINE_S all is well.
    """

    def __init__(self, host: str, port: int, seed: str, calm: float = 1.0) -> None:
        self.did: Counter[str] = Counter()
        self.network = FaultyNetwork(host, port)
        self._calm = calm
        self._chance = random.Random(seed)  # noqa: S311 - repeatable

    async def run(self) -> None:
        """Let one thing happen after the other, until cancelled; then all is well."""
        chance = self._chance
        try:
            while True:
                await asyncio.sleep(self._calm * chance.uniform(*FINE_S))
                (weather,) = chance.choices([*WEATHERS], [*WEATHERS.values()])
                await self._be(weather)
        finally:
            self.network.clear()

    async def _be(self, weather: str) -> None:
        network, chance, live = self.network, self._chance, self.network.live
        if weather == CUT:
            self._note("was reset", live)
            network.cut()
        elif weather == DARK:
            self._note("let nothing through for seconds", live)
            network.blackhole()
            await asyncio.sleep(chance.uniform(*DARK_S))
        elif weather == SLOW:
            self._note("was slow", live)
            network.add(Bandwidth(rate_bytes=RATE_BYTES), Latency(latency_s=LATENCY_S, jitter_s=JITTER_S))
            await asyncio.sleep(chance.uniform(*SLOW_S))
        else:
            self._note("cut everything into small pieces", live)
            network.add(Slicer(average_bytes=30, variation_bytes=20))
            await asyncio.sleep(chance.uniform(*SLOW_S))
        network.clear()

    def _note(self, what: str, live: int) -> None:
        self.did[f"network {what} (times)"] += 1
        self.did[f"network {what} (connections)"] += live
