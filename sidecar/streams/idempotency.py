"""Idempotency keys: the backend receives one request for one key."""

import asyncio
import hmac
from dataclasses import dataclass

from sidecar.observability import errors
from sidecar.streams.stream import Stream


@dataclass(slots=True)
class IdempotencyEntry:
    """One idempotency key in use: the body's digest and the stream."""

    body_digest: bytes
    opened: asyncio.Future[Stream | None]


IdempotencyKey = tuple[bytes, bytes, str, bytes]
"""Idempotency-Key, principal, method, target."""


class IdempotencyStore:
    """The idempotency keys in use, taken before the upstream request."""

    def __init__(self, claims_max: int) -> None:
        self._claims_max = claims_max
        self._entries: dict[IdempotencyKey, IdempotencyEntry] = {}
        self._of_stream: dict[str, IdempotencyKey] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, key: IdempotencyKey, body_digest: bytes) -> tuple[IdempotencyEntry | None, bool]:
        """Return the entry of a key and whether it is new.

        The entry is None when the store is full, so the key protects nothing.

        Raises IdempotencyMismatch if the key is in use for another body.
        """
        held = self._entries.get(key)
        if held is not None:
            if not hmac.compare_digest(held.body_digest, body_digest):
                raise errors.IdempotencyMismatch
            return held, False
        if len(self._entries) >= self._claims_max:
            return None, True
        claim = IdempotencyEntry(body_digest, asyncio.get_running_loop().create_future())
        self._entries[key] = claim
        return claim, True

    def bind(self, key: IdempotencyKey, stream: Stream) -> None:
        """Bind the stream that the request started; waiting requests join it."""
        self._of_stream[stream.id] = key
        opened = self._entries[key].opened
        if not opened.done():
            opened.set_result(stream)

    def release(self, key: IdempotencyKey, claim: IdempotencyEntry | None) -> None:
        """Release a key whose request started no stream.

        Each waiting request then goes to the upstream.

        Harmless if the key is not held by ``claim``: a request that got none may end while another holds it.
        """
        if claim is not None and self._entries.get(key) is claim and not claim.opened.done():
            del self._entries[key]
            claim.opened.set_result(None)

    def forget(self, stream_id: str) -> None:
        """Release the key of a stream."""
        key = self._of_stream.pop(stream_id, None)
        if key is not None:
            self._entries.pop(key, None)
