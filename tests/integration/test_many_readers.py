"""Several connections may read one stream: each at its own place, up to a bound."""

import asyncio

from tests.kit.fake_upstream import sse
from tests.kit.relayed import relayed
from tests.kit.response import Response

FIVE = tuple(b"data: %d\n\n" % n for n in range(1, 6))


def data(response: Response) -> list[str]:
    return [event.data for event in response.seen]


async def test_two_readers_of_one_stream_both_get_all_of_it() -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(*FIVE[:2], gate, *FIVE[2:]))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.take(2)
            async with sc.client.resume(f"{first.header('SSE-Stream')}.1") as second:
                await second.take(1)
                gate.set()
                await asyncio.gather(first.read_to_end(), second.read_to_end())
        assert (data(first), data(second)) == (["1", "2", "3", "4", "5"], ["2", "3", "4", "5"])
        assert sc.metric("sse_messages_delivered_total") == 5


async def test_more_readers_than_the_bound_are_sent_away_and_the_stream_goes_on() -> None:
    async with relayed(subscribers_per_stream_max=2) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(FIVE[0], gate, FIVE[1]))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.event()
            target = f"/_sse/streams/{first.header('SSE-Stream')}"
            async with sc.client.open("GET", target) as second:
                await second.event()
                third = await sc.client.fetch("GET", target)
                assert (third.status, third.json()["code"]) == (429, "err-sidecar-too-many-subscribers")
                gate.set()
                await asyncio.gather(first.read_to_end(), second.read_to_end())
        assert data(first) == data(second) == ["1", "2"]


async def test_readers_may_differ_in_their_form() -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(b"data: 1\nid: 7\n\n", gate, b"data: 2\nid: 8\n\n"))
        async with sc.client.open("POST", "/v1/chat") as stamped:
            await stamped.event()
            stream = stamped.header("SSE-Stream")
            target = f"/_sse/streams/{stream}"
            async with sc.client.open("GET", target, accept="application/json") as plain:
                await plain.event()
                gate.set()
                await asyncio.gather(stamped.read_to_end(), plain.read_to_end())
        assert [event.last_event_id for event in stamped.seen] == [f"{stream}.1", f"{stream}.2"]
        assert plain.raw == b"data: 1\nid: 7\n\ndata: 2\nid: 8\n\n"


async def test_fifty_readers_of_one_stream_cost_one_request_and_all_get_all_of_it() -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(FIVE[0], gate, *FIVE[1:]))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.event()
            target = f"/_sse/streams/{first.header('SSE-Stream')}"
            joined = [asyncio.ensure_future(sc.client.fetch("GET", target)) for _ in range(50)]
            await sc.until(lambda: sc.metric("sse_subscribers") == 51)
            gate.set()
            responses = await asyncio.gather(*joined)
            await first.read_to_end()
        assert {tuple(data(response)) for response in [first, *responses]} == {("1", "2", "3", "4", "5")}
        assert len(up.requests) == 1
        assert sc.metric("sse_messages_delivered_total") == 5
