"""The results of a run, as in ``sse_test_results.json``.

Every time is in seconds, every share between 0 and 1. ``None`` stands for what this run could not know.
"""

from dataclasses import dataclass, field
from typing import Literal

from sidecar.faultnet.path import PathKind

SCHEMA = "sse-sidecar/test-results/1"
Verdict = Literal["passed", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened to one stream, ``at_s`` after its beginning."""

    at_s: float
    kind: Literal["asked", "answered", "event", "heartbeat", "lost", "state", "gap", "end"]
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A fault that lasted from ``from_s`` to ``to_s``."""

    from_s: float
    to_s: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One stream under a scenario's faults: the first user's."""

    marks: list[Mark] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a user saw of a failure; ``after_s`` counts from the failure."""

    failure: str
    state: str
    sentence: str
    after_s: float
    silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """An invariant that did not hold: its rule and a sentence."""

    rule: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """One scenario against one target."""

    number: int
    name: str
    title: str
    promise: str
    verdict: Verdict
    reasons: list[str]
    """Why it failed: one sentence for each criterion that was not met."""

    not_checked: list[str]
    """What could not be judged at this target, each with the reason."""

    seed: int
    users: int
    took_s: float
    streams: int
    eligible: int
    completed: int
    completion: float
    completion_min: float | None = None
    """The completion that the promise asks of this target; None where it asks for none."""

    reconnects_s: list[float]
    """From the loss of a connection to the first byte of the next, of each that came back."""

    reconnect_mean_s: float | None
    reconnect_p95_s: float | None
    gave_up: int
    detections_s: list[float]
    """From the beginning of a silence to the moment it was noticed."""

    recoveries_s: list[float]
    """From that moment to the next message."""

    pauses_s: list[list[float]]
    """The waits before each user's connections, in order."""

    lost: int
    duplicates: int
    """Messages handed to a user twice."""

    dropped: int
    """Messages that came twice and were dropped by the client."""

    silent: int
    gaps: int
    upstream_requests: int | None
    breaches: list[Breach]
    shown: list[Shown]
    timeline: Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """All scenarios against one target."""

    name: str
    url: str
    scenarios: list[ScenarioResult]

    @property
    def verdict(self) -> Verdict:
        """Return whether every scenario passed."""
        return "passed" if all(each.verdict == "passed" for each in self.scenarios) else "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One objective: its limit and both measurements."""

    name: str
    asks: str
    by_clients: float | None
    by_prometheus: float | None
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """People at the sidecar, counted by their own records and by Prometheus."""

    users: int
    seed: int
    took_s: float
    streams: int
    eligible: int
    completed: int
    did: dict[str, int]
    """How often people did what, and what the backend and the network did to them."""

    reconnects_s: list[float]
    objectives: list[Objective]
    metrics: dict[str, float]
    """The six key metrics at the end."""

    differences: list[str]
    """Where the clients' records and Prometheus do not agree: one sentence each."""

    sidecar_rss_bytes: int
    sidecar_cpu_s: float
    counted_by: str = "Prometheus"
    """Who was asked for what was counted: where no Prometheus is installed, the sidecar itself."""

    @property
    def verdict(self) -> Verdict:
        """Return whether all objectives held and all counts agree."""
        held = all(each.held for each in self.objectives) and not self.differences
        return "passed" if held else "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseResult:
    """One test of the acceptance suite: what it asks, and what it measured."""

    group: Literal["unit", "scenario", "monitoring"]
    test: str
    promise: str
    asked: str = ""
    measured: str = ""
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class PathUsed:
    """Which way people took, and what made each impairment."""

    kind: PathKind
    pieces: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A whole run."""

    schema: str = SCHEMA
    version: str
    command: str
    started: str
    """UTC, ISO 8601."""

    took_s: float
    seed: int
    quick: bool
    path: PathUsed | None
    environment: dict[str, str]
    targets: list[TargetResult] = field(default_factory=list)
    loads: list[LoadResult] = field(default_factory=list)
    promises: list[PromiseResult] = field(default_factory=list)
    """The tests of the acceptance suite, where that made the run."""

    @property
    def verdict(self) -> Verdict:
        """Return whether everything passed."""
        parts: list[TargetResult | LoadResult | PromiseResult] = [*self.targets, *self.loads, *self.promises]
        return "passed" if all(each.verdict == "passed" for each in parts) else "failed"
