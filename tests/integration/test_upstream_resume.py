"""Where the backend can resume, the sidecar goes back to it by itself, and the client notices nothing."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from sidecar.config.routes import RoutePolicy
from sidecar.http1.upstream.client import AiohttpUpstream, OutgoingRequest
from sidecar.streams.stream import Stream
from sidecar.streams.upstream_reader import RECONNECTS_MAX, UpstreamReader
from tests.kit.fake_upstream import FakeUpstream, Script, plain, sse
from tests.kit.protocols import OPENAI
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar

QUIET_S = 2.0
ROUTE: dict[str, Any] = {"methods": ["GET"], "upstream_resume": True}


def numbered(*numbers: int) -> bytes:
    return b"".join(b"data: %d\nid: %d\n\n" % (number, number) for number in numbers)


def data(response: Response) -> list[str]:
    return [event.data for event in response.seen]


def reconnects(sc: RunningSidecar, outcome: str) -> float:
    return sc.metric("sse_reconnect_duration_seconds_count", side="upstream", outcome=outcome)


async def test_a_dropped_backend_is_asked_for_the_rest_and_what_comes_twice_is_suppressed() -> None:
    async with relayed(ROUTE) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(numbered(1, 2, 3), b"data: hal", gate, then="reset"), sse(numbered(2, 3, 6, 7)))
        async with sc.client.open("GET", "/feed?a=1", [("Authorization", "Bearer alice")]) as response:
            await response.take(3)
            gate.set()
            await response.read_to_end()
        stream = response.header("SSE-Stream")
        assert data(response) == ["1", "2", "3", "6", "7"]
        assert [event.last_event_id for event in response.seen] == [f"{stream}.{n}" for n in range(1, 6)]
        assert response.ended == "clean"
        again = up.requests[1]
        assert (again.target, again.header("Authorization")) == ("/feed?a=1", "Bearer alice")
        assert again.headers.all("Last-Event-ID") == ["3"]
        assert 1.0 <= again.at - up.requests[0].at <= 2.5
        assert sc.metric("sse_messages_duplicated_total", disposition="suppressed", stage="upstream") == 2
        assert sc.metric("sse_messages_lost_total", stage="upstream", reason="upstream_gap") == 2
        assert reconnects(sc, "resumed") == 1
        assert sc.metric("sse_continuity_unproven_total") == 0
        assert sc.outcomes() == {"completed": 1}


@pytest.mark.alone  # it measures a short time
async def test_a_quiet_feed_is_back_when_it_answers_and_not_when_it_speaks() -> None:
    async with relayed(ROUTE) as (up, sc):
        loses, speaks = asyncio.Event(), asyncio.Event()
        up.script(sse(numbered(1), loses, then="reset"), sse(speaks, numbered(2)))
        async with sc.client.open("GET", "/feed") as response:
            await response.take(1)
            loses.set()
            again = await up.request(1)
            assert await response.silent_for(QUIET_S)
            speaks.set()
            await response.read_to_end()
        assert data(response) == ["1", "2"]
        assert reconnects(sc, "resumed") == 1
        took_s = sc.metric("sse_reconnect_duration_seconds_sum", side="upstream", outcome="resumed")
        assert took_s <= again.at - up.requests[0].at + QUIET_S / 2


OPAQUE = [
    (b"data: 1\nid: a\n\ndata: 2\nid: b\n\n", b"data: 3\nid: c\n\n", "opaque_upstream_id"),
    (b"data: 1\rid: 8\r\rdata: 2\rid: 4\r\r", b"data: 3\rid: 5\r\r", "opaque_upstream_id"),
]


@pytest.mark.parametrize(
    ("before", "after", "reason"), OPAQUE, ids=["letters", "no steps by one, ended by CR"]
)
async def test_what_ids_cannot_prove_is_an_episode_and_no_loss_of_zero(
    before: bytes, after: bytes, reason: str
) -> None:
    async with relayed(ROUTE) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(before, gate, then="fin"), sse(after))
        async with sc.client.open("GET", "/feed") as response:
            await response.take(2)
            gate.set()
            await response.read_to_end()
        assert data(response) == ["1", "2", "3"]
        assert sc.metric("sse_continuity_unproven_total", reason=reason) == 1
        assert sc.metric("sse_messages_lost_total") == 0


async def test_a_backend_that_gives_one_id_to_two_events_is_not_asked_again() -> None:
    async with relayed(ROUTE) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(b"data: 1\nid: x\n\n", b"data: 2\nid: x\n\n", gate, then="reset"))
        async with sc.client.open("GET", "/feed") as response:
            await response.take(2)
            gate.set()
            await response.read_to_end()
        assert response.ended == "aborted"
        assert sc.metric("sse_continuity_unproven_total", reason="reused_upstream_id") == 1
        assert len(up.requests) == 1


async def test_an_answer_without_ids_is_not_asked_for_again() -> None:
    async with relayed(ROUTE) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(b"data: 1\n\n", gate, then="reset"))
        async with sc.client.open("GET", "/feed") as response:
            await response.event()
            gate.set()
            await response.read_to_end()
        assert (response.ended, len(up.requests)) == ("aborted", 1)


async def test_a_known_answer_that_has_shown_its_terminal_is_not_asked_for_again() -> None:
    async with relayed(ROUTE) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(b"id: 1\n" + OPENAI.first, OPENAI.terminal, gate, then="reset"))
        async with sc.client.open("GET", "/feed") as response:
            await response.take(2)
            gate.set()
            await response.read_to_end()
        assert (response.ended, len(up.requests)) == ("clean", 1)


async def test_a_feed_is_opened_again_after_any_end_also_without_ids_and_after_a_refusal() -> None:
    async with relayed({**ROUTE, "kind": "live"}) as (up, sc):
        up.script(sse(b"data: 1\n\n"), plain(503), sse(b"data: 2\n\n", then="stall"))
        async with sc.client.open("GET", "/feed") as response:
            await response.take(2)
        assert data(response) == ["1", "2"]
        assert [request.header("Last-Event-ID") for request in up.requests] == [None, None, None]
        assert 2.0 <= up.requests[2].at - up.requests[1].at <= 3.5
        assert reconnects(sc, "resumed") == 1


async def test_a_204_says_that_the_feed_is_over() -> None:
    async with relayed({**ROUTE, "kind": "live"}) as (up, sc):
        up.script(sse(numbered(1)), plain(204))
        async with sc.client.open("GET", "/feed") as response:
            await response.read_to_end()
        assert (response.ended, data(response)) == ("clean", ["1"])
        assert up.requests[1].header("Last-Event-ID") == "1"
        assert sc.outcomes() == {"completed": 1}
        assert reconnects(sc, "gave_up") == 0


async def test_a_backend_that_hangs_is_left_and_asked_again() -> None:
    route = {**ROUTE, "stall_s": 0.1, "upstream_idle_s": 0.3, "heartbeat_s": 0.2}
    async with relayed(route) as (up, sc):
        up.script(sse(numbered(1), then="stall"), sse(numbered(2)))
        async with sc.client.open("GET", "/feed") as response:
            await response.read_to_end()
        assert (response.ended, data(response)) == ("clean", ["1", "2"])
        assert up.connections[0].closed_by_peer_at is not None
        assert sc.metric("sse_stall_recovery_seconds_count", outcome="recovered") == 1
        assert len(response.comments) >= 3


async def test_a_client_that_comes_back_meanwhile_waits_with_the_others() -> None:
    async with relayed(ROUTE) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(numbered(1, 2), gate, then="reset"), sse(numbered(3)))
        async with sc.client.open("GET", "/feed") as first:
            await first.take(2)
            gate.set()
            await up.connections[0].request.wire.lost.wait()
            await first.cut()
        async with sc.client.resume(f"{first.header('SSE-Stream')}.1") as second:
            await second.read_to_end()
        assert (data(second), second.ended, len(up.requests)) == (["2", "3"], "clean", 2)


async def read_by_intake(
    sc: RunningSidecar, up: FakeUpstream, *scripts: Script
) -> tuple[Stream, AiohttpUpstream]:
    """Start an intake whose waits take no time, on a stream of the sidecar's own hub."""
    up.script(*scripts)
    policy = RoutePolicy(methods=("GET",), upstream_resume=True, on_disconnect="continue", stall_s=0.0)
    stream = sc.parts.hub.create(policy, b"principal")
    upstream = await AiohttpUpstream(up.url).__aenter__()
    request = OutgoingRequest("GET", b"/feed", [(b"host", b"up")])
    intake = UpstreamReader(stream, upstream, request, wait_s=lambda _: 0.0)
    intake.start(await upstream.request(request))
    return stream, upstream


