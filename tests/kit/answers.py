"""Random answers of a backend: everything that the event stream format allows, in any chunking."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from tests.kit.eventsource import DispatchedEvent, parse

LINE_ENDS = (b"\n", b"\r\n", b"\r")
BOM = b"\xef\xbb\xbf"
ALPHABET = 'abcdefghij XYZ0123456789:;,."{}[]<>\\\t-_=\u00e4\u00df\u20ac\u65e5\u672c\U0001f986'
OWN_RETRY_MS_MAX = 999
"""The sidecar's own retries are longer, so that a test can tell the two apart."""

LONG_DATA_MAX = 40 * 1024
"""Longer than what the sidecar reads from its log at once."""


@dataclass(frozen=True)
class ScriptedBody:
    """A body, cut into pieces as the backend sends it."""

    pieces: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)

    def events(self, pieces: int | None = None) -> list[DispatchedEvent]:
        """Return what a client dispatches of the first so many pieces, of all by default."""
        return parse(b"".join(self.pieces[:pieces]))


def random_answer(chance: random.Random, events_max: int = 24) -> ScriptedBody:
    """Make an answer of at least one event; comments and surplus blank lines stand between them."""
    blocks = [BOM] if chance.random() < 0.1 else []
    for _ in range(chance.randint(1, events_max)):
        if chance.random() < 0.15:
            blocks.append(chance.choice((b": keep-alive\n\n", b"\n", b"\r\n\r\n", b":\r\r", b"event: x\n\n")))
        blocks.append(_event(chance))
    if chance.random() < 0.1:
        blocks.append(chance.choice((b": over and out\n", b"data: half an eve", b"event: x\n")))
    return ScriptedBody(_cut(chance, b"".join(blocks)))


def _event(chance: random.Random) -> bytes:
    lines = [b"data: " + _text(chance) for _ in range(chance.choice((1, 1, 1, 2, 5)))]
    for line, share in SOMETIMES.items():
        if chance.random() < share:
            lines.insert(chance.randint(0, len(lines)), line(chance))
    line_end = chance.choice(LINE_ENDS)
    return line_end.join([*lines, b"", b""])


def _text(chance: random.Random) -> bytes:
    length = chance.randint(0, LONG_DATA_MAX) if chance.random() < 0.005 else chance.randint(0, 60)
    return "".join(chance.choices(ALPHABET, k=length)).encode()


def _cut(chance: random.Random, body: bytes) -> tuple[bytes, ...]:
    """Cut a body in any place, the middle of a character or of CRLF included; sometimes into single bytes."""
    if chance.random() < 0.1:
        start = chance.randrange(len(body))
        marks = set(range(start, min(len(body), start + 100)))
    else:
        marks = {chance.randrange(len(body)) for _ in range(chance.randint(0, 30))}
    edges = sorted(marks | {0, len(body)})
    return tuple(body[start:end] for start, end in pairwise(edges))


SOMETIMES: Mapping[Callable[[random.Random], bytes], float] = {
    lambda chance: b"event: " + chance.choice((b"token", b"message", b"")): 0.3,
    lambda chance: b"id: " + _text(chance)[:12]: 0.3,
    lambda _: b"id": 0.05,
    lambda chance: b"retry: %d" % chance.randint(0, OWN_RETRY_MS_MAX): 0.1,
    lambda chance: b": " + _text(chance): 0.2,
    lambda _: b"data": 0.1,
    lambda chance: b"data:" + _text(chance): 0.1,
    lambda _: b"unknown: field": 0.1,
    lambda _: b"id: 4\x002": 0.05,
}
"""Lines that an event may also have, and the share of events that have each."""
