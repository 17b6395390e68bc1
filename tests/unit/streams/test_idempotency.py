"""Idempotency keys: one key, one request to the backend, and no key that stays behind."""

from types import SimpleNamespace
from typing import cast

import pytest

from sidecar.observability.errors import IdempotencyMismatch
from sidecar.streams.idempotency import IdempotencyKey, IdempotencyStore
from sidecar.streams.stream import Stream

KEY: IdempotencyKey = (b"key", b"ann", "POST", b"/v1/chat")
BODY, OTHER_BODY = b"digest", b"other!"


def stream(stream_id: str = "s1") -> Stream:
    return cast("Stream", SimpleNamespace(id=stream_id))


async def test_the_first_request_claims_and_the_second_waits_for_its_stream() -> None:
    claims = IdempotencyStore(10)
    claim, new = claims.take(KEY, BODY)
    assert claim is not None
    assert new
    assert claims.take(KEY, BODY) == (claim, False)
    begun = stream()
    claims.bind(KEY, begun)
    assert await claim.opened is begun
    assert claims.take(KEY, BODY) == (claim, False), "a retry after the start attaches too"


async def test_the_same_key_with_another_body_is_a_mistake_and_harms_nobody() -> None:
    claims = IdempotencyStore(10)
    claim, _ = claims.take(KEY, BODY)
    with pytest.raises(IdempotencyMismatch):
        claims.take(KEY, OTHER_BODY)
    assert claims.take(KEY, BODY) == (claim, False)


@pytest.mark.parametrize(
    "other",
    [
        (b"KEY", b"ann", "POST", b"/v1/chat"),
        (b"key", b"bob", "POST", b"/v1/chat"),
        (b"key", b"ann", "PUT", b"/v1/chat"),
        (b"key", b"ann", "POST", b"/v1/chat?"),
    ],
)
async def test_another_key_principal_method_or_target_is_another_request(other: IdempotencyKey) -> None:
    claims = IdempotencyStore(10)
    claims.take(KEY, BODY)
    _, new = claims.take(other, OTHER_BODY)
    assert new


async def test_when_no_stream_came_of_it_whoever_waits_is_let_go_and_may_claim_himself() -> None:
    claims = IdempotencyStore(10)
    first, _ = claims.take(KEY, BODY)
    assert first is not None
    claims.release(KEY, first)
    assert await first.opened is None
    second, new = claims.take(KEY, OTHER_BODY)
    assert new
    assert second is not first
    assert len(claims) == 1


async def test_a_release_after_the_stream_began_changes_nothing() -> None:
    claims = IdempotencyStore(10)
    claim, _ = claims.take(KEY, BODY)
    claims.bind(KEY, stream())
    claims.release(KEY, claim)
    assert claims.take(KEY, BODY) == (claim, False)


async def test_the_key_goes_with_its_stream() -> None:
    claims = IdempotencyStore(10)
    claims.take(KEY, BODY)
    claims.bind(KEY, stream("s1"))
    claims.forget("another")
    assert len(claims) == 1
    claims.forget("s1")
    claims.forget("s1")
    assert len(claims) == 0
    _, new = claims.take(KEY, OTHER_BODY)
    assert new


async def test_above_the_bound_a_request_is_served_without_protection() -> None:
    claims = IdempotencyStore(1)
    claims.take(KEY, BODY)
    assert claims.take((b"2", b"ann", "POST", b"/"), BODY) == (None, True)
    assert len(claims) == 1


async def test_a_request_that_got_no_claim_does_not_give_back_the_claim_of_another() -> None:
    claims = IdempotencyStore(1)
    full = (b"2", b"ann", "POST", b"/")
    first, _ = claims.take(full, BODY)
    nothing, _ = claims.take(KEY, BODY)
    claims.release(full, first)
    held, _ = claims.take(KEY, BODY)
    assert held is not None
    claims.release(KEY, nothing)
    assert not held.opened.done()
    begun = stream()
    claims.bind(KEY, begun)
    assert await held.opened is begun
