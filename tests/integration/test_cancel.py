"""Stop means stop: a cancel closes the upstream within a second, once, and only for who may."""

import asyncio
import contextlib
import random

import pytest

from tests.kit.fake_upstream import ByHand, sse
from tests.kit.protocols import OPENAI
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar

ALICE = ("Authorization", "Bearer alice")
BOB = ("Authorization", "Bearer bob")
VERBS = {"DELETE": ("DELETE", ""), "POST": ("POST", "/cancel")}


async def cancel(
    sc: RunningSidecar, stream: str | None, verb: str = "DELETE", *headers: tuple[str, str]
) -> Response:
    method, suffix = VERBS[verb]
    return await sc.client.fetch(method, f"/_sse/streams/{stream}{suffix}", [ALICE, *headers])


@pytest.mark.parametrize("verb", VERBS)
async def test_a_cancel_closes_the_upstream_within_a_second_and_tells_the_reader(verb: str) -> None:
    async with relayed() as (up, sc):
        up.script(sse(OPENAI.first, then="stall"))
        async with sc.client.open("POST", "/v1/chat", [ALICE]) as response:
            await response.event()
            stream = response.header("SSE-Stream") or ""
            answer = await cancel(sc, stream, verb)
            await up.requests[0].closed_by_peer(1.0)
            await response.read_to_end(1.0)
        assert (answer.status, answer.raw) == (204, b"")
        assert response.ended == "aborted"
        assert OPENAI.error_of(response.seen[-1], stream)["code"] == "err-sidecar-cancelled"
        assert sc.outcomes() == {"client_cancelled": 1}


async def test_a_cancel_is_idempotent_before_and_after_the_end_and_after_expiry() -> None:
    async with relayed({"linger_s": 0.2, "retain_s": 0.3}) as (up, sc):
        up.script(sse(OPENAI.first, then="stall"))
        async with sc.client.open("POST", "/v1/chat", [ALICE]) as response:
            await response.event()
            stream = response.header("SSE-Stream")
            assert [(await cancel(sc, stream)).status for _ in range(3)] == [204, 204, 204]
        await sc.until(lambda: not sc.parts.hub.streams)
        assert (await cancel(sc, stream)).status == 204
        assert sc.outcomes() == {"client_cancelled": 1}


async def test_a_cancel_after_a_whole_answer_changes_nothing() -> None:
    async with relayed() as (up, sc):
        up.script(sse(OPENAI.first, OPENAI.terminal))
        async with sc.client.open("POST", "/v1/chat", [ALICE]) as response:
            await response.read_to_end()
        stream = response.header("SSE-Stream")
        assert (await cancel(sc, stream)).status == 204
        assert sc.outcomes() == {"completed": 1}
        replay = await sc.client.fetch(
            "GET", f"/_sse/streams/{stream}", [ALICE, ("Accept", "text/event-stream")]
        )
        assert (replay.raw, replay.ended) == (response.raw, "clean")


async def test_a_cancel_stops_a_stream_that_nobody_reads() -> None:
    async with relayed({"on_disconnect": "continue"}) as (up, sc):
        up.script(sse(OPENAI.first, then="stall"))
        async with sc.client.open("POST", "/v1/chat", [ALICE]) as response:
            await response.event()
            await response.leave()
        await sc.until(lambda: sc.metric("sse_streams_detached") == 1)
        assert (await cancel(sc, response.header("SSE-Stream"))).status == 204
        await up.requests[0].closed_by_peer(1.0)
        assert sc.outcomes() == {"client_cancelled": 1}


async def test_a_cancel_before_the_backends_head_ends_the_request_to_it() -> None:
    async with relayed({"early_start_s": 0.05}) as (up, sc):
        hand: ByHand = up.by_hand(head=False)
        async with sc.client.open("POST", "/v1/chat", [ALICE], b"{}") as response:
            await hand.connection()
            await cancel(sc, response.header("SSE-Stream"))
            await up.requests[0].closed_by_peer(1.0)
            await response.read_to_end(1.0)
        assert response.ended == "aborted"
        assert sc.outcomes() == {"client_cancelled": 1}


@pytest.mark.parametrize("seed", range(8))
async def test_a_cancel_that_races_with_the_end_leaves_one_outcome_and_one_terminal(seed: int) -> None:
    chance = random.Random(seed)
    async with relayed() as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("POST", "/v1/chat", [ALICE]) as response:
            upstream = await hand.connection()
            await upstream.write(OPENAI.first)
            await response.event()
            stream = response.header("SSE-Stream") or ""

            async def finish() -> None:
                await asyncio.sleep(chance.random() * 0.01)
                with contextlib.suppress(ConnectionResetError):  # the cancel was first
                    await upstream.write(OPENAI.terminal)
                    await upstream.end()

            async def stop() -> None:
                await asyncio.sleep(chance.random() * 0.01)
                assert (await cancel(sc, stream)).status == 204

            await asyncio.gather(finish(), stop(), response.read_to_end(), return_exceptions=False)
        await sc.until(sc.outcomes)
        assert sc.outcomes() in ({"completed": 1}, {"client_cancelled": 1})
        replay = await sc.client.fetch(
            "GET", f"/_sse/streams/{stream}", [ALICE, ("Accept", "text/event-stream")]
        )
        terminals = [event for event in replay.seen if event.data == "[DONE]" or '"error"' in event.data]
        assert len(terminals) == 1
        assert [event.data for event in replay.seen] == [event.data for event in response.seen]


