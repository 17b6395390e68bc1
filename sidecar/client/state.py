"""The states of a stream, and what a program receives about it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a stream is doing now; the last three are final."""

    CONNECTING = "connecting"
    OPEN = "open"
    STALLED = "stalled"
    RECONNECTING = "reconnecting"
    COMPLETED = "completed"
    FAILED = "failed"
    CLOSED = "closed"


FINAL = frozenset({State.COMPLETED, State.FAILED, State.CLOSED})


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that the client never receives; seqs count from 1.

    ``missed_through`` is None where the server does not know.
    """

    missed_from: int
    missed_through: int | None
    reason: str
    """In the server's word, such as ``trimmed``; ``lost on the way``: seqs jumped, and nobody said why."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """The connection is back after so many attempts and seconds.

    ``replayed``: messages that came late, from the replay log; None where the server does not say.
    """

    attempts: int
    seconds: float
    replayed: int | None


class StreamFailed(Exception):
    """The stream failed; the message is a sentence for the user.

    ``code``: the server's error code, such as ``err-sidecar-upstream-truncated``; otherwise "".
    """

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.code = code
