"""A user in a scenario, with its side of the history."""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.client import State
from sidecar.client.progress import UNANNOUNCED
from sidecar.sse import event_id
from sidecar.verify.history import Attached, Finished, HistoryEvent, Left, Opened, Received, Record, Sent
from sidecar.verify.person import Handed, Person
from sidecar.verify.truth import Truth, hash_of
from sidecar.verify.wire_rules import tells_failure


@dataclass(slots=True)
class VerifyingReader:
    """Read ``stream`` after ``after``.

    ``stream`` is the backend's name of the request.
    """

    person: Person
    stream: str
    url: str
    """Of its question, where no path is in between."""

    after: int = 0
    stopped: bool = False
    """It left of its own accord, as planned."""

    def seqs(self, truth: Truth) -> list[int]:
        """Return the received messages in order, by id where possible."""
        seqs: list[int] = []
        expected = self.after + 1
        for handed in self.person.handed:
            seqs.append(self._seq(handed, truth, expected))
            expected = seqs[-1] + 1
        return seqs

    def _seq(self, handed: Handed, truth: Truth, expected: int) -> int:
        known = event_id.parse(handed.event.id) if handed.event.own_id else None
        return known.seq if known is not None else truth.seq_of(hash_of(handed.event), expected)

    @property
    def told_gaps(self) -> list[tuple[int, int]]:
        """Return the gaps that the server sent, each from and through."""
        told = [gap for _, gap in self.person.gaps if gap.reason != UNANNOUNCED]
        return [(gap.missed_from, gap.missed_through) for gap in told if gap.missed_through is not None]

    def history(self, truth: Truth) -> Iterator[Record]:
        """Yield the messages and control events of this user."""
        name, stream = self.person.name, self.stream
        yield Attached(name, stream, self.after)
        gaps = sorted(self.told_gaps)
        for handed, seq in zip(self.person.handed, self.seqs(truth), strict=True):
            while gaps and gaps[0][0] <= seq:
                yield HistoryEvent(name, stream, "gap", *gaps.pop(0))
            yield Received(name, stream, seq, hash_of(handed.event))
        for gap in gaps:
            yield HistoryEvent(name, stream, "gap", *gap)
        yield from self._end()

    def _end(self) -> Iterator[Record]:
        name, stream, state = self.person.name, self.stream, self.person.state
        if state is State.COMPLETED:
            yield HistoryEvent(name, stream, "clean_end")
        elif state is State.FAILED:
            yield HistoryEvent(name, stream, "terminal" if self._was_told_failure() else "abort")
        elif self.stopped:
            yield Left(name, stream)

    def _was_told_failure(self) -> bool:
        """Return whether the server reported a failure.

        Otherwise the client gave up.
        """
        blocks = (block for connection in self.person.connections for block in connection.blocks)
        return any(map(tells_failure, blocks))


def backend_history(stream: str, truth: Truth, generations: int, *, whole: bool) -> Iterator[Record]:
    """Yield the backend's side of one stream: requests and messages."""
    yield from (Opened(stream) for _ in range(generations))
    yield from (Sent(stream, seq, content) for seq, content in enumerate(truth.hashes, 1))
    yield Finished(stream, whole)
