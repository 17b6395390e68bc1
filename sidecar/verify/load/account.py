"""What people's own records add up to."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, Self

SENTENCES_MAX = 50
"""Broken promises told in full; all are counted."""


@dataclass(slots=True)
class Account:
    """Sums over streams, or over people."""

    did: Counter[str] = field(default_factory=Counter)
    """How often people did what, and what befell them."""

    ends: Counter[str] = field(default_factory=Counter)
    """Streams by how the sidecar has to have counted them, where the client's record leaves no doubt."""

    doubts: Counter[str] = field(default_factory=Counter)
    """The other streams: what each may have been counted as, joined by ``|``, the client's own word first."""

    streams: int = 0
    asked_again: int = 0
    """Streams that took a second request to the backend."""

    events: int = 0
    lost: int = 0
    duplicates: int = 0
    dropped: int = 0
    """Messages that came twice and that the client did not hand out."""

    gaps: int = 0
    silent: int = 0
    failures_told: int = 0
    returns: int = 0
    """Reconnects that the sidecar has to have measured, too."""

    returns_in_doubt: int = 0
    """Attempts of all others: a connection that died in silence may be missed before the sidecar notices."""

    reconnects_s: list[float] = field(default_factory=list)
    gave_up: int = 0
    detections_s: list[float] = field(default_factory=list)
    late_s: float = 0.0
    """The most by which people's own process came late: then it was short of processor time."""

    broken: int = 0
    sentences: list[str] = field(default_factory=list)

    def breach(self, sentence: str) -> None:
        """Note a violation."""
        self.broken += 1
        if len(self.sentences) < SENTENCES_MAX:
            self.sentences.append(sentence)

    def end(self, *outcomes: str) -> None:
        """Note a stream whose outcome at the sidecar is one of these."""
        self.streams += 1
        if len(outcomes) == 1:
            self.ends[outcomes[0]] += 1
        else:
            self.doubts["|".join(outcomes)] += 1

    def outcomes(self) -> Counter[str]:
        """Return the streams by how they ended for the client."""
        own = Counter({name.partition("|")[0]: 0 for name in self.doubts})
        for name, count in self.doubts.items():
            own[name.partition("|")[0]] += count
        return self.ends + own

    def add(self, other: "Account") -> None:
        """Add another's sums."""
        late_s = max(self.late_s, other.late_s)
        for each in fields(self):
            mine, others = getattr(self, each.name), getattr(other, each.name)
            setattr(self, each.name, mine + others)
        self.late_s = late_s
        del self.sentences[SENTENCES_MAX:]

    def as_json(self) -> dict[str, Any]:
        """Return what ``from_json`` takes."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Self:
        """Read what ``as_json`` returned, after JSON."""
        counters = {name: Counter(said[name]) for name in ("did", "ends", "doubts")}
        return cls(**said | counters)
