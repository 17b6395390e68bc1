"""The rows on one scenario at one target, for every report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar.verify.report.figures import NOTHING, count, quantity, seconds, share, size, times
from sidecar.verify.results import LoadResult, Objective, Results, ScenarioResult, Shown

PAUSES_SHOWN = 8
BREACHES_SHOWN = 3

SHOWN = ("Failure", "State", "Sentence", "After", "Silent")
OBJECTIVES = ("Objective", "Asks", "By the clients' records", "By Prometheus", "Held")


@dataclass(frozen=True, slots=True)
class Measure:
    """A row: its name and its text; ``wanted_zero`` allows only 0."""

    name: str
    of: Callable[[ScenarioResult], str]
    wanted_zero: bool = False


def _longest(values: Sequence[float]) -> str:
    return f"{len(values):,}, the longest {seconds(max(values))}" if values else NOTHING


def _first_pauses(result: ScenarioResult) -> str:
    longest = max(result.pauses_s, key=len, default=[])
    return times(longest, PAUSES_SHOWN)


MEASURES = (
    Measure("users", lambda r: count(r.users)),
    Measure("streams", lambda r: count(r.streams)),
    Measure("eligible", lambda r: count(r.eligible)),
    Measure("completed", lambda r: count(r.completed)),
    Measure("completion", lambda r: share(r.completion)),
    Measure("completion promised", lambda r: share(r.completion_min)),
    Measure("reconnects", lambda r: count(len(r.reconnects_s))),
    Measure("reconnect, mean", lambda r: seconds(r.reconnect_mean_s)),
    Measure("reconnect, p95", lambda r: seconds(r.reconnect_p95_s)),
    Measure("gave up", lambda r: count(r.gave_up)),
    Measure("silences noticed", lambda r: _longest(r.detections_s)),
    Measure("recoveries", lambda r: _longest(r.recoveries_s)),
    Measure("waits of the user with most", _first_pauses),
    Measure("messages lost", lambda r: count(r.lost), wanted_zero=True),
    Measure("messages shown twice", lambda r: count(r.duplicates), wanted_zero=True),
    Measure("repeats dropped by the client", lambda r: count(r.dropped)),
    Measure("silent failures", lambda r: count(r.silent), wanted_zero=True),
    Measure("gaps told", lambda r: count(r.gaps)),
    Measure("requests at the backend", lambda r: count(r.upstream_requests)),
    Measure("took", lambda r: seconds(r.took_s)),
    Measure("seed", lambda r: str(r.seed)),
)


def told(result: ScenarioResult | None, measure: Measure) -> str:
    """Return a cell of the table."""
    return NOTHING if result is None else measure.of(result)


def facts(run: Results) -> list[tuple[str, str]]:
    """Return what identifies a run, with its environment."""
    own = [
        ("command", run.command),
        ("started", run.started),
        ("took", seconds(run.took_s)),
        ("sse-sidecar", run.version),
        ("seed", str(run.seed)),
        ("quick", _yes_or_no(run.quick)),
        ("path", run.path.kind if run.path else "none: loopback"),
    ]
    return [*own, *run.environment.items()]


def pieces(run: Results) -> list[tuple[str, str]]:
    """Return what made each impairment: real or emulated."""
    return list(run.path.pieces.items()) if run.path else []


def load_facts(load: LoadResult) -> list[tuple[str, str]]:
    """Return the frame of a load: how many, how long, what it took."""
    return [
        ("users", count(load.users)),
        ("streams", count(load.streams)),
        ("eligible", count(load.eligible)),
        ("completed", count(load.completed)),
        ("reconnects", count(len(load.reconnects_s))),
        ("took", seconds(load.took_s)),
        ("seed", str(load.seed)),
        ("counted by people and by", load.counted_by),
        ("sidecar, memory", size(load.sidecar_rss_bytes)),
        ("sidecar, CPU time", seconds(load.sidecar_cpu_s)),
    ]


def breaches(result: ScenarioResult) -> list[str]:
    """Return the violated invariants: first sentences and a count each."""
    found: dict[str, list[str]] = {}
    for breach in result.breaches:
        found.setdefault(breach.rule, []).append(breach.sentence)
    lines = []
    for rule, sentences in found.items():
        lines += [f"{rule}: {sentence}" for sentence in sentences[:BREACHES_SHOWN]]
        if len(sentences) > BREACHES_SHOWN:
            lines.append(f"{rule}: the JSON has {len(sentences):,} such sentences.")
    return lines


def shown_row(shown: Shown) -> list[str]:
    """Return what a user was shown of a failure, for a table headed by SHOWN."""
    return [shown.failure, shown.state, shown.sentence, seconds(shown.after_s), _yes_or_no(shown.silent)]


def objective_row(objective: Objective) -> list[str]:
    """Return an objective's row for a table headed by OBJECTIVES."""
    name = objective.name
    counted = [quantity(name, value) for value in (objective.by_clients, objective.by_prometheus)]
    return [name, objective.asks, *counted, _yes_or_no(objective.held)]


def _yes_or_no(holds: bool) -> str:  # noqa: FBT001 - the fact itself
    return "yes" if holds else "no"
