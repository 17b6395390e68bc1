"""How well delivery is proven: written, acknowledged by the client's kernel, confirmed by the client."""

import asyncio
from pathlib import Path

import pytest

from sidecar.streams.acknowledgements import LOOKS_S
from tests.kit.client import SSEClient
from tests.kit.fake_upstream import FakeUpstream, sse
from tests.kit.relayed import relayed
from tests.kit.running import running
from tests.kit.served import served

EVENTS = 20
BODY = b"".join(b"data: %d\n\n" % number for number in range(EVENTS))
LOOKED_S = LOOKS_S[0] + 1.0
SMALL_BYTES = 2048


async def test_a_client_that_keeps_its_connection_has_its_answer_acknowledged_soon_after() -> None:
    async with relayed() as (up, sc):
        up.script(sse(BODY), sse(BODY))
        async with sc.client.connect() as connection:
            for answer in (1, 2):
                response = await sc.client.request(connection, "GET", "/", [("Accept", "text/event-stream")])
                await response.read_to_end()
                assert sc.metric("sse_messages_delivered_total") == answer * EVENTS
            await sc.until(lambda: sc.proof() == (0, 2 * EVENTS, 2 * EVENTS), LOOKED_S)
        assert sc.outcomes() == {"completed": 2}


async def test_a_client_that_leaves_after_its_answer_has_had_it_acknowledged() -> None:
    async with relayed() as (up, sc):
        up.script(sse(BODY))
        async with sc.client.open() as response:
            await response.read_to_end()
        await sc.until(lambda: sc.proof() == (0, EVENTS, EVENTS))


async def test_the_shipped_process_asks_its_kernel_too(tmp_path: Path) -> None:
    async with FakeUpstream() as up, served(up.url, tmp_path, {}) as sc:
        up.script(sse(BODY), sse(BODY))
        async with sc.client.open() as response:
            await response.read_to_end()
        await sc.until(lambda now: now.proof() == (0, EVENTS, EVENTS))
        async with sc.client.open() as response:
            await response.read_to_end()
            await sc.until(lambda now: now.proof() == (0, 2 * EVENTS, 2 * EVENTS))


async def test_a_client_that_says_goodbye_in_the_middle_proves_what_it_had() -> None:
    async with relayed({"linger_s": 60}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open() as response:
            backend = await hand.connection()
            await backend.write(BODY)
            await response.take(EVENTS)
            await response.leave()
            await sc.until(lambda: sc.proof() == (0, EVENTS, EVENTS))


async def test_a_position_that_comes_back_confirms_and_a_connection_that_died_proves_nothing() -> None:
    async with relayed({"linger_s": 60}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open() as response:
            backend = await hand.connection()
            await backend.write(BODY)
            events = await response.take(EVENTS)
            await response.cut()
        await sc.until(lambda: sc.metric("sse_streams_detached"))
        assert sc.proof() == (0, 0, EVENTS)
        async with sc.client.resume(events[6].last_event_id) as again:
            await again.take(EVENTS - 7)
            assert sc.proof() == (7, 7, EVENTS)
            await again.cut()
        async with sc.client.resume(events[-1].last_event_id) as last:
            assert sc.proof() == (EVENTS, EVENTS, EVENTS)
            await backend.end()
            await last.read_to_end()


async def test_a_position_after_the_end_confirms_the_whole_answer_without_its_terminal() -> None:
    async with relayed() as (up, sc):
        up.script(sse(BODY, then="reset"))
        async with sc.client.open() as response:
            await response.read_to_end()
        async with sc.client.resume(response.last_event_id) as nothing_more:
            assert nothing_more.status == 204
        assert sc.proof() == (EVENTS, EVENTS, EVENTS)


async def test_while_a_stream_goes_on_what_is_acknowledged_is_counted_at_every_visit() -> None:
    async with relayed({"heartbeat_s": 0.1, "kind": "live"}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open() as response:
            backend = await hand.connection()
            for round_ in (1, 2):
                await backend.write(BODY)
                await response.take(EVENTS)
                so_far = round_ * EVENTS
                await sc.until(lambda: sc.proof()[1] >= so_far)  # noqa: B023 - asked before the next round
                assert sc.proof() == (0, so_far, so_far)
            await backend.end()
            await response.read_to_end()


async def test_what_two_devices_have_is_counted_once() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand()
        async with sc.client.open() as first:
            backend = await hand.connection()
            await backend.write(BODY)
            await first.take(EVENTS)
            async with sc.client.open("GET", f"/_sse/streams/{first.header('SSE-Stream')}") as second:
                await second.take(EVENTS)
                await backend.end()
                await asyncio.gather(first.read_to_end(), second.read_to_end())
        await sc.until(lambda: sc.proof() == (0, EVENTS, EVENTS), LOOKED_S)


async def test_what_a_reader_does_not_take_is_written_but_not_acknowledged() -> None:
    block = b"data: %s\n\n" % (b"x" * 4096)
    async with FakeUpstream() as up, running(up.url, {"heartbeat_s": 0.05}) as sc:
        hand = up.by_hand()
        slow = SSEClient("127.0.0.1", sc.port, rcvbuf_bytes=SMALL_BYTES)
        async with slow.open() as response:
            backend = await hand.connection()
            for _ in range(EVENTS):
                await backend.write(block)
            await sc.until(lambda: sc.metric("sse_messages_delivered_total") >= 5)
            with pytest.raises(AssertionError):
                await sc.until(lambda: sc.proof()[1] >= sc.proof()[2], 0.5)
            assert sc.proof()[0] == 0
            await backend.end()
            await response.read_to_end()
        await sc.until(lambda: sc.proof() == (0, EVENTS, EVENTS))


async def test_what_fell_out_of_a_window_is_not_proven_by_what_came_after() -> None:
    async with relayed({"kind": "live", "log_events_max": 3, "linger_s": 60}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open() as response:
            backend = await hand.connection()
            await backend.write(b"data: first\n\n")
            await response.take(1)
            await response.cut()
        await sc.until(lambda: sc.metric("sse_streams_detached"))
        await backend.write(BODY)
        await sc.until(lambda: sc.metric("sse_messages_received_total") == EVENTS + 1)
        async with sc.client.resume(response.last_event_id) as again:
            await again.take(4)
            await again.cut()
        async with sc.client.resume(again.last_event_id):
            assert sc.proof() == (4, 4, 4)
            assert sc.metric("sse_messages_lost_total", stage="sidecar") == EVENTS - 3
            await backend.end()
