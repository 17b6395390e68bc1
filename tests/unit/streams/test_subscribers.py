"""Who left and who died: a goodbye counts for the connection that ends soon after it, or ended before."""

import pytest

from sidecar.observability.labels import Outcome
from sidecar.streams.subscribers import GOODBYE_S, Subscribers
from tests.kit.held import HeldReader


def broken(subscribers: Subscribers, reader: HeldReader, now: float) -> Outcome:
    """Let a connection break; return what it means if nobody comes back."""
    subscribers.leave(reader, now, cleanly=False, done=False)
    return subscribers.outcome


@pytest.mark.parametrize(
    ("after_s", "outcome"),
    [
        (0.0, Outcome.CLIENT_LEFT),
        (GOODBYE_S - 0.01, Outcome.CLIENT_LEFT),
        (GOODBYE_S, Outcome.CLIENT_ABANDONED),
        (3600.0, Outcome.CLIENT_ABANDONED),
    ],
)
def test_a_goodbye_is_meant_for_a_connection_that_ends_soon(after_s: float, outcome: Outcome) -> None:
    subscribers, reader = Subscribers(100.0, endless=False), HeldReader(0)
    subscribers.join(reader)
    subscribers.goodbye(200.0)
    assert broken(subscribers, reader, 200.0 + after_s) is outcome


def test_a_goodbye_may_come_after_the_connection_has_broken() -> None:
    subscribers, reader = Subscribers(100.0, endless=False), HeldReader(0)
    subscribers.join(reader)
    assert broken(subscribers, reader, 150.0) is Outcome.CLIENT_ABANDONED
    subscribers.goodbye(151.0)
    assert subscribers.outcome is Outcome.CLIENT_LEFT


def test_a_goodbye_is_forgotten_when_its_client_is_back_and_breaks_again() -> None:
    subscribers, first, second = Subscribers(100.0, endless=False), HeldReader(0), HeldReader(1)
    subscribers.join(first)
    broken(subscribers, first, 150.0)
    subscribers.goodbye(151.0)
    subscribers.join(second)
    assert broken(subscribers, second, 152.0) is Outcome.CLIENT_ABANDONED


def test_without_a_goodbye_a_connection_that_breaks_has_died() -> None:
    subscribers, reader = Subscribers(100.0, endless=False), HeldReader(0)
    subscribers.join(reader)
    assert broken(subscribers, reader, 100.0) is Outcome.CLIENT_ABANDONED
