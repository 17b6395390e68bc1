"""The invariants of every run, as pure checks of a history.

``check`` returns one sentence for each violation. The invariants of a stream:

* No message is missing without an explicit gap, and none arrives twice.
* Messages arrive in order, with identical bytes.
* The client receives one end, the true one, in time.
* The stream belongs to its principal, and the backend received one request for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf, isnan, nan
from typing import Literal, TypeAlias

from sidecar.verify.history import (
    Attached,
    Finished,
    HistoryEvent,
    Kind,
    Left,
    Opened,
    Received,
    Record,
    Sent,
)

Rule: TypeAlias = Literal[
    "missing",
    "twice",
    "order",
    "bytes",
    "invented",
    "ending",
    "untold",
    "late",
    "principal",
    "upstream",
    "truth",
]


@dataclass(frozen=True, slots=True)
class Violation:
    """One violation, as a sentence."""

    rule: Rule
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def check(history: Iterable[Record], *, told_within_s: float = inf) -> list[Violation]:
    """Return every violation, those of the backend's own records first.

    Within ``told_within_s`` of the end, or of its own return, a client has to receive the end.
    """
    records = list(history)
    streams = _streams(records)
    found = [violation for stream in streams.values() for violation in stream.violations()]
    readers: dict[tuple[str, str], _Reader] = {}
    for record in records:
        if isinstance(record, Attached | Received | HistoryEvent | Left):
            stream = streams.get(record.stream) or _Stream(record.stream)
            reader = readers.setdefault(
                (record.client, record.stream), _Reader(record.client, stream, told_within_s)
            )
            found += reader.take(record)
    return found + [violation for reader in readers.values() for violation in reader.at_the_end()]


def _streams(records: list[Record]) -> dict[str, "_Stream"]:
    streams: dict[str, _Stream] = {}
    for record in records:
        if isinstance(record, Opened | Sent | Finished):
            streams.setdefault(record.stream, _Stream(record.stream)).take(record)
    return streams


@dataclass
class _Stream:
    """The backend's side of one stream."""

    name: str
    principals: list[str] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    whole: bool | None = None
    ended_at_s: float = nan

    def take(self, record: Opened | Sent | Finished) -> None:
        if isinstance(record, Opened):
            self.principals.append(record.principal)
        elif isinstance(record, Sent):
            self.sent.append(record)
        else:
            self.whole, self.ended_at_s = record.whole, record.at_s

    def hash_of(self, seq: int) -> str | None:
        return self.sent[seq - 1].data_hash if 1 <= seq <= len(self.sent) else None

    def violations(self) -> Iterable[Violation]:
        if len(self.principals) != 1:
            sentence = f"{self.name} took {len(self.principals)} upstream requests, not one."
            yield Violation("upstream", sentence)
        numbers = [record.seq for record in self.sent]
        if numbers != list(range(1, len(numbers) + 1)):
            yield Violation(
                "truth", f"The backend's own events of {self.name} do not count 1, 2, 3: {numbers}."
            )


