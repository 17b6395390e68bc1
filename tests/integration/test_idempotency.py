"""One Idempotency-Key, one request to the backend, however often the client had to send it."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.kit.fake_upstream import plain, sse
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar

THREE = (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n")
KEY = ("Idempotency-Key", "k1")
STREAM = ("Accept", "text/event-stream")
BODY = b'{"prompt":"hi"}'
ALICE = ("Authorization", "Bearer alice")


async def post(
    sc: RunningSidecar,
    body: bytes = BODY,
    *headers: tuple[str, str],
    target: str = "/v1/chat",
    keys: Sequence[tuple[str, str]] = (KEY,),
) -> Response:
    return await sc.client.fetch("POST", target, [STREAM, *keys, *headers], body)


def data(response: Response) -> list[str]:
    return [event.data for event in response.seen]


async def test_two_at_once_are_one_request_and_both_get_the_whole_answer() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        both = [asyncio.ensure_future(post(sc)) for _ in range(2)]
        upstream = await hand.connection()
        await sc.until(lambda: len(sc.parts.public.server_state.tasks) == 2)
        await sse(*THREE)(upstream)
        first, second = await asyncio.gather(*both)
        assert data(first) == data(second) == ["1", "2", "3"]
        assert first.header("SSE-Stream") == second.header("SSE-Stream")
        assert first.raw == second.raw
        assert len(up.requests) == 1
        assert up.requests[0].body == BODY
        assert sc.metric("sse_generations_saved_total") == 1
        assert sc.outcomes() == {"completed": 1}


async def test_a_retry_in_the_middle_of_the_answer_gets_it_from_the_start_and_goes_on_live() -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(*THREE[:2], gate, THREE[2]))
        async with sc.client.open("POST", "/v1/chat", [KEY], BODY) as first:
            await first.take(2)
            await first.cut()
        retry = asyncio.ensure_future(post(sc))
        await sc.until(lambda: sc.metric("sse_messages_replayed_total") == 2)
        gate.set()
        assert data(await retry) == ["1", "2", "3"]
        assert len(up.requests) == 1
        assert sc.metric("sse_reconnect_duration_seconds_count", side="client", outcome="resumed") == 1


async def test_a_retry_after_the_end_replays_the_answer() -> None:
    async with relayed() as (up, sc):
        up.script(sse(*THREE))
        first, retry = await post(sc), await post(sc)
        assert (retry.raw, retry.ended) == (first.raw, "clean")
        assert len(up.requests) == 1


async def test_a_retry_after_a_failure_is_told_the_failure_and_calls_nobody() -> None:
    async with relayed() as (up, sc):
        up.script(sse(THREE[0], then="fin"))
        first, retry = await post(sc), await post(sc)
        assert (retry.raw, retry.ended) == (first.raw, "aborted")
        assert len(up.requests) == 1


async def test_the_same_key_with_another_body_is_422() -> None:
    async with relayed() as (up, sc):
        up.script(sse(*THREE))
        await post(sc)
        response = await post(sc, b'{"prompt":"ho"}')
        assert (response.status, response.json()["code"]) == (422, "err-sidecar-idempotency-mismatch")
        assert len(up.requests) == 1


async def test_the_same_key_of_another_principal_target_or_method_is_another_request() -> None:
    async with relayed() as (up, sc):
        up.script(*[sse(block) for block in (*THREE, b"data: 4\n\n")])
        assert data(await post(sc, BODY, ALICE)) == ["1"]
        assert data(await post(sc, BODY, ("Authorization", "Bearer bob"))) == ["2"]
        assert data(await post(sc, BODY, ALICE, target="/v1/chat?v=2")) == ["3"]
        put = await sc.client.fetch("PUT", "/v1/chat", [STREAM, KEY, ALICE], BODY)
        assert data(put) == ["4"]


async def test_a_get_needs_no_key() -> None:
    async with relayed() as (up, sc):
        up.script(sse(THREE[0]), sse(THREE[1]))
        for expected in ("1", "2"):
            response = await sc.client.fetch("GET", "/feed", [STREAM, KEY])
            assert data(response) == [expected]


@pytest.mark.parametrize("waits", [True, False], ids=["while the first waits", "after the first"])
async def test_when_the_first_gets_a_502_the_second_asks_by_itself(waits: bool) -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        first = asyncio.ensure_future(post(sc))
        upstream = await hand.connection()
        up.script(sse(*THREE))
        second = asyncio.ensure_future(post(sc)) if waits else None
        if waits:
            await sc.until(lambda: len(sc.parts.public.server_state.tasks) == 2)
        await upstream.reset()
        assert (await first).status == 502
        assert data(await (second or post(sc))) == ["1", "2", "3"]
        assert len(up.requests) == 2


async def test_an_answer_that_is_no_stream_gives_the_key_back() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        first = asyncio.ensure_future(post(sc))
        upstream = await hand.connection()
        second = asyncio.ensure_future(post(sc))
        await sc.until(lambda: len(sc.parts.public.server_state.tasks) == 2)
        up.script(sse(*THREE))
        await plain(429, [("Retry-After", "1")], b"slow down")(upstream)
        assert ((await first).status, (await first).raw) == (429, b"slow down")
        assert data(await second) == ["1", "2", "3"]
        assert data(await post(sc)) == ["1", "2", "3"]
        assert len(up.requests) == 2


async def test_a_client_that_leaves_before_the_head_finds_its_answer_when_it_retries() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("POST", "/v1/chat", [STREAM, KEY], BODY))
            upstream = await hand.connection()
            await connection.cut()
        await sse(*THREE)(upstream)
        assert data(await post(sc)) == ["1", "2", "3"]
        assert len(up.requests) == 1
        assert sc.outcomes() == {"completed": 1}


async def test_a_client_that_leaves_while_it_waits_for_another_takes_nothing_with_it() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        first = asyncio.ensure_future(post(sc))
        upstream = await hand.connection()
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("POST", "/v1/chat", [STREAM, KEY], BODY))
            await sc.until(lambda: len(sc.parts.public.server_state.tasks) == 2)
            await connection.cut()
        await sc.until(lambda: len(sc.parts.public.server_state.tasks) == 1)
        await sse(*THREE)(upstream)
        assert data(await first) == ["1", "2", "3"]
        assert sc.metric("sse_requests_total", code_class="aborted") == 1


async def test_a_body_above_the_bound_passes_through_whole_and_unprotected() -> None:
    large = b"x" * 300_000
    async with relayed(idempotency_body_bytes_max=1024) as (up, sc):
        up.script(sse(THREE[0]), sse(THREE[1]))
        assert data(await post(sc, large)) == ["1"]
        assert data(await post(sc, large)) == ["2"]
        assert [request.body for request in up.requests] == [large, large]


async def test_a_body_at_the_bound_is_protected() -> None:
    async with relayed(idempotency_body_bytes_max=1024) as (up, sc):
        up.script(sse(THREE[0]))
        assert data(await post(sc, b"x" * 1024)) == data(await post(sc, b"x" * 1024)) == ["1"]


async def test_a_request_without_a_body_can_have_a_key() -> None:
    async with relayed() as (up, sc):
        up.script(sse(*THREE))
        assert (await post(sc, b"")).raw == (await post(sc, b"")).raw
        assert len(up.requests) == 1


@pytest.mark.parametrize("key", ["", "k" * 257], ids=["empty", "too long"])
async def test_a_key_that_is_none_protects_nothing_and_still_passes(key: str) -> None:
    async with relayed() as (up, sc):
        up.script(sse(THREE[0]), sse(THREE[1]))
        assert data(await post(sc, keys=[("Idempotency-Key", key)])) == ["1"]
        assert data(await post(sc, keys=[("Idempotency-Key", key)])) == ["2"]
        assert up.requests[1].header("Idempotency-Key") == key


async def test_a_key_is_free_again_when_its_stream_is_gone() -> None:
    async with relayed({"linger_s": 0, "retain_s": 0}) as (up, sc):
        up.script(sse(THREE[0]), sse(THREE[1]))
        assert data(await post(sc)) == ["1"]
        await sc.until(lambda: not sc.parts.hub.streams)
        assert data(await post(sc)) == ["2"]


async def test_a_chunked_body_counts_by_its_content() -> None:
    async with relayed() as (up, sc):
        up.script(sse(*THREE))
        chunks = b"4\r\n" + BODY[:4] + b"\r\n" + b"%x\r\n" % len(BODY[4:]) + BODY[4:] + b"\r\n0\r\n\r\n"
        first = await sc.client.fetch(
            "POST", "/v1/chat", [STREAM, KEY, ("Transfer-Encoding", "chunked")], chunks
        )
        assert (await post(sc)).raw == first.raw
        assert [request.body for request in up.requests] == [BODY]
