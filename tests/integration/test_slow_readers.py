"""A reader that takes little costs little: it waits, or is sent away to come back; no loss is silent."""

import asyncio
import contextlib
import json

import pytest

from tests.kit.client import SSEClient
from tests.kit.deadline import within
from tests.kit.fake_upstream import FakeUpstream, sse
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar

KIB = 1024
MIB = 1024 * KIB
PADDING = b"x" * (4 * KIB - 32)
RCVBUF_BYTES = 4096
STANDSTILL_S = 0.3


def event(number: int) -> bytes:
    return b"data: %d %b\n\n" % (number, PADDING)


def numbers(response: Response) -> list[int]:
    return [int(e.data.split()[0]) for e in response.seen if e.type == "message"]


def slow(sc: RunningSidecar) -> SSEClient:
    """Return a client whose kernel takes next to nothing while the test does not read."""
    return SSEClient("127.0.0.1", sc.port, rcvbuf_bytes=RCVBUF_BYTES)


async def standstill(sc: RunningSidecar) -> float:
    """Wait until the sidecar reads no more from the backend; return how many messages it has."""
    before = -1.0
    while sc.metric("sse_messages_received_total") != before:
        before = sc.metric("sse_messages_received_total")
        await asyncio.sleep(STANDSTILL_S)
    return before


def flood(up: FakeUpstream, count: int) -> None:
    """Answer the next request with so many events, as fast as they are taken."""
    up.script(sse(*map(event, range(1, count + 1))))


@pytest.mark.alone  # it measures a short time
async def test_a_reader_that_takes_nothing_is_closed_in_time_and_comes_back_for_the_rest() -> None:
    loop = asyncio.get_running_loop()
    async with relayed({"send_timeout_s": 0.5}) as (up, sc):
        flood(up, 500)
        began = loop.time()
        async with slow(sc).open("POST", "/v1/chat") as response:
            await sc.until(lambda: not sc.metric("sse_subscribers"))
            assert 0.5 <= loop.time() - began <= 3.0
            await response.read_to_end()
        assert response.ended == "aborted"
        assert b"error" not in response.raw
        async with sc.client.resume(response.last_event_id) as again:
            await again.read_to_end()
        assert again.ended == "clean"
        assert numbers(response) + numbers(again) == list(range(1, 501))
        assert len(numbers(response)) < 100
        assert sc.outcomes() == {"completed": 1}
        assert sc.metric("sse_reconnect_duration_seconds_count", side="client", outcome="resumed") == 1


async def test_a_reader_that_was_closed_for_that_and_never_comes_back_is_counted_as_gone_not_as_leaving() -> (
    None
):
    async with relayed({"send_timeout_s": 0.2, "linger_s": 0.2}) as (up, sc):
        flood(up, 200)
        async with slow(sc).open("POST", "/v1/chat"):
            await sc.until(sc.outcomes)
        assert sc.outcomes() == {"client_abandoned": 1}


async def test_a_reader_that_takes_little_is_not_closed() -> None:
    async with relayed({"send_timeout_s": 0.5, "heartbeat_s": 0}) as (up, sc):
        flood(up, 100)
        async with slow(sc).open("POST", "/v1/chat") as response:
            for _ in range(8):
                await response.take(10)
                await asyncio.sleep(0.2)  # slow, on the whole three times as long as the timeout
            await response.read_to_end()
        assert (response.ended, numbers(response)) == ("clean", list(range(1, 101)))


async def test_an_answer_makes_its_backend_wait_at_the_cap_and_loses_nothing() -> None:
    async with relayed({"log_bytes_max": 64 * KIB}) as (up, sc):
        flood(up, 800)
        async with slow(sc).open("POST", "/v1/chat") as response:
            assert await standstill(sc) < 500
            assert sc.metric("sse_log_bytes") <= 64 * KIB + 128 * KIB
            await response.read_to_end()
        assert (response.ended, numbers(response)) == ("clean", list(range(1, 801)))
        assert sc.metric("sse_messages_lost_total") == 0
        assert sc.outcomes() == {"completed": 1}


async def test_an_answer_at_its_cap_waits_for_its_reader_to_come_back() -> None:
    async with relayed({"log_events_max": 10}) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(event(1), gate, *map(event, range(2, 101))))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.event()
            await first.cut()
        await sc.until(lambda: not sc.metric("sse_subscribers"))
        gate.set()
        held = await standstill(sc)
        assert held < 100
        async with sc.client.resume(first.last_event_id) as again:
            await again.read_to_end()
        assert again.ended == "clean"
        assert numbers(first) + numbers(again) == list(range(1, 101))