GONE: dict[str, tuple[Sequence[Script], int]] = {
    "down": ([], 1),
    "refusing": ([plain(503)] * RECONNECTS_MAX, 1 + RECONNECTS_MAX),
    "answering with nothing": ([sse(then="fin")] * RECONNECTS_MAX, 1 + RECONNECTS_MAX),
}


@pytest.mark.parametrize(("scripts", "requests"), GONE.values(), ids=GONE)
async def test_a_backend_that_does_not_come_back_is_given_up_after_a_bounded_number_of_attempts(
    scripts: Sequence[Script], requests: int
) -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        first = sse(numbered(1), gate, then="reset")
        stream, upstream = await read_by_intake(sc, up, first, *scripts)
        if not scripts:
            up.refuse()
        gate.set()
        await sc.until(lambda: stream.outcome is not None)
        await upstream.__aexit__()
        assert len(up.requests) == requests
        assert stream.outcome == "upstream_truncated"
        assert sc.metric("sse_reconnect_duration_seconds_count", side="upstream", outcome="gave_up") == 1
        stream.expire()


async def test_attempts_count_anew_after_every_byte() -> None:
    async with relayed() as (up, sc):
        drops = [sse(numbered(n), then="fin") for n in range(1, 3 * RECONNECTS_MAX)]
        stream, upstream = await read_by_intake(sc, up, *drops, sse(numbered(3 * RECONNECTS_MAX)))
        await sc.until(lambda: stream.ending is not None)
        await upstream.__aexit__()
        assert stream.ending is not None
        assert stream.ending.error is None
        assert stream.log.last_seq == 3 * RECONNECTS_MAX
        stream.expire()
