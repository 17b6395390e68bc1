"""Play the six scenarios once, side by side, for the acceptance suite.

The sidecars and the backends are processes of their own, the network is the faulty one of ``sse-sidecar
verify``, and the users are the shipped Python client. It needs nothing but Python.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from sidecar import __version__
from sidecar.faultnet.paths import path_to
from sidecar.faultnet.userspace_path import PIECES
from sidecar.verify.judge import judge
from sidecar.verify.results import PathUsed, Results, ScenarioResult, TargetResult
from sidecar.verify.run import environment, play
from sidecar.verify.scenarios import EXPERIENCE, HANDOFF, LOSS, RAPID, SCENARIOS, SLOW, STALL, Scenario
from sidecar.verify.stage import Stage
from sidecar.verify.subject import SIDECAR, Subject, subject

COMMAND = "pytest tests/streaming/test_sse_production.py"
SEED = 10
USERS = 3
RUN_S_MAX = 240.0
SCRAPE_S = 10.0

NETWORK = frozenset(each.name for each in (SLOW, STALL, LOSS, HANDOFF))
"""Faults of the network that every user recovers from in time: the objectives hold for them."""

OUTAGE = frozenset(each.name for each in (RAPID, EXPERIENCE))
"""Outages that last longer than an objective allows, so they have a sidecar of their own."""


@dataclass(slots=True)
class AcceptanceRun:
    """What one run of the scenarios measured; ``metrics``: what ``/metrics`` answered at its end."""

    url: str
    started: str
    began_at_s: float
    scenarios: dict[str, ScenarioResult] = field(default_factory=dict)
    metrics: str = ""
    took_s: float = 0.0
    written_down: bool = False
    """Whether a test report carries it already."""

    def results(self) -> Results:
        """Return the run in the published form."""
        played = sorted(self.scenarios.values(), key=lambda each: each.number)
        return Results(
            version=__version__,
            command=COMMAND,
            started=self.started,
            took_s=round(self.took_s, 3),
            seed=SEED,
            quick=True,
            path=PathUsed(kind="userspace", pieces=dict(PIECES)),
            environment=environment(),
            targets=[TargetResult(name=SIDECAR, url=self.url, scenarios=played)] if played else [],
        )


def begin() -> AcceptanceRun:
    """Return a run that has measured nothing so far."""
    return AcceptanceRun("", datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic())


async def run(names: Collection[str]) -> AcceptanceRun:
    """Play the scenarios of these names; raises NotStarted, or TimeoutError after RUN_S_MAX."""
    ran = begin()
    async with asyncio.timeout(RUN_S_MAX), asyncio.TaskGroup() as tasks:
        for group in (NETWORK, OUTAGE):
            if chosen := [each for each in SCENARIOS if each.name in group & set(names)]:
                tasks.create_task(_play_all(chosen, ran))
    ran.took_s = time.monotonic() - ran.began_at_s
    return ran


async def _play_all(chosen: list[Scenario], ran: AcceptanceRun) -> None:
    """Play scenarios at a sidecar of their own; at the end read its metrics."""
    async with subject(SIDECAR) as tested:
        ran.url = ran.url or tested.url
        results = await asyncio.gather(*(_play(tested, scenario) for scenario in chosen))
        ran.scenarios |= {result.name: result for result in results}
        if chosen[0].name in NETWORK:
            ran.metrics = await _scrape(tested)


async def _play(tested: Subject, scenario: Scenario) -> ScenarioResult:
    began_at_s = time.monotonic()
    async with path_to(tested.url, "userspace", SEED) as path:
        found = await play(Stage(tested, path, users=USERS, quick=True, seed=SEED), scenario)
    return judge(found, SEED, time.monotonic() - began_at_s)


async def _scrape(tested: Subject) -> str:
    """Return what a Prometheus would read from the live sidecar."""
    assert tested.own is not None
    assert tested.own.sidecar is not None
    timeout = aiohttp.ClientTimeout(total=SCRAPE_S)
    async with (
        aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
        session.get(f"{tested.own.sidecar.admin_url}/metrics") as answer,
    ):
        return await answer.text()
