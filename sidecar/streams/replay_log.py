"""The replay log of one stream: events 1, 2, 3 ..., within bounds."""

from typing import Literal, NamedTuple

READ_EVENTS_MAX = 256
READ_BYTES_MAX = 32 * 1024
"""One read hands out no more than this (or one single event), so a slow reader holds little."""

COMPACT_MIN = 64
"""Trimmed slots at the front of the list are given back once there are this many and they are the half."""

GapReason = Literal["trimmed", "beyond", "expired"]


class LogGap(NamedTuple):
    """Messages that this reader never receives.

    ``missed_through`` is None where their number is unknown.
    """

    missed_from: int
    missed_through: int | None
    reason: GapReason

    @property
    def missed(self) -> int:
        """Return how many messages are known to be missing."""
        return 0 if self.missed_through is None else self.missed_through - self.missed_from + 1


class ReplayLog:
    """Events in memory; only an append assigns a seq."""

    __slots__ = ("_events", "_head", "bytes_held", "closed", "first_seq", "last_seq")

    def __init__(self) -> None:
        self._events: list[bytes] = []
        self._head = 0
        self.first_seq = 1
        self.last_seq = 0
        """Seq of the newest event ever appended; 0 before the first."""
        self.bytes_held = 0
        self.closed = False

    def __len__(self) -> int:
        return len(self._events) - self._head

    def append(self, event: bytes) -> None:
        """Give the event the next seq and keep it."""
        self._events.append(event)
        self.last_seq += 1
        self.bytes_held += len(event)

    def append_all(self, events: list[bytes]) -> int:
        """Append in order; return how many bytes came in."""
        count = len(events)
        size = len(events[0]) if count == 1 else sum(map(len, events))
        self._events += events
        self.last_seq += count
        self.bytes_held += size
        return size

    def read(self, after: int) -> list[bytes]:
        """Return events from seq ``after + 1`` on, within the READ bounds.

        At least one, if the log has it. Raises LookupError if it was trimmed.
        """
        if after == self.last_seq - 1 and after >= self.first_seq - 1:
            return self._events[-1:]
        start = self._head + after + 1 - self.first_seq
        if start < self._head:
            message = f"seq {after + 1} is trimmed: ask gap_before first"
            raise LookupError(message)
        events = self._events[start : start + READ_EVENTS_MAX]
        size = sum(map(len, events))
        while size > READ_BYTES_MAX and len(events) > 1:
            size -= len(events.pop())
        return events

    def gap_before(self, after: int) -> LogGap | None:
        """Return what a reader at position ``after`` cannot receive, or None."""
        if after + 1 < self.first_seq:
            return LogGap(after + 1, self.first_seq - 1, "trimmed")
        if after > self.last_seq:
            return LogGap(self.last_seq + 1, after, "beyond")
        return None

    def before(self, seq: int, size: int) -> int:
        """Return the seq after which ``size`` bytes lead up to ``seq``.

        Return 0 if the log holds fewer bytes.
        """
        seq = min(seq, self.last_seq)
        while size > 0 and seq >= self.first_seq:
            size -= len(self._events[self._head + seq - self.first_seq])
            seq -= 1
        return seq if size <= 0 else 0

    def trim(self, events_max: int, bytes_max: int, through: int | None = None) -> int:
        """Drop the oldest events until the log fits; return the bytes.

        Events above seq ``through`` stay.
        """
        before = self.bytes_held
        while len(self) > events_max or self.bytes_held > bytes_max:
            if not len(self) or (through is not None and self.first_seq > through):
                break
            self.bytes_held -= len(self._events[self._head])
            self._events[self._head] = b""
            self._head += 1
            self.first_seq += 1
        if self._head >= COMPACT_MIN and self._head * 2 >= len(self._events):
            del self._events[: self._head]
            self._head = 0
        return before - self.bytes_held

    def held(self, after: int) -> int:
        """Count the held events above seq ``after``."""
        return max(0, self.last_seq - max(after, self.first_seq - 1))
