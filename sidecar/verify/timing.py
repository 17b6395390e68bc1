"""Times from the users' records: reconnects, silences, waits, in s."""

from collections.abc import Iterator
from itertools import pairwise

from sidecar.client import State
from sidecar.sse import event_id
from sidecar.verify.person import Person
from sidecar.verify.wire import RecordedConnection

DELAYS_S = (1.0, 2.0, 4.0, 5.0)
"""The waits that are promised, written down here once more: the code under test is not asked for them."""

JITTER = 0.1
EARLY_S = 0.05
LATE_S = 1.5
"""How much a wait may be off on a machine that has other things to do."""


def reconnects_s(person: Person) -> list[float]:
    """Return the time from each loss to the next response's first byte."""
    found: list[float] = []
    lost_at_s: float | None = None
    for connection in person.connections:
        if lost_at_s is not None and connection.first_byte_at_s is not None:
            found.append(connection.first_byte_at_s - lost_at_s)
            lost_at_s = None
        if lost_at_s is None:
            lost_at_s = connection.over_at_s
    return found


def gave_up(person: Person) -> bool:
    """Return whether a connection was lost without a later success."""
    last = person.connections[-1] if person.connections else None
    return len(person.connections) > 1 and last is not None and last.first_byte_at_s is None


def pauses_s(person: Person) -> list[float]:
    """Return the waits between a connection's end and the next request."""
    pairs = pairwise(person.connections)
    return [after.asked_at_s - before.over_at_s for before, after in pairs if before.over_at_s is not None]


def silences_s(person: Person) -> Iterator[tuple[float, float | None]]:
    """Yield the detection of each silence, and the time to messages.

    A silence of the path is noticed when the client says so; one of the backend when a heartbeat does.
    """
    heard = [each.last_byte_at_s for each in person.connections if each.last_byte_at_s is not None]
    noticed = 0.0
    for seen in person.seen:
        before = max((at_s for at_s in heard if at_s <= seen.at_s), default=seen.at_s)
        if seen.state is State.STALLED and before > noticed:
            noticed = before
            yield seen.at_s - before, _next_message(person, seen.at_s)
    yield from _backend_silences(person)


def _backend_silences(person: Person) -> Iterator[tuple[float, float | None]]:
    told = 0.0
    for at_s, idle_s in person.heartbeats:
        last = max((handed.at_s for handed in person.handed if handed.at_s <= at_s), default=at_s)
        if idle_s >= 1 and last > told:
            told = last
            yield at_s - last, _next_message(person, at_s)


def _next_message(person: Person, after_s: float) -> float | None:
    return next((handed.at_s - after_s for handed in person.handed if handed.at_s > after_s), None)


def wrong_waits(person: Person) -> Iterator[str]:
    """Yield a sentence for each wait other than 1, 2, 4, 5, 5 s (+10 %).

    A stream's own ``retry`` (WHATWG HTML section 9.2.6) replaces the first wait. The others are at least as
    long.
    """
    attempt, retry_s = 0, None
    for before, after in pairwise(person.connections):
        attempt = 0 if _brought_message(before) else attempt
        retry_s = _retry_s(before) or retry_s
        least = DELAYS_S[min(attempt, len(DELAYS_S) - 1)]
        if retry_s is not None:
            least = retry_s if attempt == 0 else max(least, retry_s)
        waited = after.asked_at_s - (before.over_at_s or after.asked_at_s)
        if not least - EARLY_S <= waited <= least * (1 + JITTER) + LATE_S:
            yield f"{person.name} waited {waited:.2f} s where {least:g} s and up to 10 % more are promised."
        attempt += 1


def failures_in_row(person: Person) -> int:
    """Return the longest run of waits without a message between them."""
    longest = row = 0
    for before in list(person.connections)[:-1]:
        row = 1 if _brought_message(before) else row + 1
        longest = max(longest, row)
    return longest


def _brought_message(connection: RecordedConnection) -> bool:
    """Tell whether a connection brought a message that was new to its client."""
    asked = event_id.parse(connection.after)
    for block in connection.blocks:
        own = event_id.parse(block.value("id") or "")
        repeated = own is not None and asked is not None and own.seq <= asked.seq
        if block.data is not None and not repeated and not (block.value("event") or "").startswith("sse-"):
            return True
    return False


def _retry_s(connection: RecordedConnection) -> float | None:
    said = [value for block in connection.blocks if (value := block.value("retry"))]
    return int(said[-1]) / 1000 if said and said[-1].isdigit() else None
