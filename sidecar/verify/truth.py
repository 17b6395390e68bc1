"""A server's answer without faults, and the received messages."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.client import Event


def data_hash(kind: str, data: str) -> str:
    """Return the hash of a message without its id."""
    return hashlib.sha256(f"{kind}\n{data}".encode()).hexdigest()[:16]


def hash_of(event: Event) -> str:
    """Hash a message."""
    return data_hash(event.type, event.data)


@dataclass(frozen=True, slots=True)
class Truth:
    """The messages of an answer, by their hashes; the first has seq 1."""

    hashes: tuple[str, ...]

    def seq_of(self, content: str, expected: int) -> int:
        """Return the number of a message: the expected one if possible."""
        if 1 <= expected <= len(self.hashes) and self.hashes[expected - 1] == content:
            return expected
        if content in self.hashes:
            return self.hashes.index(content) + 1
        return len(self.hashes) + 1

    def is_at(self, seq: int, content: str) -> bool:
        """Tell whether a message is the one with this seq."""
        return 1 <= seq <= len(self.hashes) and self.hashes[seq - 1] == content


def truth_of(messages: Sequence[Event]) -> Truth:
    """Return the truth of messages in order."""
    return Truth(tuple(map(hash_of, messages)))
