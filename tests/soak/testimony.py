"""Collect the history of a round for the judge, and other violations."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from sidecar.verify.history import Attached, Finished, HistoryEvent, Left, Opened, Received, Record, Sent
from sidecar.verify.invariants import check
from tests.kit.recorder import data_hash, is_terminal
from tests.soak.backend import BackendRequest, SoakBackend
from tests.soak.process import IDLE_S, LINGER_S

TOLD_WITHIN_S = 45.0
"""Far above every wait of a sidecar or a client, on any machine: late is later than that."""

CANCELLED, CLIENT_GONE, IDLE = "err-sidecar-cancelled", "err-sidecar-client-gone", "err-sidecar-upstream-idle"
DECIDED_BY_SIDECAR = frozenset({CANCELLED, CLIENT_GONE, IDLE})
"""Codes of a terminal for a stream that its backend may have gone on with."""

STILL_HERE_RATIO = 0.5
"""Who was there within this share of the linger before a stream was given up has not left for good."""

SLACK_S = 0.5
LATE_S_MAX = 1.0
EARLY_RATIO = 0.8
"""A wait that is over after less than this share of it was no such wait."""


@dataclass(frozen=True, slots=True)
class BrokenPromise:
    """One broken promise, as a sentence. ``timed``: about how long something took, as this process saw it."""

    rule: str
    sentence: str
    timed: bool = False


def hash_of(kind: str, data: str) -> str:
    """Hash an event as the recorder of the tests does."""
    return hashlib.sha256(f"{kind}\n{data}".encode()).hexdigest()[:16]


@dataclass
class Testimony:
    """Of one round. ``counts``: what happened how often, by name."""

    history: list[Record] = field(default_factory=list)
    broken: list[BrokenPromise] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    codes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By stream: the codes of the terminals that were told."""
    cancelled: set[int] = field(default_factory=set)
    """The questions whose stream somebody asked to stop."""
    keyed: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    """By idempotency key and life of the sidecar: the streams that were given out."""
    present: dict[str, list[tuple[str, float, float]]] = field(default_factory=lambda: defaultdict(list))
    """By stream: who had a connection that carried it, from when, until when."""
    recovered_s: list[float] = field(default_factory=list)
    """Between a broken connection and the next one that carried the stream on."""

    def blame(self, rule: str, sentence: str, *, timed: bool = False) -> None:
        """Say that a promise was broken."""
        self.broken.append(BrokenPromise(rule, sentence, timed))

    def verdict(self, backend: SoakBackend, late_s: float = 0.0) -> list[BrokenPromise]:
        """Judge everything; the backend shall have finished.

        ``late_s``: how late this process was at worst. One that was starved of CPU saw things later than
        they happened, so beyond LATE_S_MAX it says nothing about times.
        """
        broken = self._all(backend)
        if late_s <= LATE_S_MAX:
            return broken
        self.counts["rounds too slow to judge times"] = 1
        return [one for one in broken if not one.timed]

    def _all(self, backend: SoakBackend) -> list[BrokenPromise]:
        truth = [record for one in backend.generations for record in self._truth(one)]
        violations = check([*truth, *self.history], told_within_s=TOLD_WITHIN_S)
        judged = [BrokenPromise(one.rule, one.sentence, one.rule == "late") for one in violations]
        stray = [BrokenPromise("upstream", sentence) for sentence in backend.stray]
        return [
            *self.broken,
            *judged,
            *stray,
            *self._asked_twice(backend),
            *self._untrue_ends(backend),
            *self._gone_too_early(backend),
        ]

    def _truth(self, generation: BackendRequest) -> Iterator[Record]:
        """Give the backend's own records, as far as the sidecar can have got what it sent."""
        yield Opened(generation.name, generation.request.header("Authorization") or "")
        content = [event for event in generation.request.truth if not is_terminal(event)]
        decided = self.codes[generation.name] & DECIDED_BY_SIDECAR
        if decided or generation.whole is None:
            content = content[: self._known(generation.name)]
        for seq, event in enumerate(content, 1):
            yield Sent(generation.name, seq, data_hash(event))
        if decided:
            yield Finished(generation.name, whole=False)
        elif generation.whole is not None:
            yield Finished(generation.name, generation.whole, generation.ended_at_s)

    def _known(self, stream: str) -> int:
        """Return the last seq that anybody got of a stream: what came behind it may have been on its way."""
        got = (
            record.seq for record in self.history if isinstance(record, Received) and record.stream == stream
        )
        missed = (
            record.missed_through
            for record in self.history
            if isinstance(record, HistoryEvent) and record.kind == "gap" and record.stream == stream
        )
        return max((*got, *missed), default=0)

    def _asked_twice(self, backend: SoakBackend) -> Iterator[BrokenPromise]:
        began = Counter((one.visit, one.ask) for one in backend.generations if one.began)
        for (visit, ask), times in began.items():
            if times > 1:
                yield BrokenPromise(
                    "upstream", f"Question {visit}, asked once ({ask}), was put {times} times."
                )
        for (key, life), streams in self.keyed.items():
            if len(streams) > 1:
                sentence = (
                    f"One idempotency key, {key}, got several streams in life {life}: {sorted(streams)}."
                )
                yield BrokenPromise("upstream", sentence)

    def _untrue_ends(self, backend: SoakBackend) -> Iterator[BrokenPromise]:
        by_name = {generation.name: generation for generation in backend.generations}
        for record in self.history:
            if isinstance(record, HistoryEvent) and record.kind == "clean_end":
                generation = by_name.get(record.stream)
                if generation is None or generation.whole is not True:
                    yield BrokenPromise(
                        "ending", f"{record.client} got a clean end of {record.stream}, which has none."
                    )
        for name, codes in self.codes.items():
            generation = by_name.get(name)
            if generation is None:
                continue
            if CANCELLED in codes and generation.visit not in self.cancelled:
                yield BrokenPromise("ending", f"{name} was cancelled, and nobody had asked for that.")
            if IDLE in codes and generation.silent_s_max < IDLE_S * EARLY_RATIO:
                silent_s = generation.silent_s_max
                yield BrokenPromise(
                    "ending", f"{name} was given up after {silent_s:.1f} s of silence.", timed=True
                )

    def _gone_too_early(self, backend: SoakBackend) -> Iterator[BrokenPromise]:
        """Whoever reads a stream is no reason to give it up; nor is somebody who left a moment ago."""
        for generation in backend.generations:
            if CLIENT_GONE not in self.codes[generation.name]:
                continue
            end_s = generation.over_at_s - SLACK_S
            start_s = generation.over_at_s - LINGER_S * STILL_HERE_RATIO
            for who, from_s, until_s in self.present[generation.name]:
                if min(until_s, end_s) - max(from_s, start_s) > SLACK_S:
                    sentence = f"{generation.name} was given up, and {who} was still there."
                    yield BrokenPromise("ending", sentence, timed=True)

    def attached(self, client: str, stream: str, after: int, principal: str, at_s: float) -> None:
        """Record an answer that carries a stream."""
        self.history.append(Attached(client, stream, after, principal, at_s))

    def left(self, client: str, stream: str) -> None:
        """Record that a client is owed nothing more for now."""
        self.history.append(Left(client, stream))