REFUSED = {
    "GET on the cancel resource": ("GET", "/cancel", ALICE, 405, "err-sidecar-method-not-allowed"),
    "PUT on the stream": ("PUT", "", ALICE, 405, "err-sidecar-method-not-allowed"),
    "no login": ("DELETE", "", ("X", "y"), 404, "err-sidecar-stream-not-found"),
    "another's login": ("DELETE", "", BOB, 404, "err-sidecar-stream-not-found"),
    "no such resource": ("POST", "/stop", ALICE, 404, "err-sidecar-control-not-found"),
}


@pytest.mark.parametrize(("method", "suffix", "login", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_a_wrong_cancel_is_refused_and_has_no_effect(
    method: str, suffix: str, login: tuple[str, str], status: int, code: str
) -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("POST", "/v1/chat", [ALICE]) as response:
            upstream = await hand.connection()
            target = f"/_sse/streams/{response.header('SSE-Stream')}{suffix}"
            refused = await sc.client.fetch(method, target, [login])
            assert (refused.status, refused.json()["code"]) == (status, code)
            assert (refused.header("Allow") is not None) is (status == 405)
            await upstream.write(OPENAI.first + OPENAI.terminal)
            await upstream.end()
            await response.read_to_end()
        assert response.ended == "clean"
        assert len(up.requests) == 1


SITES: dict[str, tuple[list[tuple[str, str]], int]] = {
    "no browser": ([], 204),
    "same origin by fetch metadata": ([("Sec-Fetch-Site", "same-origin"), ("Origin", "https://a.test")], 204),
    "the address bar": ([("Sec-Fetch-Site", "none")], 204),
    "cross-site": ([("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.test")], 403),
    "same-site is another origin": ([("Sec-Fetch-Site", "same-site"), ("Origin", "https://b.a.test")], 403),
    "a foreign origin of an old browser": ([("Origin", "https://evil.test")], 403),
    "a sandboxed page": ([("Origin", "null")], 403),
    "an allowed origin": ([("Sec-Fetch-Site", "cross-site"), ("Origin", "https://app.test")], 204),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("headers", "status"), SITES.values(), ids=SITES)
async def test_only_pages_of_allowed_origins_may_cancel(
    headers: list[tuple[str, str]], status: int, verb: str
) -> None:
    async with relayed(allowed_origins=["https://app.test"]) as (up, sc):
        up.script(sse(OPENAI.first, then="stall"))
        async with sc.client.open("POST", "/v1/chat", [ALICE]) as response:
            await response.event()
            answer = await cancel(sc, response.header("SSE-Stream"), verb, *headers)
            assert answer.status == status
            assert sc.outcomes() == ({"client_cancelled": 1} if status == 204 else {})
            allowed = ("Origin", "https://app.test") in headers
            cors = "https://app.test" if allowed else None
            assert answer.header("Access-Control-Allow-Origin") == cors


async def test_an_allowed_origin_gets_its_preflight_answered_and_another_no_permission() -> None:
    async with relayed(allowed_origins=["https://app.test"]) as (_, sc):
        for origin, allowed in (("https://app.test", "https://app.test"), ("https://evil.test", None)):
            answer = await sc.client.fetch(
                "OPTIONS",
                f"/_sse/streams/s1{'A' * 40}",
                [("Origin", origin), ("Access-Control-Request-Method", "DELETE")],
            )
            assert answer.status == 204
            assert answer.header("Access-Control-Allow-Origin") == allowed


@pytest.mark.parametrize(
    "target", ["/_sse", "/_sse/", "/_sse/nothing", "/%5Fsse/streams/x", "/_sse%2F..", "/_sse/streams/"]
)
async def test_nothing_below_the_reserved_prefix_reaches_the_backend(target: str) -> None:
    async with relayed() as (up, sc):
        answer = await sc.client.fetch("GET", target)
        assert answer.status == 404
        assert up.requests == []


async def test_the_reserved_prefix_can_be_another() -> None:
    async with relayed(reserved_prefix="/internal/sse") as (up, sc):
        up.script(sse(OPENAI.first, then="stall"))
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.event()
            target = f"/internal/sse/streams/{response.header('SSE-Stream')}"
            assert (await sc.client.fetch("DELETE", target)).status == 204
        await up.requests[0].closed_by_peer(1.0)
