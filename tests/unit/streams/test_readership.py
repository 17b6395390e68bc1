"""Who left and who died: a goodbye counts for the connection that ends soon after it, or ended before."""

import pytest

from sidecar.observability.labels import Outcome
from sidecar.streams.readership import GOODBYE_S, Readership
from tests.kit.held import Reader


def broken(readership: Readership, reader: Reader, now: float) -> Outcome:
    """Let a connection break; return what it means if nobody comes back."""
    readership.leave(reader, now, cleanly=False, done=False)
    return readership.outcome


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
    readership, reader = Readership(100.0, endless=False), Reader(0)
    readership.join(reader)
    readership.goodbye(200.0)
    assert broken(readership, reader, 200.0 + after_s) is outcome


def test_a_goodbye_may_come_after_the_connection_has_broken() -> None:
    readership, reader = Readership(100.0, endless=False), Reader(0)
    readership.join(reader)
    assert broken(readership, reader, 150.0) is Outcome.CLIENT_ABANDONED
    readership.goodbye(151.0)
    assert readership.outcome is Outcome.CLIENT_LEFT


def test_a_goodbye_is_forgotten_when_its_client_is_back_and_breaks_again() -> None:
    readership, first, second = Readership(100.0, endless=False), Reader(0), Reader(1)
    readership.join(first)
    broken(readership, first, 150.0)
    readership.goodbye(151.0)
    readership.join(second)
    assert broken(readership, second, 152.0) is Outcome.CLIENT_ABANDONED


def test_without_a_goodbye_a_connection_that_breaks_has_died() -> None:
    readership, reader = Readership(100.0, endless=False), Reader(0)
    readership.join(reader)
    assert broken(readership, reader, 100.0) is Outcome.CLIENT_ABANDONED
