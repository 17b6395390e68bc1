"""The timeline of one user's stream, in s from its first request."""

from collections.abc import Iterator

from sidecar.faultnet.path import FINE, Weather
from sidecar.verify.person import Person
from sidecar.verify.results import Band, Mark, Timeline
from sidecar.verify.stage import Played
from sidecar.verify.wire import RecordedConnection

MARKS_MAX = 1_000
CUT_SHOWN_S = 0.1
"""A cut takes no time; it is shown for so long."""


def timeline(played: Played) -> Timeline:
    """Return the timeline of the first person of a part."""
    person = played.readers[0].person
    start = person.connections[0].asked_at_s if person.connections else played.started_at_s
    marks = sorted(_marks(person), key=lambda mark: mark.at_s)[:MARKS_MAX]
    shifted = [Mark(at_s=_after(mark.at_s, start), kind=mark.kind, what=mark.what) for mark in marks]
    bands = [
        Band(from_s=_after(b.from_s, start), to_s=_after(b.to_s, start), what=b.what) for b in _bands(played)
    ]
    return Timeline(marks=shifted, bands=bands)


def _after(at_s: float, start: float) -> float:
    return round(max(0.0, at_s - start), 3)


def _marks(person: Person) -> Iterator[Mark]:
    for connection in person.connections:
        yield from _connection(connection)
    for handed in person.handed:
        yield Mark(at_s=handed.at_s, kind="event", what=handed.event.type)
    for at_s, idle_s in person.heartbeats:
        yield Mark(at_s=at_s, kind="heartbeat", what=f"backend silent for {idle_s} s")
    for seen in person.seen:
        yield Mark(at_s=seen.at_s, kind="state", what=f"{seen.state}: {seen.sentence}")
    for at_s, gap in person.gaps:
        yield Mark(at_s=at_s, kind="gap", what=f"{gap.missed_from} to {gap.missed_through}: {gap.reason}")


def _connection(connection: RecordedConnection) -> Iterator[Mark]:
    yield Mark(
        at_s=connection.asked_at_s, kind="asked", what=connection.after and f"after {connection.after}"
    )
    if connection.answered_at_s is not None:
        yield Mark(at_s=connection.answered_at_s, kind="answered", what=str(connection.status))
    if connection.over_at_s is not None:
        kind = "lost" if connection.ended == "lost" else "end"
        yield Mark(at_s=connection.over_at_s, kind=kind, what=connection.detail)  # type: ignore[arg-type]


def _bands(played: Played) -> Iterator[Band]:
    """Yield what was wrong with the way, each from when to when."""
    since, weather, name = played.started_at_s, played.part.weather, played.part.name
    for at_s, turn in played.happened:
        if not isinstance(turn.does, Weather):
            lasts_s = played.ended_at_s - at_s if turn.does == "hand_off" else CUT_SHOWN_S
            yield Band(from_s=at_s, to_s=at_s + lasts_s, what=turn.what)
            continue
        if weather != FINE:
            yield Band(from_s=since, to_s=at_s, what=name)
        since, weather, name = at_s, turn.does, turn.what
    if weather != FINE:
        yield Band(from_s=since, to_s=played.ended_at_s, what=name)
