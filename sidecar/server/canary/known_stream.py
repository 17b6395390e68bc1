"""The known stream: bytes of the canary's backend and its client."""

import random
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import NamedTuple

EVENTS = 40
LINE_ENDS = (b"\n", b"\r\n", b"\r")
TERMINAL = "canary-over"
LONG_CHARS_MAX = 2048
PIECE_BYTES_MIN = 300
SHOWN_BYTES_MAX = 80

WORDS = (
    "tunnel",
    "train",
    "Zug",
    "電車",
    "🚇",
    "data:",
    "id: 7",
    "  two spaces  ",
    "[DONE]",
    "\ufeff",
    "{}",
    "",
)


class KnownEvent(NamedTuple):
    """One event: the bytes sent, and the bytes expected before the id."""

    wire: bytes
    due: bytes


class KnownStream:
    """The content of one canary, derived from ``seed`` alone.

    It has each line end, several lines of data, comments, types, ids and a retry of the backend. It also has
    unknown fields, empty data, surplus blank lines and characters of several alphabets.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        chance = random.Random(seed)  # noqa: S311 - makes content, guards nothing
        shapes = [SHAPES[number % len(SHAPES)] for number in range(EVENTS - 2)]
        chance.shuffle(shapes)
        first = _event([f"data: canary {seed}"], chance)
        last = _event([f"event: {TERMINAL}", f"data: {EVENTS}"], chance)
        self.events = [first, *(_event(shape(chance), chance) for shape in shapes), last]
        self.pieces = _pieces(b"".join(event.wire for event in self.events), chance)
        """The body as the backend writes it; an event may lie across pieces, a line end too."""

        self.half = self._pieces_of(EVENTS // 2)
        """How many pieces come before the client is cut: without an event there is no position to resume."""

    def _pieces_of(self, events: int) -> int:
        """Return how many pieces hold so many events, but never all of the pieces."""
        size = sum(len(event.wire) for event in self.events[:events])
        ends = list(accumulate(map(len, self.pieces)))
        return min(bisect_left(ends, size) + 1, len(ends) - 1)

    @property
    def events_in_half(self) -> int:
        """Return the number of events in the first half of the pieces."""
        sent = sum(map(len, self.pieces[: self.half]))
        return sum(end <= sent for end in accumulate(len(event.wire) for event in self.events))

    def due(self, stream: str, after: int) -> list[bytes]:
        """Return the expected events of ``stream`` after a position."""
        stamped = enumerate(self.events, 1)
        return [b"%bid: %b.%d\n\n" % (e.due, stream.encode(), n) for n, e in stamped if n > after]


def difference(due: list[bytes], heard: bytes, after: int = 0) -> str | None:
    """Return the first difference as a sentence, or None.

    Events of ``due`` count from seq ``after + 1``.
    """
    whole = b"".join(due)
    if heard == whole:
        return None
    same = next((at for at, pair in enumerate(zip(whole, heard, strict=False)) if pair[0] != pair[1]), None)
    at = min(len(whole), len(heard)) if same is None else same
    ends = list(accumulate(map(len, due)))
    seq = next((number for number, end in enumerate(ends) if at < end), len(due))
    start = ends[seq - 1] if seq else 0
    wanted = due[seq] if seq < len(due) else b""
    return (
        f"event {after + seq + 1}: got {_shown(heard[start:], at - start)}, due {_shown(wanted, at - start)}"
    )


def _shown(block: bytes, at: int) -> str:
    """Quote what stands around the place of a difference."""
    start = max(0, at - SHOWN_BYTES_MAX // 2)
    return repr(block[start : start + SHOWN_BYTES_MAX]) if block[start:] else "nothing more"


def _event(lines: list[str], chance: random.Random) -> KnownEvent:
    """Return lines as one event; an empty line ends a block without data."""
    end = chance.choice(LINE_ENDS)
    wire = b"".join(line.encode() + end for line in lines) + end * chance.choice((1, 1, 1, 2))
    kept = [line for line in lines if line and line.partition(":")[0] != "id"]
    return KnownEvent(wire, b"".join(line.encode() + b"\n" for line in kept))


def _pieces(body: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted({0, len(body), *(chance.randrange(len(body)) for _ in range(len(body) // PIECE_BYTES_MIN))})
    return [body[start:end] for start, end in pairwise(cuts)]


def _words(chance: random.Random) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, 9)))


def _own_id(chance: random.Random) -> str:
    return f"own-{chance.getrandbits(64):x}"


SHAPES: tuple[Callable[[random.Random], list[str]], ...] = (
    lambda chance: [f"data: {_words(chance)}"],
    lambda chance: [f"data:{_words(chance)}"],
    lambda chance: [f"data: {_words(chance)}" for _ in range(chance.randint(2, 6))],
    lambda chance: [f"event: canary-{chance.randint(1, 9)}", f"data: {_words(chance)}"],
    lambda chance: [f"id: {_own_id(chance)}", f"data: {_words(chance)}"],
    lambda chance: [f"data: {_words(chance)}", f"id:{_own_id(chance)}"],
    lambda chance: [f": {_words(chance)}", "", f"data: {_words(chance)}"],
    lambda chance: ["retry: 2500", "", f"id: {_own_id(chance)}", "", f"data: {_words(chance)}"],
    lambda chance: [f":{_words(chance)}", f"x-unknown: {_words(chance)}", f"data: {_words(chance)}"],
    lambda _: ["data"],
    lambda _: ["data:", "data"],
    lambda chance: [f"data: {'x' * chance.randint(1, LONG_CHARS_MAX)}"],
)
"""Each makes the lines of one event."""
