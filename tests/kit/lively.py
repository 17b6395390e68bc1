"""Two sidecars under every kind of load, scraped by a real Prometheus."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alerts import rules
from compose.stack import stack
from sidecar.observability.slo import SLO
from tests.kit.fake_upstream import FakeUpstream
from tests.kit.fault_run import ROUTES, FaultRun
from tests.kit.prometheus import Prometheus, prometheus
from tests.kit.running import running

SPEED = 15.0
"""Of the stack's own rules; here it only makes the canary quicker."""

USERS = 8
PATIENT_IDLE_S = 6.0
"""So long after a stall a backend is given up: the load makes the stall's end late."""

SCRAPE_S = 1.0
RULES = rules.render(replace(SLO, evaluation_interval_s=SCRAPE_S))
"""The real ones, but evaluated as often as is scraped."""

RATE_INTERVAL = f"{4 * SCRAPE_S:g}s"
"""What Grafana makes of $__rate_interval at this scrape interval."""


@dataclass(frozen=True, slots=True)
class Lively:
    """A Prometheus that has seen much, and the faults that can be run once more."""

    prometheus: Prometheus
    faults: FaultRun

    async def everything_goes_wrong(self) -> None:
        """Let every fault happen once."""
        await self.faults.all()


@asynccontextmanager
async def lively(directory: Path, seed: int) -> AsyncIterator[Lively]:
    """Run them: a process that ordinary users talk to, and a sidecar for one fault of each kind."""
    async with (
        stack(SPEED, users=USERS, seed=seed) as s,
        FakeUpstream() as up,
        running(up.url, routes=_patient(ROUTES), canary_interval_s=1) as sc,
    ):
        targets = [s.admin.removeprefix("http://"), f"127.0.0.1:{sc.admin_port}"]
        async with prometheus(directory, targets, RULES, scrape_interval_s=SCRAPE_S) as prom:
            await prom.until_scraped()
            yield Lively(prom, FaultRun(up, sc))


def _patient(routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**route, **({"upstream_idle_s": PATIENT_IDLE_S} if "stall_s" in route else {})} for route in routes
    ]


def seed_of(given: str | None) -> int:
    """Return the seed asked for, or a new one."""
    return int(given or 0) or random.SystemRandom().randrange(1, 10**9)
