"""When the client leaves, the backend is read on for a while, to its end, or not at all."""

import asyncio
from typing import Any

import pytest

from tests.kit.fake_upstream import FakeUpstream, plain, sse
from tests.kit.protocols import OPENAI
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar
from tests.kit.upstream_connection import UpstreamConnection

STREAM = ("Accept", "text/event-stream")


async def left(
    up: FakeUpstream, sc: RunningSidecar, how: str = "leave", path: str = "/v1/chat"
) -> tuple[str, UpstreamConnection]:
    """Read one event of an answer that is going on, and leave; return its stream and its upstream."""
    hand = up.by_hand()
    async with sc.client.open("POST", path) as response:
        upstream = await hand.connection()
        await upstream.write(OPENAI.first)
        await response.event()
        await (response.leave() if how == "leave" else response.cut())
    await sc.until(lambda: not sc.metric("sse_subscribers"))
    return response.header("SSE-Stream") or "", upstream


async def replay(sc: RunningSidecar, stream: str, after: int = 0) -> Response:
    return await sc.client.fetch("GET", "/v1/chat", [STREAM, ("Last-Event-ID", f"{stream}.{after}")])


@pytest.mark.alone  # it measures a short time
@pytest.mark.parametrize(("how", "outcome"), [("leave", "client_left"), ("cut", "client_abandoned")])
async def test_a_client_that_never_comes_back_is_lingered_for_and_then_counted_by_how_it_left(
    how: str, outcome: str
) -> None:
    async with relayed({"linger_s": 0.4}) as (up, sc):
        loop = asyncio.get_running_loop()
        began = loop.time()
        stream, upstream = await left(up, sc, how)
        await upstream.write(OPENAI.first)
        await sc.until(lambda: sc.metric("sse_messages_received_total") == 2)
        assert sc.metric("sse_streams_detached") == 1
        assert sc.outcomes() == {}
        closed = await upstream.closed_by_peer(2.0)
        assert 0.35 <= closed - began <= 2.0
        assert sc.outcomes() == {outcome: 1}
        gave_up = sc.metric("sse_reconnect_duration_seconds_count", side="client", outcome="gave_up")
        unproven = sc.metric("sse_continuity_unproven_total", reason="client_never_returned")
        assert (gave_up, unproven) == ((1, 1) if how == "cut" else (0, 0))
        late = await replay(sc, stream, 1)
        assert OPENAI.error_of(late.seen[-1], stream)["code"] == "err-sidecar-client-gone"
        assert sc.metric("sse_resumes_total", result="too_late") == 1
        assert sc.outcomes() == {outcome: 1, "resume_expired": 1}


async def test_a_reader_of_an_endless_feed_that_never_comes_back_has_left_however_it_went() -> None:
    async with relayed({"linger_s": 0.1, "kind": "live", "heartbeat_s": 0}) as (up, sc):
        _, upstream = await left(up, sc, "cut")
        await upstream.closed_by_peer(2.0)
        assert sc.outcomes() == {"client_left": 1}
        assert sc.metric("sse_reconnect_duration_seconds_count", side="client", outcome="gave_up") == 1
        assert sc.metric("sse_continuity_unproven_total", reason="client_never_returned") == 1


async def test_a_client_that_comes_back_in_time_stops_the_linger() -> None:
    async with relayed({"linger_s": 0.3, "heartbeat_s": 0}) as (up, sc):
        stream, upstream = await left(up, sc, "cut")
        async with sc.client.resume(f"{stream}.1") as response:
            assert await response.silent_for(0.6)
            await upstream.write(OPENAI.terminal)
            await upstream.end()
            await response.read_to_end()
        assert (response.ended, [event.data for event in response.seen]) == ("clean", ["[DONE]"])
        assert sc.outcomes() == {"completed": 1}


async def test_with_continue_the_answer_is_read_to_its_end_and_kept() -> None:
    async with relayed({"on_disconnect": "continue", "linger_s": 0.1}) as (up, sc):
        stream, upstream = await left(up, sc)
        await asyncio.sleep(0.4)  # longer than the linger, which must not matter here
        await upstream.write(OPENAI.first + OPENAI.terminal)
        await upstream.end()
        await sc.until(lambda: sc.metric("sse_messages_received_total") == 3)
        response = await replay(sc, stream, 1)
        assert (response.ended, [event.data for event in response.seen][1:]) == ("clean", ["[DONE]"])
        assert sc.metric("sse_resumes_total", result="expired") == 0


async def test_with_cancel_the_upstream_is_closed_at_once() -> None:
    async with relayed({"on_disconnect": "cancel"}) as (up, sc):
        _, upstream = await left(up, sc)
        await upstream.closed_by_peer(1.0)
        assert sc.outcomes() == {"client_left": 1}


async def test_cancel_mode_waits_for_the_last_reader() -> None:
    async with relayed({"on_disconnect": "cancel"}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("POST", "/v1/chat") as first:
            upstream = await hand.connection()
            async with sc.client.open("GET", f"/_sse/streams/{first.header('SSE-Stream')}") as second:
                await first.leave()
                await sc.until(lambda: sc.metric("sse_subscribers") == 1)
                await upstream.write(OPENAI.first + OPENAI.terminal)
                await upstream.end()
                await second.read_to_end()
        assert second.ended == "clean"
        assert sc.outcomes() == {"completed": 1}


@pytest.mark.parametrize("on_disconnect", ["linger", "continue", "cancel"])
async def test_a_client_that_leaves_right_at_the_terminal_has_completed(on_disconnect: str) -> None:
    async with relayed({"on_disconnect": on_disconnect, "linger_s": 5}) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(OPENAI.first, OPENAI.terminal, gate))
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.take(2)
            await response.leave()
        if on_disconnect != "cancel":
            await sc.until(lambda: sc.metric("sse_streams_detached") == 1)
            gate.set()
        await sc.until(sc.outcomes)
        gate.set()
        assert sc.outcomes() == {"completed": 1}


