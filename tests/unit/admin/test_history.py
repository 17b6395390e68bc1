"""The last hour of the key numbers is bounded, read from the metrics themselves, and cheap."""

import random
import tracemalloc

import pytest

from sidecar.admin.history import READING_AGE_S_MAX, SAMPLE_S, SAMPLES_MAX, History
from sidecar.admin.key_numbers import Counts, quantile, told
from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability.labels import (
    DuplicateDisposition,
    DuplicateStage,
    LossReason,
    Outcome,
    ReconnectEnd,
    Side,
    SilentDisposition,
    SilentKind,
    StallEnd,
    UnprovenReason,
)
from sidecar.observability.metrics import Metrics

ROUTES = ("chat", "feed", CANARY_ROUTE)
GROWTH_BYTES_MAX = 64 * 1024
"""What an hour of readings may leave: CPython keeps some tuples for later. Each reading is half a KiB."""


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


def count_one_of_each(metrics: Metrics, route: str) -> None:
    numbers = metrics.route(route)
    numbers.streams_finished[Outcome.COMPLETED].inc()
    numbers.streams_finished[Outcome.UPSTREAM_ERROR].inc()
    numbers.streams_finished[Outcome.CLIENT_LEFT].inc()
    numbers.messages_lost[LossReason.WINDOW].inc(3)
    numbers.continuity_unproven[UnprovenReason.ENCODED].inc()
    numbers.messages_delivered += 7
    numbers.messages_acknowledged += 6
    numbers.messages_confirmed += 5
    numbers.messages_duplicated[DuplicateStage.UPSTREAM, DuplicateDisposition.DELIVERED] += 1
    numbers.messages_duplicated[DuplicateStage.CLIENT, DuplicateDisposition.DELIVERED] += 1
    numbers.messages_duplicated[DuplicateStage.UPSTREAM, DuplicateDisposition.SUPPRESSED] += 4
    numbers.silent_failures[SilentKind.HUNG, SilentDisposition.LEAKED].inc()
    numbers.silent_failures[SilentKind.EMPTY, SilentDisposition.SURFACED].inc(2)
    numbers.reconnect_duration_seconds[Side.CLIENT, ReconnectEnd.RESUMED].observe(5.0)
    numbers.reconnect_duration_seconds[Side.UPSTREAM, ReconnectEnd.RESUMED].observe(5.1)
    numbers.reconnect_duration_seconds[Side.CLIENT, ReconnectEnd.GAVE_UP].observe(1.0)
    numbers.stall_detection_seconds.observe(30)
    numbers.stall_recovery_seconds[StallEnd.RECOVERED].observe(2)


def test_what_is_counted_is_what_the_metrics_say_of_all_users_routes() -> None:
    metrics, clock = Metrics(ROUTES, "1"), Clock()
    for route in ROUTES:
        count_one_of_each(metrics, route)
    now = told(History(metrics, clock).latest().counts)
    assert now["completion"] == {"eligible": 4, "bad": 2, "ratio": 0.5, "met": False}
    assert now["lost"] == {
        "lost": 6,
        "delivered": 14,
        "acknowledged": 12,
        "confirmed": 10,
        "unproven": 2,
        "met": False,
    }
    assert now["duplicates"] == {"repeated": 4, "suppressed": 8, "delivered": 14, "met": False}
    assert now["silent"] == {"leaked": 2, "surfaced": 4, "finished": 6, "met": False}
    assert {name: now["stalls"][name] for name in ("declared", "recovered", "failed", "false_alarm")} == {
        "declared": 2,
        "recovered": 2,
        "failed": 0,
        "false_alarm": 0,
    }


