"""The last hour of the key numbers: samples of the counters."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add

from prometheus_client import Counter, Gauge, Histogram

from sidecar.admin.key_numbers import Counts
from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability.labels import (
    DuplicateDisposition,
    DuplicateStage,
    Outcome,
    ReconnectEnd,
    SilentDisposition,
    StallEnd,
)
from sidecar.observability.metrics import Metrics
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.observability.slo import NOT_ELIGIBLE

SAMPLE_S = 15.0
HOUR_S = 3600.0
GOOD_OR_NOT_ELIGIBLE = frozenset({Outcome.COMPLETED, *NOT_ELIGIBLE})
SAMPLES_MAX = int(HOUR_S / SAMPLE_S) + 1
"""Readings kept: an hour between the oldest and the newest."""

READING_AGE_S_MAX = 1.0
"""How long one reading serves everybody who asks: it costs about a millisecond per route."""


@dataclass(frozen=True, slots=True)
class KeyNumberSample:
    """One sample: its number, its time in s since the start, its counts."""

    number: int
    at_s: float
    counts: Counts


class Readings:
    """The newest SAMPLES_MAX samples, in memory allocated at the start."""

    WIDTH = 2 + len(Counts().numbers())
    """Numbers of one reading."""

    def __init__(self) -> None:
        self._ring = array("d", [0.0]) * (SAMPLES_MAX * self.WIDTH)
        self._kept = 0
        self._next = 0

    def __len__(self) -> int:
        return self._kept

    def __getitem__(self, index: int) -> KeyNumberSample:
        """Return a sample by its age: 0 the oldest, -1 the newest.

        Raises IndexError.
        """
        if not -self._kept <= index < self._kept:
            raise IndexError(index)
        begin = (self._next + (index if index < 0 else index - self._kept)) % SAMPLES_MAX * self.WIDTH
        number, at_s, *counts = self._ring[begin : begin + self.WIDTH].tolist()
        return KeyNumberSample(int(number), at_s, Counts.of(counts))

    def newer_than(self, number: int) -> Iterator[KeyNumberSample]:
        """Yield the samples after a number, oldest first."""
        seen = max(0, number + 1 - self[0].number) if self._kept else 0
        return map(self.__getitem__, range(seen, self._kept))

    def append(self, sample: KeyNumberSample) -> None:
        """Keep a reading, in the place of the oldest if all places are taken."""
        begin = self._next * self.WIDTH
        numbers = array("d", (sample.number, sample.at_s, *sample.counts.numbers()))
        self._ring[begin : begin + self.WIDTH] = numbers
        self._kept = min(self._kept + 1, SAMPLES_MAX)
        self._next = (self._next + 1) % SAMPLES_MAX


class History:
    """Sample every route but the canary's.

    ``clock`` is the event loop's, in seconds. The timer wheel visits this object.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self.wheel_slot: int | None = None
        self._routes = [numbers for name, numbers in metrics.routes.items() if name != CANARY_ROUTE]
        self._clock = clock
        self._started_at = clock()
        self._newest = KeyNumberSample(0, 0.0, self._read())
        self.samples = Readings()
        self.samples.append(self._newest)

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started_at

    def visit(self, now: float) -> float:
        """See sidecar.wheel.Visited: keep a reading every SAMPLE_S."""
        self.samples.append(KeyNumberSample(self.samples[-1].number + 1, self.uptime_s, self._read()))
        return now + SAMPLE_S

    def latest(self) -> KeyNumberSample:
        """Return the counts of this moment, or of READING_AGE_S_MAX ago at most."""
        if self.uptime_s - self._newest.at_s >= READING_AGE_S_MAX:
            self._newest = KeyNumberSample(self.samples[-1].number + 1, self.uptime_s, self._read())
        return self._newest

    def _read(self) -> Counts:
        return reduce(add, map(counts_of, self._routes), Counts())


def counts_of(route: RouteMetrics) -> Counts:
    """Read the counters of one route.

    Tuples are made of lists here, not of iterators: CPython would keep 2,000 of each size for later.
    """
    finished = {outcome: value_of(counter) for outcome, counter in route.streams_finished.items()}
    resumed = _total(
        seconds
        for (_, end), seconds in route.reconnect_duration_seconds.items()
        if end is ReconnectEnd.RESUMED
    )
    gave_up = _total(
        seconds
        for (_, end), seconds in route.reconnect_duration_seconds.items()
        if end is ReconnectEnd.GAVE_UP
    )
    recovery = {end: _buckets(seconds) for end, seconds in route.stall_recovery_seconds.items()}
    silent = {
        disposition: sum(
            value_of(counter) for (_, told), counter in route.silent_failures.items() if told is disposition
        )
        for disposition in SilentDisposition
    }
    return Counts(
        completed=finished[Outcome.COMPLETED],
        bad=sum(count for outcome, count in finished.items() if outcome not in GOOD_OR_NOT_ELIGIBLE),
        finished=sum(finished.values()),
        gave_up=sum(gave_up),
        lost=sum(map(value_of, route.messages_lost.values())),
        unproven=sum(map(value_of, route.continuity_unproven.values())),
        delivered=route.messages_delivered,
        acknowledged=route.messages_acknowledged,
        confirmed=route.messages_confirmed,
        repeated=route.messages_duplicated[DuplicateStage.UPSTREAM, DuplicateDisposition.DELIVERED]
        + route.messages_duplicated[DuplicateStage.CLIENT, DuplicateDisposition.DELIVERED],
        suppressed=route.messages_duplicated[DuplicateStage.UPSTREAM, DuplicateDisposition.SUPPRESSED]
        + route.messages_duplicated[DuplicateStage.CLIENT, DuplicateDisposition.SUPPRESSED],
        leaked=silent[SilentDisposition.LEAKED],
        surfaced=silent[SilentDisposition.SURFACED],
        failed=sum(recovery[StallEnd.FAILED]),
        false_alarm=sum(recovery[StallEnd.FALSE_ALARM]),
        resumed=resumed,
        reconnects=(*map(add, resumed, gave_up),),
        detection=_buckets(route.stall_detection_seconds),
        recovery=recovery[StallEnd.RECOVERED],
    )


def value_of(metric: Counter | Gauge) -> float:
    """Return the value of a metric, or of one of its series."""
    return sum(sample.value for family in metric.collect() for sample in family.samples)


def _buckets(histogram: Histogram) -> tuple[float, ...]:
    """Return the count of each bucket, from the cumulative counts."""
    (family,) = histogram.collect()
    through = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
    return tuple([upper - lower for lower, upper in pairwise([0.0, *through])])


def _total(histograms: Iterable[Histogram]) -> tuple[float, ...]:
    return (*map(sum, zip(*map(_buckets, histograms), strict=True)),)