class _Reader:
    """One client's side of one stream; ``expected`` is the next seq."""

    def __init__(self, client: str, stream: _Stream, told_within_s: float) -> None:
        self._who = f"{client} on {stream.name}"
        self._stream = stream
        self._told_within_s = told_within_s
        self._attached_at_s = nan
        self._principal = ""
        self._expected = 1
        self._received: set[int] = set()
        self._terminal_at: int | None = None
        self._told_end: Kind | None = None
        self._is_there = True

    def take(self, record: Attached | Received | HistoryEvent | Left) -> Iterable[Violation]:
        match record:
            case Attached():
                self._attach(record)
                return []
            case Left():
                self._is_there = False
                return []
            case Received():
                return [*self._foreign(record), *self._event(record)]
            case HistoryEvent(kind="gap"):
                return [*self._foreign(record), *self._gap(record)]
            case HistoryEvent():
                return [*self._foreign(record), *self._late(record), *self._end(record.kind)]

    def _attach(self, record: Attached) -> None:
        self._principal = record.principal
        self._attached_at_s = record.at_s
        self._expected = record.after + 1
        self._received = {seq for seq in self._received if seq <= record.after}
        if self._terminal_at is not None and record.after < self._terminal_at:
            self._terminal_at = None  # it asked for the terminal again
        self._told_end = None
        self._is_there = True

    def _foreign(self, record: Received | HistoryEvent) -> Iterable[Violation]:
        owners = self._stream.principals or [""]
        if self._principal not in owners and not (
            isinstance(record, HistoryEvent) and record.kind == "abort"
        ):
            whose = f"{owners[0]!r}, not of {self._principal!r}"
            yield Violation("principal", f"{self._who} learned of a stream of {whose}: {_what(record)}.")

    def _event(self, record: Received) -> Iterable[Violation]:
        if self._told_end is not None or self._terminal_at is not None:
            yield Violation("ending", f"{self._who} received {record.seq} after the end.")
        yield from self._content(record)
        if record.seq in self._received:
            yield Violation("twice", f"{self._who} received {record.seq} twice.")
        elif record.seq < self._expected:
            yield Violation("order", f"{self._who} received {record.seq} after {self._expected - 1}.")
        else:
            yield from self._missed_before(record.seq, f"before it received {record.seq}")
            self._expected = record.seq + 1
        self._received.add(record.seq)

    def _content(self, record: Received) -> Iterable[Violation]:
        truth = self._stream.hash_of(record.seq)
        if truth is None:
            yield Violation("invented", f"{self._who} received {record.seq}, which the backend never sent.")
        elif truth != record.data_hash:
            yield Violation(
                "bytes", f"{self._who} received {record.seq} with other bytes than the backend sent."
            )

    def _gap(self, record: HistoryEvent) -> Iterable[Violation]:
        missed = f"{record.missed_from} to {record.missed_through}"
        if not 1 <= record.missed_from <= record.missed_through:
            yield Violation("missing", f"{self._who} was told of a gap that is none: {missed}.")
            return
        yield from self._missed_before(record.missed_from, f"before the gap {missed}")
        self._expected = max(self._expected, record.missed_through + 1)

    def _missed_before(self, seq: int, when: str) -> Iterable[Violation]:
        missed = range(self._expected, seq)
        if missed:
            yield Violation("missing", f"{self._who} missed {_span(missed)} {when}, without an explicit gap.")

    def _late(self, record: HistoryEvent) -> Iterable[Violation]:
        starts = [at for at in (self._stream.ended_at_s, self._attached_at_s) if not isnan(at)]
        late_s = record.at_s - max(starts, default=nan) - self._told_within_s
        if record.kind != "abort" and self._told_end is None and late_s > 0:
            yield Violation("late", f"{self._who} was told its {record.kind} {late_s:.1f} s too late.")

    def _end(self, kind: Kind) -> Iterable[Violation]:
        if kind != "abort":
            yield from self._missed_before(len(self._stream.sent) + 1, f"before its {kind}")
        yield from self._misleading(kind)
        if kind == "terminal":
            self._terminal_at = self._expected
        else:
            self._told_end = kind

    def _misleading(self, kind: Kind) -> Iterable[Violation]:
        has_terminal = self._terminal_at is not None
        if kind == "terminal" and has_terminal:
            yield Violation("ending", f"{self._who} got a second terminal.")
        if kind == "terminal" and self._told_end is not None:
            yield Violation("ending", f"{self._who} got a terminal after its {self._told_end}.")
        if kind == "terminal" and self._stream.whole is True:
            yield Violation("ending", f"{self._who} got a terminal, but the stream ended well.")
        if kind == "clean_end" and (has_terminal or self._stream.whole is False):
            yield Violation("ending", f"{self._who} got a clean end, but the stream failed.")
        if kind == "no_content" and self._stream.whole is False and not has_terminal:
            yield Violation(
                "ending", f"{self._who} got no_content and never the terminal of a failed stream."
            )

    def at_the_end(self) -> Iterable[Violation]:
        """Each client that is connected at the end has to receive it."""
        if not self._is_there or self._stream.whole is None or self._terminal_at is not None:
            return
        if self._told_end is None:
            yield Violation("untold", f"{self._who} was never told that the stream is over.")
        elif self._told_end == "abort" and self._stream.whole is False:
            yield Violation(
                "untold", f"{self._who} was aborted without the terminal, and the history ends there."
            )


def _span(numbers: range) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _what(record: Received | HistoryEvent) -> str:
    return f"event {record.seq}" if isinstance(record, Received) else f"its {record.kind}"