def test_a_reconnect_of_exactly_five_seconds_is_in_time_and_one_given_up_never_is() -> None:
    metrics = Metrics(ROUTES, "1")
    count_one_of_each(metrics, "chat")
    reconnect = told(History(metrics, Clock()).latest().counts)["reconnect"]
    assert (reconnect["count"], reconnect["slow"], reconnect["gave_up"]) == (3, 2, 1)
    assert reconnect["ratio"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("bad", "met"), [(0, True), (5, True), (6, False)])
def test_completion_is_met_down_to_its_objective(bad: int, met: bool) -> None:
    assert told(Counts(completed=1000 - bad, bad=bad))["completion"]["met"] is met


def test_without_traffic_nothing_is_claimed() -> None:
    assert {name: number["met"] for name, number in told(Counts()).items()} == dict.fromkeys(
        ("completion", "reconnect", "lost", "duplicates", "silent", "stalls")
    )


def test_after_an_hour_the_oldest_reading_goes_and_no_more_are_kept() -> None:
    metrics, clock = Metrics(ROUTES, "1"), Clock()
    history = History(metrics, clock)
    for number in range(1, SAMPLES_MAX + 10):
        clock.now += SAMPLE_S
        metrics.route("chat").messages_delivered = 2 * number
        assert history.visit(clock.now) == clock.now + SAMPLE_S
        assert len(history.samples) == len([*history.samples.newer_than(-1)]) == min(number + 1, SAMPLES_MAX)
    assert history.samples[-1].at_s - history.samples[0].at_s == 3600
    read = [(one.number, one.at_s, one.counts.delivered) for one in history.samples.newer_than(-1)]
    assert read == [(n, n * SAMPLE_S, 2 * n) for n in range(10, SAMPLES_MAX + 10)][-SAMPLES_MAX:]
    newest = history.samples[-1].number
    assert [one.number for one in history.samples.newer_than(newest - 2)] == [newest - 1, newest]
    assert [*history.samples.newer_than(newest)] == [*history.samples.newer_than(10**9)] == []
    for beyond in (SAMPLES_MAX, -SAMPLES_MAX - 1):
        with pytest.raises(IndexError):
            history.samples[beyond]


def test_an_hour_of_readings_needs_no_more_memory_than_the_first() -> None:
    history = History(Metrics(ROUTES, "1"), Clock())
    tracemalloc.start()
    try:
        history.visit(0)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(SAMPLES_MAX):
            history.visit(0)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < GROWTH_BYTES_MAX


def test_readings_are_shared_for_a_second() -> None:
    metrics, clock = Metrics(ROUTES, "1"), Clock()
    history = History(metrics, clock)
    metrics.route("chat").messages_delivered += 1
    clock.now += READING_AGE_S_MAX / 2
    assert history.latest().counts.delivered == 0
    clock.now += READING_AGE_S_MAX / 2
    assert history.latest().counts.delivered == 1


def test_a_quantile_is_interpolated_within_its_bucket() -> None:
    assert quantile(0.95, (1, 2, 4), (0, 10, 10, 0)) == (3.8, False)
    assert quantile(0.95, (1, 2, 4), (20, 0, 0, 0)) == (0.95, False)


def test_a_quantile_above_all_bounds_is_told_as_such() -> None:
    assert quantile(0.95, (1, 2), (1, 1, 2)) == (2, True)


def test_a_quantile_of_nothing_is_none() -> None:
    assert quantile(0.95, (1, 2), (0, 0, 0)) is None


def test_the_buckets_are_those_of_the_histogram_whatever_was_observed() -> None:
    seed = random.SystemRandom().randrange(10**9)
    chance = random.Random(seed)
    metrics = Metrics(ROUTES, "1")
    seconds = [chance.expovariate(0.2) for _ in range(500)]
    for value in seconds:
        metrics.route("chat").reconnect_duration_seconds[Side.CLIENT, ReconnectEnd.RESUMED].observe(value)
    reconnect = told(History(metrics, Clock()).latest().counts)["reconnect"]
    assert reconnect["slow"] == sum(value > 5 for value in seconds), f"seed {seed}"
