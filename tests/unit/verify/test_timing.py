"""How long things took, from the record of one user; all times are literal seconds."""

import re

import pytest

from sidecar.client import Event, State
from sidecar.verify import timing
from sidecar.verify.person import Handed, Person, ShownState, UserRequest
from sidecar.verify.wire import Ended, ReceivedBlock, RecordedConnection

MESSAGE = ("data: x",)


def connection(
    asked: float, first: float | None, over: float | None, *blocks: tuple[str, ...], ended: Ended = "lost"
) -> RecordedConnection:
    made = RecordedConnection("GET", "http://a/", "", asked)
    made.first_byte_at_s = made.last_byte_at_s = first
    made.blocks.extend(ReceivedBlock(first or asked, lines) for lines in blocks)
    made.ended, made.over_at_s = (ended, over) if over is not None else ("open", None)
    return made


def person(*connections: RecordedConnection) -> Person:
    made = Person("a", UserRequest(url="http://a/"), stall_s=3, seed=0)
    made.connections.extend(connections)
    return made


def test_a_reconnect_lasts_from_the_loss_to_the_first_byte_however_many_attempts_it_takes() -> None:
    who = person(
        connection(0, 0.1, 5.0, MESSAGE),
        connection(6.0, None, 6.1),
        connection(8.1, 8.5, 10.0, MESSAGE),
        connection(11.0, 11.2, None),
    )
    assert timing.reconnects_s(who) == pytest.approx([3.5, 1.2])
    assert timing.pauses_s(who) == pytest.approx([1.0, 2.0, 1.0])
    assert not timing.gave_up(who)


def test_who_asks_in_vain_at_the_end_has_given_up() -> None:
    assert timing.gave_up(person(connection(0, 0.1, 5.0), connection(6.0, None, 7.0)))
    assert not timing.gave_up(person(connection(0, None, 5.0)))


def in_vain(*waits: float) -> Person:
    """Return somebody who had a message, and then waited so long before each attempt that failed at once."""
    found, now = [connection(0, 0.5, 1.0, MESSAGE)], 1.0
    for wait in waits:
        now += wait
        found.append(connection(now, None, now))
    return person(*found)


def test_the_promised_waits_are_right_with_their_jitter() -> None:
    who = in_vain(1.0, 2.2, 4.1, 5.5, 5.0)
    assert list(timing.wrong_waits(who)) == []
    assert timing.failures_in_row(who) == 5


@pytest.mark.parametrize("waits", [(0.5,), (1.0, 1.0), (1.0, 2.0, 4.0, 4.0), (3.0,), (1.0, 2.0, 4.0, 8.0)])
def test_a_wait_that_is_too_short_or_too_long_is_wrong(waits: tuple[float, ...]) -> None:
    assert len(list(timing.wrong_waits(in_vain(*waits)))) == 1


def test_the_waits_begin_anew_after_a_message() -> None:
    who = person(
        connection(0, 0.1, 1.0, MESSAGE), connection(2.0, 2.1, 3.0, MESSAGE), connection(4.0, 4.1, None)
    )
    assert list(timing.wrong_waits(who)) == []
    assert timing.failures_in_row(who) == 1


def test_a_stream_that_asks_for_a_longer_wait_gets_it() -> None:
    slow = ("retry: 4000", "data: x")
    right = person(connection(0, 0.1, 1.0, slow), connection(5.1, 5.2, None))
    hasty = person(connection(0, 0.1, 1.0, slow), connection(2.0, 2.2, None))
    assert list(timing.wrong_waits(right)) == []
    (wrong,) = timing.wrong_waits(hasty)
    assert re.findall(r"\d+(?:\.\d+)?", wrong) == ["1.00", "4", "10"]


def test_a_silence_counts_from_the_last_byte_to_the_notice_and_from_there_to_the_next_message() -> None:
    who = person(connection(0, 2.0, 5.0, MESSAGE, ended="left"), connection(6.0, 6.2, None, MESSAGE))
    who.seen.append(ShownState(5.0, State.STALLED, "Nothing has arrived for 3 seconds."))
    who.seen.append(ShownState(5.5, State.STALLED, "Nothing has arrived for 3 seconds."))
    who.handed.append(Handed(6.25, Event("message", "x")))
    assert list(timing.silences_s(who)) == [(3.0, 1.25)]


def test_a_silent_backend_is_noticed_by_the_heartbeat_that_says_so() -> None:
    who = person(connection(0, 0.1, None, MESSAGE))
    who.handed += [Handed(1.0, Event("message", "x")), Handed(5.0, Event("message", "y"))]
    who.heartbeats += [(1.5, 0), (2.5, 1), (3.5, 2)]
    assert list(timing.silences_s(who)) == [(1.5, 2.5)]
