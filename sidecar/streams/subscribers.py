"""The readers of a stream, and the departed that may return."""

from collections import deque
from typing import Protocol

from sidecar.observability.labels import Outcome
from sidecar.streams import states
from sidecar.streams.states import Audience, AudienceCommand, AudienceEvent

DEPARTURES_MAX = 16
"""Departures that wait for their return; more readers than that leave at once only on a broadcast."""

GOODBYE_S = 10.0
"""A connection that breaks within this time after its client said goodbye was left, it did not die."""


class Reader(Protocol):
    """A connection that reads a stream, in the stream's view."""

    position: int
    raw_offset: int

    @property
    def proven(self) -> int:
        """Return the seq up to which the client's kernel has acknowledged."""
        ...

    def appended(self, events: list[bytes], after: int) -> None:
        """Take the newest events; they follow seq ``after``."""
        ...

    def wake(self) -> None:
        """Check the stream again: its log was closed, for example."""
        ...


class Subscribers:
    """The readers of one stream, and departures without a return."""

    __slots__ = (
        "_departures",
        "_early",
        "_endless",
        "_goodbye_until",
        "detached_at",
        "left_cleanly",
        "readers",
        "state",
    )

    def __init__(self, now: float, *, endless: bool) -> None:
        self._endless = endless
        self.readers: dict[Reader, None] = {}
        self.state = Audience.ATTACHED
        self.detached_at = now
        self.left_cleanly = True
        self._departures: deque[float] = deque(maxlen=DEPARTURES_MAX)
        self._early = 0
        self._goodbye_until = now

    @property
    def outcome(self) -> Outcome:
        """Return the outcome if no reader returns.

        The last reader left, or its connection died.

        An endless feed has no end to miss, so every reader of it has left.
        """
        left = self.left_cleanly or self._endless
        return Outcome.CLIENT_LEFT if left else Outcome.CLIENT_ABANDONED

    def join(self, reader: Reader) -> tuple[AudienceCommand, ...]:
        """Add a reader; return the commands."""
        self.readers[reader] = None
        return self.step(AudienceEvent.JOIN)

    def leave(self, reader: Reader, now: float, *, cleanly: bool, done: bool) -> tuple[AudienceCommand, ...]:
        """Remove a reader; ``done``: it needs no return."""
        self.readers.pop(reader, None)
        self.left_cleanly = cleanly or done or now < self._goodbye_until
        if not done and self._early:
            self._early -= 1
        elif not done:
            self._departures.append(now)
        if self.readers:
            return ()
        self.detached_at = now
        return self.step(AudienceEvent.LAST_LEFT)

    def goodbye(self, now: float) -> None:
        """Note that a client leaves on purpose, or has left."""
        if self.readers:
            self._goodbye_until = now + GOODBYE_S
        else:
            self.left_cleanly = True

    def returned(self, now: float) -> float | None:
        """Count a return; return the longest absence in s, or None.

        A phone that changes networks is back before its old connection is known to be dead.
        """
        if self._departures:
            return now - self._departures.popleft()
        self._early = min(self._early + 1, DEPARTURES_MAX)
        return None

    def give_up(self, now: float) -> list[float]:
        """Expect no more returns; return each wait in s."""
        waited = [now - left_at for left_at in self._departures]
        self._departures.clear()
        return waited

    def step(self, event: AudienceEvent) -> tuple[AudienceCommand, ...]:
        """Take a step in the audience table; return the commands."""
        step = states.AUDIENCE.get((self.state, event))
        if step is None:
            return ()
        self.state = step.state
        return step.commands
