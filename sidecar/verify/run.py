"""A run of ``verify``: every scenario at every server."""

import asyncio
import os
import platform
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import aiohttp

from sidecar import __version__
from sidecar.client import State
from sidecar.faultnet.path import Path, PathKind
from sidecar.faultnet.paths import path_to
from sidecar.faultnet.real_path import why_not
from sidecar.verify.findings import Findings
from sidecar.verify.follow_up import follow_up
from sidecar.verify.judge import judge, not_run
from sidecar.verify.own import EVERYWHERE, LOOPBACK
from sidecar.verify.person import UserRequest
from sidecar.verify.results import Breach, PathUsed, Results, ScenarioResult, TargetResult
from sidecar.verify.scenarios import SCENARIOS, Scenario, ScenarioPart
from sidecar.verify.stage import Played, Stage
from sidecar.verify.subject import ANSWER_S, Subject, Unusable, subject

USERS = 20
USERS_QUICK = 6
SCENARIO_S_MAX = 240.0
"""The longest that one scenario may take, not counting twelve of the client's stall times."""

STALLS_MAX = 12
TELL_S = 5.0
"""How often a scenario that goes on says how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """The plan of a run.

    ``specs`` are ``direct``, ``sidecar`` or URLs. ``question`` is for URLs; None is a GET.
    """

    specs: Sequence[str]
    seed: int
    users: int | None = None
    quick: bool = False
    path: PathKind | Literal["auto"] = "auto"
    scenarios: Sequence[Scenario] = SCENARIOS
    questions: dict[str, UserRequest] = field(default_factory=dict)
    stall_s: float | None = None
    answer_s: float = ANSWER_S
    command: str = ""

    @property
    def people(self) -> int:
        """How many users a part has that does not say it itself."""
        return self.users or (USERS_QUICK if self.quick else USERS)


Say = Callable[[str], None]


async def run(plan: RunPlan, say: Say) -> Results:
    """Run everything; ``say`` receives the progress.

    Raises NotStarted or PathError.
    """
    started, began_at_s = datetime.now(UTC), time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_Test(plan, spec, say).run()) for spec in plan.specs]
    found = [task.result() for task in running]
    return Results(
        version=__version__,
        command=plan.command,
        started=started.isoformat(timespec="seconds"),
        took_s=round(time.monotonic() - began_at_s, 3),
        seed=plan.seed,
        quick=plan.quick,
        path=next((used for _, used in found if used is not None), None),
        environment=environment(),
        targets=[target for target, _ in found],
    )


class _Test:
    """One server's."""

    def __init__(self, plan: RunPlan, spec: str, say: Say) -> None:
        self._plan = plan
        self._spec = spec
        self._say = say

    async def run(self) -> tuple[TargetResult, PathUsed | None]:
        try:
            return await self._run()
        except Unusable as error:
            self._say(str(error))
            failed = [not_run(each, self._plan.seed, str(error)) for each in self._plan.scenarios]
            return TargetResult(name=self._spec, url=self._spec, scenarios=failed), None

    async def _run(self) -> tuple[TargetResult, PathUsed]:
        plan = self._plan
        host = LOOPBACK if plan.path == "userspace" or why_not() else EVERYWHERE
        async with AsyncExitStack() as stack:
            question = plan.questions.get(self._spec)
            tested = await stack.enter_async_context(
                subject(self._spec, question, plan.stall_s, plan.answer_s, host)
            )
            path = await stack.enter_async_context(path_to(tested.url, plan.path, plan.seed))
            scenarios = [await self._scenario(tested, path, scenario) for scenario in plan.scenarios]
            used = PathUsed(kind=path.kind, pieces=dict(path.pieces))
            return TargetResult(name=tested.name, url=tested.url, scenarios=scenarios), used

    async def _scenario(self, tested: Subject, path: Path, scenario: Scenario) -> ScenarioResult:
        self._say(f"{self._spec}: {scenario.title} ...")
        began_at_s, bound_s = time.monotonic(), SCENARIO_S_MAX + STALLS_MAX * tested.stall_s
        try:
            async with asyncio.timeout(bound_s):
                result = await self._judged(tested, path, scenario, began_at_s)
        except TimeoutError:
            result = not_run(scenario, self._plan.seed, f"It had not come to an end after {bound_s:.0f} s.")
        self._say(f"{self._spec}: {scenario.title}: {result.verdict} after {result.took_s:.0f} s")
        for reason in result.reasons:
            self._say(f"{self._spec}:     {reason}")
        return result

    async def _judged(
        self, tested: Subject, path: Path, scenario: Scenario, began_at_s: float
    ) -> ScenarioResult:
        plan = self._plan
        stage = Stage(tested, path, users=plan.people, quick=plan.quick, seed=plan.seed)
        telling = asyncio.create_task(self._tell(scenario, stage))
        try:
            found = await play(stage, scenario)
        finally:
            telling.cancel()
        if not found.played:
            return not_run(scenario, plan.seed, "Nothing of it can be tried at this server.")
        return judge(found, plan.seed, time.monotonic() - began_at_s)

    async def _tell(self, scenario: Scenario, stage: Stage) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            self._say(f"{self._spec}: {scenario.title}: {stage.messages} messages so far")


async def play(stage: Stage, scenario: Scenario) -> Findings:
    """Play every part that the stage's server takes, and return the findings."""
    played: list[Played] = []
    for parts in scenario.rounds:
        taken = [part for part in parts if stage.subject.takes(part)]
        played += await _round(stage, scenario, taken)
    followed = [breach async for breach in _followed(stage.subject, played)]
    return Findings(scenario, stage.subject, played, followed)


async def _round(stage: Stage, scenario: Scenario, parts: list[ScenarioPart]) -> list[Played]:
    async with asyncio.TaskGroup() as tasks:
        playing = [tasks.create_task(stage.play(scenario.name, part)) for part in parts]
    return [task.result() for task in playing]


async def _followed(tested: Subject, played: list[Played]) -> AsyncIterator[Breach]:
    """Request the first ended answer again, at a server with stream ids."""
    for part in played:
        for reader in part.readers:
            person = reader.person
            over = person.state is State.COMPLETED and not part.part.small
            if over and person.stream and person.question.method == "GET":
                async for breach in follow_up(person, reader.url, scoped=tested.has_sidecar):
                    yield breach
                return


def environment() -> dict[str, str]:
    """Return what a reader of the results has to know about the machine."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "sse-sidecar": __version__,
        "python": platform.python_version(),
        "aiohttp": aiohttp.__version__,
        "system": f"{platform.system()} {platform.release()}",
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "load": f"{load} (1, 5, 15 minutes, at the end)",
        "root": "yes" if os.geteuid() == 0 else "no",
    }