@pytest.mark.parametrize("on_disconnect", ["linger", "continue"])
async def test_a_backend_that_waits_for_nobody_is_closed_after_the_linger(on_disconnect: str) -> None:
    async with relayed({"log_events_max": 5, "on_disconnect": on_disconnect, "linger_s": 0.4}) as (up, sc):
        up.script(sse(*map(event, range(1, 101)), then="stall"))
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.event()
            await response.leave()
        await up.connections[0].closed_by_peer(3.0)
        assert sc.outcomes() == {"client_left": 1}


async def test_what_a_backend_sent_before_it_died_is_not_lost_while_its_readers_are_slow() -> None:
    async with relayed({"log_events_max": 2}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("POST", "/v1/chat") as first:
            upstream = await hand.connection()
            await upstream.chunk(event(1))
            await first.event()
            await first.cut()
        await sc.until(lambda: not sc.metric("sse_subscribers"))
        for number in range(2, 12):
            await upstream.chunk(event(number))
        await standstill(sc)
        await upstream.reset()
        async with sc.client.resume(first.last_event_id) as again:
            await again.read_to_end()
        assert numbers(again) == list(range(2, 12))
        assert (again.ended, again.seen[-1].type) == ("aborted", "sse-error")
        assert sc.outcomes() == {"upstream_truncated": 1}


async def test_a_feed_goes_on_without_its_slow_reader_and_tells_it_every_gap() -> None:
    async with relayed({"kind": "live", "log_events_max": 20}) as (up, sc):
        flood(up, 1000)
        async with slow(sc).open("GET", "/feed") as response:
            assert await standstill(sc) == 1000
            await response.read_to_end()
        missing: list[int] = []
        for gap in (json.loads(e.data) for e in response.seen if e.type == "sse-gap"):
            assert gap["reason"] == "trimmed"
            missing += range(gap["missed_from"], gap["missed_through"] + 1)
        assert response.ended == "clean"
        assert len(missing) > 500
        assert sorted(numbers(response) + missing) == list(range(1, 1001))
        assert numbers(response) == sorted(numbers(response))
        assert sc.metric("sse_messages_lost_total", stage="sidecar", reason="window") == len(missing)


async def test_a_fast_reader_of_a_feed_does_not_wait_for_a_slow_one() -> None:
    async with relayed({"kind": "live", "log_events_max": 50}) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(event(1), gate, *(event(number) for number in range(2, 501))))
        async with slow(sc).open("GET", "/feed") as stuck:
            await stuck.event()
            async with sc.client.open("GET", f"/_sse/streams/{stuck.header('SSE-Stream')}") as fast:
                gate.set()
                async with within(5, lambda: "the fast reader waits"):
                    await fast.read_to_end()
            assert numbers(fast)[-1] == 500
            await stuck.read_to_end()
        assert numbers(stuck)[-1] == 500


async def test_all_logs_together_keep_to_their_budget_and_every_answer_arrives_whole() -> None:
    default = {"name": "default", "log_bytes_max": MIB}
    streams, events = 8, 150
    async with relayed(routes=[default], log_bytes_total_max=MIB) as (up, sc):
        for _ in range(streams):
            flood(up, events)
        async with contextlib.AsyncExitStack() as stack:
            opened = [stack.enter_async_context(slow(sc).open("POST", "/v1/chat")) for _ in range(streams)]
            responses = [await opening for opening in opened]
            assert await standstill(sc) < streams * events
            assert sc.parts.hub.budget.bytes_held <= MIB + streams * (64 + 128) * KIB
            await asyncio.gather(*(response.read_to_end() for response in responses))
        assert {tuple(numbers(response)) for response in responses} == {tuple(range(1, events + 1))}
        assert sc.outcomes() == {"completed": streams}


async def test_above_the_budget_of_all_logs_the_oldest_finished_stream_goes_first() -> None:
    default = {"name": "default", "log_bytes_max": MIB}
    async with relayed(routes=[default], log_bytes_total_max=MIB) as (up, sc):
        names = []
        for _ in range(4):
            flood(up, 100)
            async with sc.client.open("POST", "/v1/chat") as response:
                await response.read_to_end()
            names.append(response.header("SSE-Stream"))
        assert sc.parts.hub.budget.bytes_held <= MIB
        statuses = []
        for name in names:
            async with sc.client.resume(f"{name}.99") as again:
                statuses.append(again.status)
        assert statuses == [410, 410, 200, 200]
