"""One drill: healthy and silent, fault, alert, the page is followed, recovery, the alert resolves."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tests.kit.deadline import within
from tests.kit.runbook import DiagnosisRow, ExpectedOutput, Mitigation, Runbook
from tests.monitoring.drills.causes import Cause
from tests.monitoring.drills.shell import Shell
from tests.monitoring.drills.site import Site, site

USERS = 16
HEALTHY_STREAMS_MIN = 10
"""Streams that must have completed before a site counts as healthy."""

HEALTHY_S = 60.0
ANSWERS_S = 60.0
FIRES_S = 150.0
VERIFY_S = 150.0
"""Recovery shows in those who come back after it, and on a slow machine few users do."""

RESOLVES_S = 330.0
POLL_S = 0.25
RECOVERED = ExpectedOutput("=> 1 @[")


@dataclass(frozen=True, slots=True)
class Times:
    """How long each part took, in seconds; ``fires_s`` from the fault, ``resolves_s`` from the mitigation."""

    fires_s: float
    diagnosis_s: float
    mitigation_s: float
    resolves_s: float

    def rounded(self) -> dict[str, float]:
        """Return them as they are stamped."""
        return {name: round(value, 1) for name, value in asdict(self).items()}


class Drill:
    """Follows one runbook at one site because of one cause."""

    def __init__(self, cause: Cause, site: Site) -> None:
        self.cause = cause
        self.book = Runbook.read(cause.alert)
        self._site = site
        self._shell = Shell(self.book.preamble, site.scratch)
        self._ran: set[str] = set()
        self._now = asyncio.get_running_loop().time
        site.route = cause.labels.get("route", site.route)

    async def run(self) -> Times:
        """Go through all of it; AssertionError where it does not go as the runbook says."""
        async with self.cause.prepare(self._site):
            await self._healthy()
            begun = self._now()
            await self.cause.inject(self._site)
            await self._alert("firing", FIRES_S)
            fired = self._now()
            way = await self._diagnosed()
            diagnosed = self._now()
            await self._mitigated(way)
            mitigated = self._now()
            await self._verified()
            await self._resolved()
            resolved = self._now()
        return Times(fired - begun, diagnosed - fired, mitigated - diagnosed, resolved - mitigated)

    async def run_the_rest(self) -> None:
        """Run every command that no step needed: on a healthy site all of them work."""
        site = self._site
        await site.stack.clear()
        for way in self.book.mitigations.values():
            await self._mitigated(way)
            for command in way.undo:
                await self._do(command)
            site.stack.front.to = site.stack.ports.public
        for command in self.book.commands:
            if command not in self._ran:
                await self._do(command)
        for query in self.book.promql:
            await self._until(partial(site.stack.prometheus.query, query), ANSWERS_S, f"no answer: {query}")

    async def _do(self, command: str) -> str:
        self._ran.add(command)
        return await self._shell.run(command, self._site.variables())

    async def _healthy(self) -> None:
        """See that users are served, that nothing fires, and that every question has its healthy answer."""
        prometheus = self._site.stack.prometheus
        served = f'sum(sse_streams_finished_total{{outcome="completed"}}) >= {HEALTHY_STREAMS_MIN}'
        await self._until(lambda: prometheus.query(served), HEALTHY_S, "users are not served")
        await self._until(self._silent, HEALTHY_S, "healthy, but it fires")
        for question in self.book.questions:
            said = await self._do(question.commands[0])
            assert question.healthy.fits(said), f"healthy, but {question.name} says: {said}"
        assert await self._silent(), "healthy, but it fires"
        assert self._site.stack.sink.seen(self.cause.alert) == [], "healthy, but somebody was told"

    async def _alert(self, status: str, within_s: float) -> None:
        """Wait until the webhook has been told of the alert."""
        sink, cause = self._site.stack.sink, self.cause
        async with within(
            within_s, lambda: f"not told: {status} {cause.labels}; told: {[*sink.notifications]}"
        ):
            await sink.wait(cause.alert, status, **cause.labels)

    async def _diagnosed(self) -> Mitigation:
        """Ask what the page asks; the first answer that is not healthy must be the cause's."""
        for command in self.book.first_checks:
            await self._do(command)
        said = {question.name: await self._do(question.commands[0]) for question in self.book.questions}
        loud = [each for each in self.book.questions if not each.healthy.fits(said[each.name])]
        names = [question.name for question in loud]
        assert names[:1] == [self.cause.row], f"the page points at {names}: {said}"
        assert set(names[1:]) <= set(self.cause.also), f"the page points at others too: {names}: {said}"
        await self._more(loud[0], said[loud[0].name])
        return self.book.mitigations[loud[0].mitigation]

    async def _more(self, question: DiagnosisRow, said: str) -> None:
        assert question.otherwise.fits(said), f"{question.name} says {said}, not {question.otherwise.pattern}"
        for command in question.commands[1:]:
            await self._do(command)

    async def _mitigated(self, way: Mitigation) -> None:
        """Do what the page says, and see what it promises, in time."""
        self._site.to_write(way.setting)
        for command in way.commands:
            await self._do(command)
        await self._until_seen(way.see, way.seen, way.within_s)

    async def _verified(self) -> None:
        await self._until_seen(self.book.verify, RECOVERED, VERIFY_S)

    async def _until_seen(self, command: str, answer: ExpectedOutput, within_s: float) -> None:
        said = ""

        async def look() -> bool:
            nonlocal said
            said = await self._do(command)
            return answer.fits(said)

        await self._until(look, within_s, lambda: f"not seen: {answer}, but {said!r}, by {command}")

    async def _resolved(self) -> None:
        """Wait until nothing of this alert fires any more, and Alertmanager has said so."""
        await self._until(self._silent, RESOLVES_S, f"{self.cause.alert} does not resolve")
        await self._alert("resolved", RESOLVES_S)

    async def _silent(self) -> bool:
        """Tell whether the alert neither fires nor is about to, on the route of the cause if it has one."""
        cause = self.cause
        where = cause.labels.get("route")
        alerts = await self._site.stack.prometheus.alerts()
        return not [a for a in alerts if a.name == cause.alert and where in {None, a.labels.get("route")}]

    async def _until(
        self, true: Callable[[], Awaitable[object]], within_s: float, what: str | Callable[[], str]
    ) -> None:
        async with within(within_s, what if callable(what) else lambda: what):
            found = await true()
            while not found:
                await asyncio.sleep(POLL_S)
                found = await true()


async def drill(cause: Cause, scratch: Path, *, with_the_rest: bool) -> Times:
    """Drill a cause at a site of its own; ``with_the_rest``: then run every command that was not needed."""
    async with site(cause.speed, scratch, USERS) as standing:
        drilling = Drill(cause, standing)
        times = await drilling.run()
        if with_the_rest:
            await drilling.run_the_rest()
        return times
