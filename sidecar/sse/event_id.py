"""Event ids ``<stream>.<seq>``, signed and bound to a principal.

``<stream>`` is ``s1`` and 40 characters of base64url. They encode 96 random bits, 72 bits of an HMAC that
proves the sidecar's key, and 72 bits of an HMAC that proves the principal.

An id has at most 64 bytes of ``[A-Za-z0-9_.-]``. Any other character in ``Last-Event-ID`` costs a browser a
CORS preflight (Fetch standard, "CORS-safelisted request-header").
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
    """A position in a stream; ``seq`` 0 is before the first event."""

    stream: str
    seq: int

    def __str__(self) -> str:
        return f"{self.stream}.{self.seq}"


def parse(text: str) -> EventId | None:
    """Parse an id, or return None. It does not verify the signature."""
    match = _event_id_form.fullmatch(text) if len(text) <= EVENT_ID_BYTES_MAX else None
    return EventId(match[1], int(match[2])) if match else None


def handle(stream: str) -> str:
    """Return the public part of a token, for logs and operators."""
    return stream[:HANDLE_CHARS]


def is_stream(text: str) -> bool:
    """Return whether a text has the form of a stream token."""
    return _stream_form.fullmatch(text) is not None


class Signer:
    """Makes tokens with the current key; also accepts retiring keys."""

    def __init__(self, current: bytes, *retiring: bytes) -> None:
        self._keys: Sequence[bytes] = (current, *retiring)

    def token(self, random: bytes, principal: bytes) -> str:
        """Return the token of a new stream from RANDOM_BYTES random bytes."""
        return VERSION + urlsafe_b64encode(_sealed(self._keys[0], random, principal)).decode()

    def verify(self, stream: str, principal: bytes) -> bool:
        """Return, in constant time, whether a token is valid for a principal."""
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
