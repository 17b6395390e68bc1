"""Who reads a stream, who left it, and who is expected back."""

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
    """A connection that reads a stream."""

    position: int
    raw_offset: int

    @property
    def proven(self) -> int:
        """Seq up to which everything has left for good: the client's kernel has acknowledged it."""
        ...

    def appended(self, events: list[bytes], after: int) -> None:
        """Take the newest events, which follow seq ``after`` in the log."""
        ...

    def wake(self) -> None:
        """Look again: the log was closed, or something else changed."""
        ...


class Subscribers:
    """The readers of one stream now, and the departures nobody has come back from yet."""

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
        """What it means that nobody came back: the last one said goodbye, or it died.

        An endless feed has no end that somebody could miss: every reader leaves it, one way or another.
        """
        left = self.left_cleanly or self._endless
        return Outcome.CLIENT_LEFT if left else Outcome.CLIENT_ABANDONED

    def join(self, reader: Reader) -> tuple[AudienceCommand, ...]:
        """A connection begins to read; returns what to do."""
        self.readers[reader] = None
        return self.step(AudienceEvent.JOIN)

    def leave(self, reader: Reader, now: float, *, cleanly: bool, done: bool) -> tuple[AudienceCommand, ...]:
        """A connection reads no more; ``done``: it had everything, so nobody is expected back."""
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
        """A client says that it leaves, or has left: however its connection ends, or has ended."""
        if self.readers:
            self._goodbye_until = now + GOODBYE_S
        else:
            self.left_cleanly = True

    def returned(self, now: float) -> float | None:
        """Somebody is back: return how many seconds the longest absence took; None: nobody was missing yet.

        A phone that changes networks is back before its old connection is known to be dead.
        """
        if self._departures:
            return now - self._departures.popleft()
        self._early = min(self._early + 1, DEPARTURES_MAX)
        return None

    def give_up(self, now: float) -> list[float]:
        """Expect nobody any more: return how many seconds each of the missing has been waited for."""
        waited = [now - left_at for left_at in self._departures]
        self._departures.clear()
        return waited

    def step(self, event: AudienceEvent) -> tuple[AudienceCommand, ...]:
        """Take a step in the table of the audience; an event that does not fit is harmless."""
        step = states.AUDIENCE.get((self.state, event))
        if step is None:
            return ()
        self.state = step.state
        return step.commands
