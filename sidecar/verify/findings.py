"""The findings of one scenario at one server: counts and violations."""

from collections import Counter
from collections.abc import Iterator

from sidecar.client import State
from sidecar.verify.history import Record
from sidecar.verify.invariants import Violation, check
from sidecar.verify.reader import VerifyingReader, backend_history
from sidecar.verify.results import Breach
from sidecar.verify.scenarios import Scenario
from sidecar.verify.shown import is_silent, is_whole
from sidecar.verify.stage import Played
from sidecar.verify.subject import Subject
from sidecar.verify.wire_rules import breaches


class Findings:
    """``followed``: the breaches that were found by asking afterwards."""

    def __init__(
        self, scenario: Scenario, subject: Subject, played: list[Played], followed: list[Breach]
    ) -> None:
        self.scenario = scenario
        self.subject = subject
        self.played = played
        self.violations = [violation for part in played for violation in _violations(part)]
        self.breaches = [*self._on_the_wire(), *followed, *self._closed_too_soon()]

    def readers(self) -> Iterator[tuple[Played, VerifyingReader]]:
        """Yield everybody, with the part that was played."""
        for part in self.played:
            for reader in part.readers:
                yield part, reader

    def eligible(self) -> list[tuple[Played, VerifyingReader]]:
        """Return those whose answers have to be whole."""
        return [pair for pair in self.readers() if pair[0].part.ends == "complete"]

    def completed(self) -> int:
        """Count the answers that came to their end and were whole."""
        return sum(self._is_complete(part, reader) for part, reader in self.eligible())

    def _is_complete(self, part: Played, reader: VerifyingReader) -> bool:
        if self.subject.feed:
            return _still_fed(part, reader)
        return reader.person.state is State.COMPLETED and is_whole(part, reader)

    def completion(self) -> float:
        """Return their share of those that have to be; of none: 1."""
        eligible = self.eligible()
        return round(self.completed() / len(eligible), 5) if eligible else 1.0

    def completion_min(self) -> float:
        """Return the required completion."""
        ours = self.subject.has_sidecar
        return self.scenario.completion_min_ours if ours else self.scenario.completion_min

    def rules(self) -> Counter[str]:
        """Count the violations of each rule."""
        return Counter(violation.rule for violation in self.violations)

    def lost(self) -> int:
        """Count missing messages without a gap, in answers that look complete too.

        A user with an explicit failure has no silent loss: such an answer is not complete.
        """
        return sum(len(_left_out(part, reader)) for part, reader in self.eligible())

    def silent(self) -> list[tuple[Played, VerifyingReader]]:
        """Return the users of a silent failure.

        They saw nothing, or an answer that only looked complete.
        """
        return [(part, reader) for part, reader in self.readers() if is_silent(part, reader)]

    def requests(self) -> int | None:
        """Count the requests that the backend got; None: it keeps no record."""
        if self.subject.own is None:
            return None
        streams = {(id(part), reader.stream) for part, reader in self.readers()}
        known = {id(part): part.generations or {} for part in self.played}
        return sum(len(known[at].get(stream, [])) for at, stream in streams)

    def _on_the_wire(self) -> list[Breach]:
        return [
            breach
            for part, reader in self.readers()
            for breach in breaches(reader.person.connections, reader.person.name, part.truth)
        ]

    def _closed_too_soon(self) -> Iterator[Breach]:
        """Yield generations that a sidecar closed before their users resumed."""
        if not self.subject.has_sidecar:
            return
        for part, reader in self.eligible():
            for generation in (part.generations or {}).get(reader.stream, []):
                if generation["ending"] == "client_left":
                    sentence = f"{reader.person.name} was coming back, and its generation had been closed."
                    yield Breach(rule="linger", sentence=sentence)


def _violations(played: Played) -> list[Violation]:
    """Compare the received messages with the backend's record."""
    truth = played.truth
    if truth is None or played.part.ends != "complete":
        return []
    records: list[Record] = []
    for stream in dict.fromkeys(reader.stream for reader in played.readers):
        known = played.generations
        count = 1 if known is None else len(known.get(stream, []))
        records += backend_history(stream, truth, count, whole=True)
    for reader in played.readers:
        records += reader.history(truth)
    return check(records)


def _had(played: Played, reader: VerifyingReader) -> set[int]:
    had = set(range(1, reader.after + 1))
    if played.truth is not None:
        had |= set(reader.seqs(played.truth))
    for start, through in reader.told_gaps:
        had |= set(range(start, through + 1))
    return had


def _left_out(played: Played, reader: VerifyingReader) -> set[int]:
    had = _had(played, reader)
    if played.truth is None:
        return set()
    through = len(played.truth.hashes) if reader.person.state is State.COMPLETED else max(had, default=0)
    return set(range(1, through + 1)) - had


def _still_fed(played: Played, reader: VerifyingReader) -> bool:
    """Return whether an endless feed continued after its last fault."""
    last = played.happened[-1][0] if played.happened else played.started_at_s
    return any(handed.at_s > last for handed in reader.person.handed)
