"""The six key numbers and their objectives."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from operator import add, sub
from typing import Any

from sidecar.observability.catalogue import RECONNECT_BUCKETS, STALL_BUCKETS
from sidecar.observability.slo import SLO

WITHIN_OBJECTIVE = RECONNECT_BUCKETS.index(SLO.reconnect_s) + 1
"""Buckets of the reconnect histogram that lie within the objective; its edge is one of theirs."""

QUANTILE = 0.95

Told = dict[str, float | bool | None]


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of one moment over all users' routes.

    Not twenty fields: CPython 3.11 keeps 2,000 of the tuples of twenty arguments, and uses none again.
    """

    completed: float = 0
    bad: float = 0
    finished: float = 0
    gave_up: float = 0
    lost: float = 0
    unproven: float = 0
    delivered: float = 0
    acknowledged: float = 0
    confirmed: float = 0
    repeated: float = 0
    suppressed: float = 0
    leaked: float = 0
    surfaced: float = 0
    failed: float = 0
    false_alarm: float = 0
    resumed: tuple[float, ...] = (0,) * (len(RECONNECT_BUCKETS) + 1)
    reconnects: tuple[float, ...] = (0,) * (len(RECONNECT_BUCKETS) + 1)
    detection: tuple[float, ...] = (0,) * (len(STALL_BUCKETS) + 1)
    recovery: tuple[float, ...] = (0,) * (len(STALL_BUCKETS) + 1)

    def __sub__(self, before: "Counts") -> "Counts":
        """Return what was counted since ``before``."""
        return Counts.of([*map(sub, self.numbers(), before.numbers())])

    def __add__(self, other: "Counts") -> "Counts":
        return Counts.of([*map(add, self.numbers(), other.numbers())])

    def numbers(self) -> list[float]:
        """Return every count in field order, histograms by bucket."""
        found: list[float] = []
        for name, place in LAYOUT.items():
            value = getattr(self, name)
            if isinstance(place, slice):
                found += value
            else:
                found.append(value)
        return found

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Counts":
        """Return the counts of which these are the numbers."""
        places = LAYOUT.values()
        values: list[Any] = [numbers[at] if isinstance(at, int) else tuple(numbers[at]) for at in places]
        return cls(*values)

    @property
    def eligible(self) -> float:
        """Streams that the completion objective counts."""
        return self.completed + self.bad

    @property
    def recovered(self) -> float:
        """Stalls behind which messages came again."""
        return sum(self.recovery)

    @property
    def slow(self) -> float:
        """Reconnects that took longer than the objective allows, or were given up."""
        return sum(self.reconnects) - sum(self.resumed[:WITHIN_OBJECTIVE])

    @property
    def declared(self) -> float:
        """Stalls that were declared."""
        return sum(self.detection)


def _layout() -> dict[str, int | slice]:
    layout: dict[str, int | slice] = {}
    nothing, end = Counts(), 0
    for each in fields(Counts):
        value = getattr(nothing, each.name)
        width = len(value) if isinstance(value, tuple) else 1
        layout[each.name] = slice(end, end + width) if isinstance(value, tuple) else end
        end += width
    return layout


LAYOUT = _layout()
"""Where each count stands among its reading's numbers; a histogram's take a slice."""


def told(counts: Counts) -> dict[str, Told]:
    """Return the six numbers.

    ``met`` is whether a number meets its objective, or None without data.
    """
    return {
        "completion": _completion(counts),
        "reconnect": _reconnect(counts),
        "lost": {
            "lost": counts.lost,
            "delivered": counts.delivered,
            "acknowledged": counts.acknowledged,
            "confirmed": counts.confirmed,
            "unproven": counts.unproven,
            "met": _none_of(counts.lost, counts.delivered),
        },
        "duplicates": {
            "repeated": counts.repeated,
            "suppressed": counts.suppressed,
            "delivered": counts.delivered,
            "met": _none_of(counts.repeated, counts.delivered),
        },
        "silent": {
            "leaked": counts.leaked,
            "surfaced": counts.surfaced,
            "finished": counts.finished,
            "met": _none_of(counts.leaked, counts.finished),
        },
        "stalls": _stalls(counts),
    }


def quantile(share: float, bounds: Sequence[float], counts: Sequence[float]) -> tuple[float, bool] | None:
    """Return a quantile, as PromQL's histogram_quantile does.

    ``counts`` are per bucket; the last one is above all bounds. The second value is whether the quantile is
    in that bucket, so that the first value is its lower bound. None: there are no observations.
    """
    every = sum(counts)
    if not every:
        return None
    rank = share * every
    lower = seen = 0.0
    for bound, count, through in zip(bounds, counts, accumulate(counts), strict=False):
        if through >= rank:
            return lower + (bound - lower) * (rank - seen) / count, False
        lower, seen = bound, through
    return bounds[-1], True


def _completion(counts: Counts) -> Told:
    ratio = _share(counts.completed, counts.eligible)
    return {
        "eligible": counts.eligible,
        "bad": counts.bad,
        "ratio": ratio,
        "met": None if ratio is None else ratio >= SLO.completion_objective,
    }


def _reconnect(counts: Counts) -> Told:
    every = sum(counts.reconnects)
    ratio = _share(every - counts.slow, every)
    return {
        "count": every,
        "slow": counts.slow,
        "gave_up": counts.gave_up,
        "ratio": ratio,
        **_p95("p95", RECONNECT_BUCKETS, counts.reconnects),
        "met": None if ratio is None else ratio >= SLO.reconnect_objective,
    }


def _stalls(counts: Counts) -> Told:
    return {
        "declared": counts.declared,
        "recovered": counts.recovered,
        "failed": counts.failed,
        "false_alarm": counts.false_alarm,
        **_p95("detection_p95", STALL_BUCKETS, counts.detection),
        **_p95("recovery_p95", STALL_BUCKETS, counts.recovery),
        "met": None,
    }


def _p95(name: str, bounds: Sequence[float], counts: Sequence[float]) -> Told:
    value, beyond = quantile(QUANTILE, bounds, counts) or (None, False)
    return {f"{name}_s": value, f"{name}_beyond": beyond}


def _share(good: float, every: float) -> float | None:
    return good / every if every else None


def _none_of(bad: float, every: float) -> bool | None:
    """Return whether none was bad, or None if there was none at all."""
    return not bad if bad or every else None
