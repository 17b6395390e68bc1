"""The text of the demo's answers: the same tokens for the same seed."""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import count, islice

PARAGRAPH_SENTENCES = 4

SENTENCES = (
    "A stream is a promise that takes its time.",
    "The train enters the tunnel and the answer waits at the other end.",
    "Every token has a number, so nobody has to guess what was missing.",
    "A café in Zürich lost its Wi-Fi, and not one word of the reply.",
    "Silence is not an ending; an ending says so.",
    "Between two towers the phone changes its address without asking.",
    "What was sent once need not be paid for twice.",
    "A heartbeat says: I am here, and I am still thinking.",
    "東京 answers in a hundred milliseconds, the mountain in four hundred.",
    "The reader keeps a bookmark; the log keeps the book.",
    "When a server dies in the middle of a sentence, somebody should say it.",
    "Order is cheap while there is only one writer.",
    "The naïve retry asks again; the patient one asks for the rest.",
    "Buffers are full of good intentions.",
    "A slow reader is not a broken one 🐢.",
    "Half an event is no event at all.",
)


def tokens(seed: str, number: int) -> Iterator[str]:
    """Yield ``number`` tokens: words with the white space before them."""
    return islice(_endless(seed), number)


def _endless(seed: str) -> Iterator[str]:
    sentence = 0
    for position in count():
        # A step of 1 .. len - 1 never lands on the same sentence again, so no sentence follows itself.
        sentence = (sentence + 1 + _draw(seed, position) % (len(SENTENCES) - 1)) % len(SENTENCES)
        first, *others = SENTENCES[sentence].split(" ")
        yield _space_before(position) + first
        yield from (f" {word}" for word in others)


def _space_before(position: int) -> str:
    if position == 0:
        return ""
    return " " if position % PARAGRAPH_SENTENCES else "\n\n"


def _draw(seed: str, position: int) -> int:
    return int.from_bytes(blake2b(f"{seed}/{position}".encode(), digest_size=8).digest(), "big")