async def test_an_answer_that_finished_unread_counts_against_the_client_only_after_the_linger() -> None:
    async with relayed({"linger_s": 0.3}) as (up, sc):
        stream, upstream = await left(up, sc)
        await upstream.write(OPENAI.terminal)
        await upstream.end()
        await sc.until(lambda: sc.metric("sse_messages_received_total") == 2)
        assert sc.outcomes() == {}
        await sc.until(sc.outcomes)
        assert sc.outcomes() == {"client_left": 1}
        assert [event.data for event in (await replay(sc, stream, 1)).seen] == ["[DONE]"]


async def test_a_whole_answer_that_is_fetched_after_the_linger_is_no_expired_resume() -> None:
    async with relayed({"linger_s": 0}) as (up, sc):
        up.script(sse(OPENAI.first, OPENAI.terminal))
        hand = up.by_hand()
        del hand
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.read_to_end()
        stream = response.header("SSE-Stream") or ""
        again = await replay(sc, stream, 1)
        assert ([event.data for event in again.seen], again.ended) == (["[DONE]"], "clean")
        assert sc.outcomes() == {"completed": 1}
        assert sc.metric("sse_resumes_total", result="resumed") == 1


async def test_a_finished_stream_expires_after_its_retention() -> None:
    async with relayed({"retain_s": 0.4}) as (up, sc):
        up.script(sse(OPENAI.first, OPENAI.terminal))
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.read_to_end()
        stream = response.header("SSE-Stream") or ""
        assert (await replay(sc, stream, 1)).status == 200
        assert sc.metric("sse_log_bytes") > 0
        await sc.until(lambda: not sc.parts.hub.streams)
        assert (sc.metric("sse_log_bytes"), sc.parts.hub.budget.bytes_held) == (0, 0)
        assert (await replay(sc, stream, 1)).status == 410


async def test_messages_that_nobody_came_back_for_are_counted_as_unread() -> None:
    async with relayed({"linger_s": 0.1, "retain_s": 0.2}) as (up, sc):
        _, upstream = await left(up, sc)
        await upstream.write(OPENAI.first * 4)
        await upstream.closed_by_peer(2.0)
        await sc.until(lambda: not sc.parts.hub.streams)
        assert sc.metric("sse_unread_messages_total") == 4


BUDGETS: dict[str, dict[str, Any]] = {
    "streams": {"streams_max": 1},
    "streams per principal": {"streams_per_principal_max": 1},
}


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
async def test_above_a_budget_a_stream_is_refused_linger_and_not_service(budget: dict[str, Any]) -> None:
    async with relayed(**budget) as (up, sc):
        kept, _ = await left(up, sc)
        _, upstream = await left(up, sc)
        await upstream.closed_by_peer(1.0)
        assert sc.outcomes() == {"client_left": 1}
        assert sc.metric("sse_streams_detached") == 1
        assert (sc.parts.hub.find(kept) is not None) is True


async def test_a_finished_stream_makes_room_before_anybody_is_refused() -> None:
    async with relayed(streams_max=2) as (up, sc):
        names = []
        for _ in range(2):
            up.script(sse(OPENAI.first, OPENAI.terminal))
            async with sc.client.open("POST", "/v1/chat") as response:
                await response.read_to_end()
            names.append(response.header("SSE-Stream") or "")
        await left(up, sc)
        assert [(await replay(sc, name, 1)).status for name in names] == [410, 200]
        assert sc.metric("sse_streams_detached") == 1


async def test_a_client_that_leaves_a_plain_answer_or_before_any_head_takes_the_upstream_with_it() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("POST", "/v1/chat", [STREAM], b"{}"))
            upstream = await hand.connection()
            await connection.leave()
            await upstream.closed_by_peer(1.0)
        up.script(plain(200, [("Content-Length", "9")], b"abc", then="stall"))
        async with sc.client.open("GET", "/file", accept=None) as response:
            await response.read_until(b"abc")
            await response.leave()
            await up.requests[1].closed_by_peer(1.0)
        await sc.until(lambda: sc.metric("sse_requests_total", code_class="aborted") == 2)


@pytest.mark.parametrize("how", ["leave", "cut"])
async def test_nothing_of_a_client_that_left_a_silent_stream_remains(how: str) -> None:
    async with relayed({"heartbeat_s": 0}) as (up, sc):
        await left(up, sc, how)
        await sc.until(lambda: not sc.parts.public.server_state.tasks)


async def test_a_client_that_leaves_is_noticed_although_it_has_pipelined_another_request() -> None:
    async with relayed({"heartbeat_s": 0.1, "on_disconnect": "cancel"}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.connect() as connection:
            request = sc.client.request_bytes("POST", "/v1/chat", [STREAM], b"{}")
            await connection.send(request + request)
            upstream = await hand.connection()
            await upstream.write(OPENAI.first)
            await sc.until(lambda: sc.metric("sse_messages_delivered_total"))
            await connection.cut()
        await upstream.closed_by_peer(1.0)
        await sc.until(lambda: not sc.parts.public.server_state.tasks)
        assert len(up.requests) == 1
