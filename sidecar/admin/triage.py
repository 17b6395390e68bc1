"""The order of streams by urgency: failing, failed, at risk."""

from collections.abc import Callable, Iterable
from enum import IntEnum
from heapq import nsmallest

from sidecar.admin.snapshot import lag_of
from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability.labels import Outcome
from sidecar.observability.slo import NOT_ELIGIBLE
from sidecar.streams.states import Audience, StreamState
from sidecar.streams.stream import Stream

ENDED = frozenset({StreamState.ENDED, StreamState.EXPIRED})
HARMLESS = frozenset({None, Outcome.COMPLETED, *NOT_ELIGIBLE})

Wanted = Callable[[Stream], bool]

SHOWN: dict[str, Wanted] = {
    "live": lambda stream: stream.state not in ENDED,
    "failed": lambda stream: stream.outcome not in HARMLESS,
    "all": lambda _stream: True,
}
"""Selections that are no state of the lifecycle."""


class Rank(IntEnum):
    """How urgent a stream is; the lowest comes first."""

    STALLED = 0
    RECONNECTING = 1
    FAILED = 2
    BEHIND = 3
    DETACHED = 4
    RUNNING = 5
    OVER = 6


def wanted(shown: str, route: str | None) -> Wanted:
    """Return the test of a selection: one of SHOWN, or a StreamState.

    Only a selection that names its route includes the canary.
    """
    by_state = SHOWN.get(shown) or (lambda stream: stream.state == shown)
    if route is None:
        return lambda stream: stream.policy.name != CANARY_ROUTE and by_state(stream)
    return lambda stream: stream.policy.name == route and by_state(stream)


def worst(streams: Iterable[Stream], count: int) -> list[Stream]:
    """Return the most urgent streams."""
    return nsmallest(count, streams, key=urgency)


def urgency(stream: Stream) -> tuple[Rank, float]:
    """Return the sort key of a stream: its rank, then its progress."""
    silent_s = stream.clock() - stream.last_byte_at
    if stream.state is StreamState.STALLED:
        return Rank.STALLED, -silent_s
    if stream.state is StreamState.RECONNECTING:
        return Rank.RECONNECTING, -silent_s
    if stream.outcome not in HARMLESS:
        return Rank.FAILED, -stream.started_at
    if stream.state in ENDED:
        return Rank.OVER, -stream.started_at
    return _while_it_runs(stream, silent_s)


def _while_it_runs(stream: Stream, silent_s: float) -> tuple[Rank, float]:
    if stream.audience is not Audience.ATTACHED:
        return Rank.DETACHED, -(stream.clock() - stream.subscribers.detached_at)
    lag = lag_of(stream)
    return (Rank.BEHIND, -lag) if lag else (Rank.RUNNING, -silent_s)
