"""The place of a round: backend, sidecars, networks and ordered faults."""

import asyncio
from dataclasses import dataclass, field

from sidecar.faultnet.network import FaultyNetwork
from tests.soak.backend import SoakBackend
from tests.soak.process import SidecarProcess
from tests.soak.schedule import CELLS, ScheduledVisit, SidecarName
from tests.soak.testimony import Testimony

TICK_S = 0.05
TROUBLE_S = 20.0
"""How long after a fault something may still fail because of it."""


@dataclass
class Stand:
    """``testimony`` is the round's own; ``networks`` are each sidecar's cells."""

    backend: SoakBackend
    sidecars: dict[SidecarName, SidecarProcess]
    networks: dict[SidecarName, list[FaultyNetwork]]
    testimony: Testimony = field(default_factory=Testimony)
    asks: int = 0
    late_s_max: float = 0.0
    """How late this process was at worst when it wanted to do something."""
    _trouble: int = 0
    _trouble_until_s: float = 0.0

    @property
    def now_s(self) -> float:
        """The event loop's clock."""
        return asyncio.get_running_loop().time()

    def sidecar_of(self, visit: ScheduledVisit) -> SidecarProcess:
        """Return the sidecar that is visited."""
        return self.sidecars[visit.sidecar]

    def port_for(self, visit: ScheduledVisit) -> int:
        """Return where a person's way to the sidecar begins."""
        return self.networks[visit.sidecar][visit.person % CELLS].port

    def trouble_begins(self) -> None:
        """Take note of a fault."""
        self._trouble += 1

    def trouble_ends(self) -> None:
        """Take note of its end."""
        self._trouble -= 1
        self._trouble_until_s = self.now_s + TROUBLE_S

    @property
    def is_troubled(self) -> bool:
        """Whether anything that fails now can be due to a fault that was ordered."""
        return bool(self._trouble) or self.now_s < self._trouble_until_s

    async def watch(self) -> None:
        """Measure how late this process is, until it is cancelled."""
        while True:
            due_s = self.now_s + TICK_S
            await asyncio.sleep(TICK_S)
            self.late_s_max = max(self.late_s_max, self.now_s - due_s)

    def next_ask(self) -> str:
        """Return a name for one request."""
        self.asks += 1
        return str(self.asks)
