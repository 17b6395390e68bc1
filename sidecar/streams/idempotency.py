"""Idempotency keys: one key, one request to the backend, however often the client had to send it."""

import asyncio
import hmac
from dataclasses import dataclass

from sidecar.observability import errors
from sidecar.streams.stream import Stream


@dataclass(slots=True)
class IdempotencyEntry:
    """One idempotency key in use: by whom, for what, and which stream came of it."""

    body_digest: bytes
    opened: asyncio.Future[Stream | None]


IdempotencyKey = tuple[bytes, bytes, str, bytes]
"""Idempotency-Key, principal, method, target."""


class IdempotencyStore:
    """Idempotency keys of requests that may start a stream, claimed before the upstream is called."""

    def __init__(self, claims_max: int) -> None:
        self._claims_max = claims_max
        self._entries: dict[IdempotencyKey, IdempotencyEntry] = {}
        self._of_stream: dict[str, IdempotencyKey] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, key: IdempotencyKey, body_digest: bytes) -> tuple[IdempotencyEntry | None, bool]:
        """Return the claim and whether it is new; None: no more keys are kept, so this one protects nothing.

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
        """Note which stream the request started: whoever waits for it attaches."""
        self._of_stream[stream.id] = key
        opened = self._entries[key].opened
        if not opened.done():
            opened.set_result(stream)

    def release(self, key: IdempotencyKey, claim: IdempotencyEntry | None) -> None:
        """Give the key back, since no stream came of it: whoever waits goes the same way on his own.

        Harmless if the key is not held by ``claim``: a request that got none may end while another holds it.
        """
        if claim is not None and self._entries.get(key) is claim and not claim.opened.done():
            del self._entries[key]
            claim.opened.set_result(None)

    def forget(self, stream_id: str) -> None:
        """Give the key back with its stream."""
        key = self._of_stream.pop(stream_id, None)
        if key is not None:
            self._entries.pop(key, None)
