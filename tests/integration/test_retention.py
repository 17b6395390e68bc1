"""How long a finished answer is kept for those who have not had all of it."""

from sidecar.streams.states import StreamState
from tests.kit.client import SSEClient
from tests.kit.fake_upstream import FakeUpstream, sse
from tests.kit.running import STREAM, RunningSidecar, running

KIB, MIB = 1024, 1024 * 1024
EVENTS = [b"data: %0*d\n\n" % (1000, n) for n in range(1, 401)]
"""More than a network takes for a client that does not read."""


def state_of_the_stream(sc: RunningSidecar) -> StreamState:
    (stream,) = sc.parts.hub.streams.values()
    return stream.state


async def test_a_reader_that_is_cut_off_after_the_retention_is_over_can_come_back_for_the_rest() -> None:
    async with FakeUpstream() as up, running(up.url, {"linger_s": 60, "retain_s": 0}) as sc:
        up.script(sse(*EVENTS))
        slow = SSEClient("127.0.0.1", sc.port, rcvbuf_bytes=4096)
        async with slow.open("POST", "/v1/chat") as response:
            await response.take(1)
            await sc.until(lambda: state_of_the_stream(sc) is StreamState.ENDED)
            await response.cut()
        async with sc.client.resume(response.last_event_id, "POST", "/v1/chat") as rest:
            await rest.read_to_end()
        assert [event.data for event in response.seen + rest.seen] == [f"{n:01000}" for n in range(1, 401)]
        assert rest.ended == "clean"
        await sc.until(lambda: not sc.parts.hub.streams)
        assert sc.outcomes() == {"completed": 1}
        assert sc.conservation() == {"streams": 0.0, "messages": 0.0}


async def test_one_that_does_not_come_back_is_waited_for_no_longer_than_its_linger() -> None:
    async with FakeUpstream() as up, running(up.url, {"linger_s": 0.3, "retain_s": 0}) as sc:
        up.script(sse(*EVENTS))
        slow = SSEClient("127.0.0.1", sc.port, rcvbuf_bytes=4096)
        async with slow.open("POST", "/v1/chat") as response:
            await response.take(1)
            await sc.until(lambda: state_of_the_stream(sc) is StreamState.ENDED)
            await response.cut()
        await sc.until(lambda: not sc.parts.hub.streams)
        assert sc.outcomes() == {"client_abandoned": 1}
        assert sc.conservation() == {"streams": 0.0, "messages": 0.0}


async def test_what_was_written_and_never_arrived_is_still_there_at_the_cap() -> None:
    """A write only fills buffers; what they hold is lost with the connection."""
    async with FakeUpstream() as up, running(up.url, {"log_bytes_max": 16 * KIB, "heartbeat_s": 0}) as sc:
        up.script(sse(*EVENTS))
        slow = SSEClient("127.0.0.1", sc.port, rcvbuf_bytes=4096)
        async with slow.open("POST", "/v1/chat") as response:
            await response.take(1)
            await sc.until(lambda: sc.metric("sse_messages_delivered_total") > 20)
            await response.cut()
        async with sc.client.resume(response.last_event_id, "POST", "/v1/chat") as rest:
            await rest.read_to_end()
        assert {event.type for event in rest.seen} == {"message"}
        assert [event.data for event in response.seen + rest.seen] == [f"{n:01000}" for n in range(1, 401)]
        assert sc.metric("sse_messages_lost_total") == 0
        assert sc.outcomes() == {"completed": 1}


async def test_an_answer_that_somebody_is_expected_back_for_is_not_evicted_for_another() -> None:
    routes = [{"name": "default", "log_bytes_max": MIB}]
    async with FakeUpstream() as up, running(up.url, routes=routes, log_bytes_total_max=MIB) as sc:
        up.script(sse(*EVENTS * 2), sse(*EVENTS * 2))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.take(1)
            await first.cut()
        await sc.until(lambda: state_of_the_stream(sc) is StreamState.ENDED)
        second = await sc.client.fetch("POST", "/v1/chat", STREAM)
        assert (second.ended, len(second.seen)) == ("clean", 2 * len(EVENTS))
        async with sc.client.resume(first.last_event_id) as rest:
            await rest.read_to_end()
        assert (rest.status, len(first.seen + rest.seen)) == (200, 2 * len(EVENTS))
        assert sc.outcomes() == {"completed": 2}


async def test_the_budget_of_all_logs_is_told_beside_what_they_hold() -> None:
    async with FakeUpstream() as up, running(up.url, log_bytes_total_max="64MiB") as sc:
        assert sc.metric("sse_log_budget_bytes") == 67_108_864
