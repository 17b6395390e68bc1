"""Requests with an idempotency key: the upstream receives one of them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

from sidecar.http1 import headers
from sidecar.observability import log_events
from sidecar.proxy.client_request import ClientRequest
from sidecar.proxy.forwarder import Forward, Forwarder
from sidecar.proxy.resume import Resume
from sidecar.streams.idempotency import IdempotencyKey, IdempotencyStore

KEY_BYTES_MAX = 256
"""The sidecar forwards a request with a longer key as one without a key."""


class IdempotentForwarder:
    """Forwards the first request of a key; a later one joins its stream.

    The sidecar compares bodies, so it holds up to ``body_bytes_max`` bytes of each in memory. It forwards a
    request with a larger body as one without a key.
    """

    def __init__(
        self, forwarder: Forwarder, store: IdempotencyStore, resume: Resume, body_bytes_max: int
    ) -> None:
        self._forwarder = forwarder
        self._store = store
        self._resume = resume
        self._body_bytes_max = body_bytes_max

    def key_of(self, request: ClientRequest) -> IdempotencyKey | None:
        """Return the key of a request, or None if it has none that counts."""
        key = headers.first(request.fields, b"idempotency-key")
        if not key or len(key) > KEY_BYTES_MAX or request.method in ("GET", "HEAD"):
            return None
        return key, self._resume.principal_of(request), request.method, request.target

    async def forward(self, forward: Forward, key: IdempotencyKey) -> None:
        """Forward a request, or serve the stream of an earlier one.

        Raises IdempotencyMismatch if the earlier one had another body.
        """
        exchange = forward.exchange
        start, rest = await _read_start(forward.body, self._body_bytes_max)
        if rest is not None:
            log_events.key_ignored(exchange.policy.name, self._body_bytes_max)
            exchange.give_up_with_client()
            await self._forwarder.forward(replace(forward, body=_chain(start, rest)))
            return
        digest = hashlib.sha256(start).digest()
        entry, is_new = self._store.take(key, digest)
        while not is_new:
            exchange.give_up_with_client()
            stream = await asyncio.shield(entry.opened) if entry is not None else None
            exchange.while_waiting(None)
            if stream is not None:
                await self._resume.repeat(exchange, stream)
                return
            entry, is_new = self._store.take(key, digest)
        body = _chain(start, None) if start else None
        try:
            await self._forwarder.forward(replace(forward, body=body, key=key if entry else None))
        finally:
            self._store.release(key, entry)


async def _read_start(
    body: AsyncIterator[bytes] | None, bytes_max: int
) -> tuple[bytes, AsyncIterator[bytes] | None]:
    """Return a body, or the start of a larger one and the rest to read."""
    start = bytearray()
    if body is not None:
        async for chunk in body:
            start += chunk
            if len(start) > bytes_max:
                return bytes(start), body
    return bytes(start), None


async def _chain(start: bytes, rest: AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    yield start
    if rest is not None:
        async for chunk in rest:
            yield chunk
