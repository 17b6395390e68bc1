"""The result of one scenario at one server, from what was found."""

from collections.abc import Iterable
from statistics import fmean, quantiles

from sidecar.verify import timing
from sidecar.verify.findings import Findings
from sidecar.verify.reasons import Reasons
from sidecar.verify.results import Breach, ScenarioResult, Timeline
from sidecar.verify.scenarios import Scenario
from sidecar.verify.shown import shown
from sidecar.verify.timeline import timeline

BREACHES_MAX = 50
"""Told in full; the reasons count all of them."""


def judge(found: Findings, seed: int, took_s: float) -> ScenarioResult:
    """Return all that was found."""
    scenario, readers = found.scenario, [reader for _, reader in found.readers()]
    people = [reader.person for reader in readers]
    reconnects = [seconds for person in people for seconds in timing.reconnects_s(person)]
    silences = [
        silence
        for part in found.played
        if part.part.ends == "complete"
        for reader in part.readers
        for silence in timing.silences_s(reader.person)
    ]
    reasons = list(Reasons(found).failed())
    return ScenarioResult(
        number=scenario.number,
        name=scenario.name,
        title=scenario.title,
        promise=scenario.promise,
        verdict="failed" if reasons else "passed",
        reasons=reasons,
        not_checked=list(Reasons(found).not_checked()),
        seed=seed,
        users=len(people),
        took_s=round(took_s, 3),
        streams=len({reader.stream for reader in readers}),
        eligible=len(found.eligible()),
        completed=found.completed(),
        completion=found.completion(),
        completion_min=found.completion_min(),
        reconnects_s=_rounded(reconnects),
        reconnect_mean_s=round(fmean(reconnects), 3) if reconnects else None,
        reconnect_p95_s=_p95(reconnects),
        gave_up=sum(map(timing.gave_up, people)),
        detections_s=_rounded(noticed for noticed, _ in silences),
        recoveries_s=_rounded(again for _, again in silences if again is not None),
        pauses_s=[_rounded(timing.pauses_s(person)) for person in people],
        lost=found.lost(),
        duplicates=found.rules()["twice"],
        dropped=sum(person.dropped for person in people),
        silent=len(found.silent()),
        gaps=sum(len(person.gaps) for person in people),
        upstream_requests=found.requests(),
        breaches=_told_breaches(found),
        shown=[entry for part in found.played for entry in shown(part)],
        timeline=timeline(found.played[0]),
    )


def _told_breaches(found: Findings) -> list[Breach]:
    broken = [Breach(rule=each.rule, sentence=each.sentence) for each in found.violations]
    return [*found.breaches, *broken][:BREACHES_MAX]


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(value, 3) for value in values]


def _p95(values: list[float]) -> float | None:
    if len(values) < 2:  # noqa: PLR2004 - one value is its own quantile
        return round(values[0], 3) if values else None
    return round(quantiles(values, n=20, method="inclusive")[-1], 3)


def not_run(scenario: Scenario, seed: int, reason: str) -> ScenarioResult:
    """Return the failed result of a scenario that did not run to its end."""
    return ScenarioResult(
        number=scenario.number,
        name=scenario.name,
        title=scenario.title,
        promise=scenario.promise,
        verdict="failed",
        reasons=[reason],
        not_checked=[],
        seed=seed,
        users=0,
        took_s=0.0,
        streams=0,
        eligible=0,
        completed=0,
        completion=0.0,
        reconnects_s=[],
        reconnect_mean_s=None,
        reconnect_p95_s=None,
        gave_up=0,
        detections_s=[],
        recoveries_s=[],
        pauses_s=[],
        lost=0,
        duplicates=0,
        dropped=0,
        silent=0,
        gaps=0,
        upstream_requests=None,
        breaches=[],
        shown=[],
        timeline=Timeline(),
    )
