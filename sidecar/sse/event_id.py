"""Event ids ``<stream>.<seq>``: made, signed, bound to a principal, parsed and verified.

``<stream>`` is ``s1`` and 40 characters of base64url: 96 random bits, 72 bits of an HMAC that proves the
token is ours and 72 bits of an HMAC over the principal that proves it is yours. The whole id has at most 64
bytes of ``[A-Za-z0-9_.-]``: any other character in ``Last-Event-ID`` would cost a browser a CORS preflight
(Fetch standard, "CORS-safelisted request-header").
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

VERSION = "s1"
RANDOM_BYTES = 12
MAC_BYTES = 9
EVENT_ID_BYTES_MAX = 64
SEQ_DIGITS_MAX = 18
HANDLE_CHARS = len(VERSION) + RANDOM_BYTES * 4 // 3

_STREAM = rf"{VERSION}[A-Za-z0-9_-]{{40}}"
_stream_form = re.compile(_STREAM)
_event_id_form = re.compile(rf"({_STREAM})\.(0|[1-9][0-9]{{0,{SEQ_DIGITS_MAX - 1}}})")


class EventId(NamedTuple):
    """A position in a stream; ``seq`` 0 stands before the first event."""

    stream: str
    seq: int

    def __str__(self) -> str:
        return f"{self.stream}.{self.seq}"


def parse(text: str) -> EventId | None:
    """Read an id of our form; None: it is somebody else's. Says nothing about its being genuine."""
    match = _event_id_form.fullmatch(text) if len(text) <= EVENT_ID_BYTES_MAX else None
    return EventId(match[1], int(match[2])) if match else None


def handle(stream: str) -> str:
    """Return the part of a token that names the stream and proves nothing: for logs, metrics and people."""
    return stream[:HANDLE_CHARS]


def is_stream(text: str) -> bool:
    """Tell whether a text has the form of a stream token."""
    return _stream_form.fullmatch(text) is not None


class Signer:
    """Makes stream tokens with the current secret and accepts those of the retiring ones too."""

    def __init__(self, current: bytes, *retiring: bytes) -> None:
        self._keys: Sequence[bytes] = (current, *retiring)

    def token(self, random: bytes, principal: bytes) -> str:
        """Return the token of a new stream; ``random`` is RANDOM_BYTES of entropy."""
        return VERSION + urlsafe_b64encode(_sealed(self._keys[0], random, principal)).decode()

    def verify(self, stream: str, principal: bytes) -> bool:
        """Tell whether a token is ours and this principal's; takes the same time whichever it is not."""
        if not is_stream(stream):
            return False
        raw = urlsafe_b64decode(stream[len(VERSION) :])
        random = raw[:RANDOM_BYTES]
        verdicts = [hmac.compare_digest(_sealed(key, random, principal), raw) for key in self._keys]
        return any(verdicts)


def _sealed(key: bytes, random: bytes, principal: bytes) -> bytes:
    ours = hmac.digest(key, b"stream" + random, "sha256")[:MAC_BYTES]
    yours = hmac.digest(key, b"principal" + random + hashlib.sha256(principal).digest(), "sha256")[:MAC_BYTES]
    return random + ours + yours
