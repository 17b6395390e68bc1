"""The storage of one stream: bounds, trimming and the budget."""

from typing import Any

import pytest

from sidecar.config.routes import RoutePolicy
from sidecar.observability.metrics import Metrics
from sidecar.streams.log_budget import LogBudget
from sidecar.streams.passthrough import RAW_BYTES_MAX
from sidecar.streams.storage import OVER_BUDGET_BYTES_MAX, StreamStorage

EVENT = b"data: x\n"
BUDGET_BYTES = 1024 * 1024


class Stored:
    """A storage with its budget; options are those of the route."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES, **options: Any) -> None:
        policy = RoutePolicy(**options)
        self.budget = LogBudget(budget_bytes, lambda _: False, lambda: None)
        self.storage = StreamStorage(policy, Metrics([policy.name], "0").route(policy.name), self.budget)

    def make_room(self, proven_seq: int | None) -> bool:
        """Make room for a reader whose client has the events up to a seq."""
        return self.storage.make_room(lambda: proven_seq)


def test_events_count_in_the_log_the_ledger_and_the_budget() -> None:
    held = Stored()
    held.storage.append([EVENT, EVENT])
    assert (held.storage.log.last_seq, held.storage.ledger.received) == (2, 2)
    assert held.budget.bytes_held == held.storage.log.bytes_held > 0


@pytest.mark.parametrize(("events", "high"), [(3, False), (4, True)])
def test_more_events_than_the_bound_are_high(events: int, high: bool) -> None:
    held = Stored(log_events_max=3)
    held.storage.append([EVENT] * events)
    assert held.storage.pressure.high is high


def test_more_bytes_than_the_bound_are_high() -> None:
    held = Stored(log_bytes_max=2 * len(EVENT))
    held.storage.append([EVENT, EVENT])
    at_bound = held.storage.pressure.high
    held.storage.append([EVENT])
    assert (at_bound, held.storage.pressure.high) == (False, True)


def test_bytes_above_the_budget_of_all_logs_are_high() -> None:
    held = Stored(budget_bytes=len(EVENT))
    held.storage.append([EVENT, EVENT])
    assert held.storage.pressure.high


@pytest.mark.parametrize(
    ("proven", "room", "first"), [(None, False, 1), (0, False, 1), (1, False, 2), (2, True, 3)]
)
def test_an_answer_keeps_what_a_client_may_lack(proven: int | None, room: bool, first: int) -> None:
    held = Stored(log_events_max=2)
    held.storage.append([EVENT] * 4)
    assert held.make_room(proven) is room
    assert held.storage.log.first_seq == first


def test_a_feed_drops_its_oldest_events_without_asking_readers() -> None:
    held = Stored(kind="live", log_events_max=2)
    held.storage.append([EVENT] * 4)

    def proven_seq() -> int:
        raise AssertionError

    assert held.storage.make_room(proven_seq)
    assert held.storage.log.first_seq == 3


def test_above_the_budget_a_log_shrinks_to_its_share() -> None:
    held = Stored(budget_bytes=OVER_BUDGET_BYTES_MAX, kind="live")
    held.storage.append([b"x" * 1024] * 100)
    assert held.budget.high
    assert held.make_room(None)
    assert held.storage.log.bytes_held <= OVER_BUDGET_BYTES_MAX
    assert held.budget.bytes_held == held.storage.log.bytes_held


def test_a_failure_is_not_a_message() -> None:
    held = Stored()
    held.storage.append([EVENT])
    held.storage.append_failure(b"event: error\n")
    assert (held.storage.ledger.sealed_seq, held.storage.log.last_seq) == (2, 2)
    assert held.storage.ledger.received == 1
    assert held.budget.bytes_held == held.storage.log.bytes_held


def test_unframed_bytes_have_a_bound_of_their_own() -> None:
    held = Stored()
    held.storage.append_raw(b"x" * RAW_BYTES_MAX)
    at_bound = held.make_room(None)
    held.storage.append_raw(b"x")
    assert (at_bound, held.make_room(None), held.storage.pressure.high) == (True, False, True)


def test_a_release_returns_every_byte() -> None:
    held = Stored()
    held.storage.append([EVENT] * 3)
    held.storage.trim(1, 1024, None)
    held.storage.release()
    assert held.budget.bytes_held == 0
