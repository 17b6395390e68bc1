"""A subscriber on virtual time: ids, heartbeats and endings."""

import asyncio

import pytest

from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.sse.verdict import Ending
from sidecar.streams.acknowledgements import LOOKS_S
from sidecar.streams.states import StreamInput
from sidecar.streams.subscriber import RETRY_MS_DRAIN
from tests.kit.stream_bench import MemoryConnection, StreamBench, virtual

A, B, C = b"data: a\n", b"data: b\n", b"data: c\n"
COMPLETED = Ending(Outcome.COMPLETED, None)
BROKEN = Ending(Outcome.UPSTREAM_ERROR, errors.UpstreamReset)


@virtual
async def test_a_stamped_client_receives_each_event_with_its_id() -> None:
    with StreamBench() as bench:
        bench.stream.accept([A, B])
        wire = bench.read()
        await bench.settle()
        bench.stream.accept([C])
        await bench.settle()
        assert wire.status == 200
        assert wire.body == bench.wire(A, B, C)


@virtual
async def test_an_unstamped_client_receives_the_bytes_of_the_backend() -> None:
    with StreamBench() as bench:
        bench.stream.accept([A, B])
        wire = bench.read(stamped=False)
        await bench.settle()
        bench.stream.accept([C])
        await bench.settle()
        assert wire.body == A + b"\n" + B + b"\n" + C + b"\n"


@virtual
async def test_the_id_of_the_backend_is_replaced() -> None:
    with StreamBench() as bench:
        bench.stream.accept([b"id: 7\ndata: a\n"])
        wire = bench.read()
        await bench.settle()
        bench.stream.accept([b"data: b\nid: 8\n", C])
        await bench.settle()
        assert wire.body == bench.wire(A, B, C)


@virtual
async def test_a_position_is_continued() -> None:
    with StreamBench() as bench:
        bench.stream.accept([A, B])
        wire = bench.read(position=1)
        await bench.settle()
        assert wire.body == bench.wire(B, first=2)


@virtual
async def test_the_lead_and_the_retry_come_first() -> None:
    with StreamBench() as bench:
        wire = bench.read(lead=b": lead\n", retry_ms=1500)
        await bench.settle()
        bench.stream.accept([A])
        await bench.settle()
        bench.stream.accept([B])
        await bench.settle()
        assert wire.body == b": lead\nretry: 1500\n" + bench.wire(A, B)


@virtual
@pytest.mark.parametrize(("stamped", "beat"), [(True, b": hb idle=10\n"), (False, b": hb\n\n")])
async def test_a_silent_stream_has_heartbeats(stamped: bool, beat: bytes) -> None:
    with StreamBench(heartbeat_s=10.0) as bench:
        wire = bench.read(stamped=stamped)
        await bench.pass_s(10.5)
        assert wire.body == beat
        assert bench.value("sse_heartbeats_total") == 1


@virtual
async def test_a_route_without_heartbeats_stays_silent() -> None:
    with StreamBench(heartbeat_s=0.0) as bench:
        wire = bench.read(returning=True)
        await bench.pass_s(3600.0)
        assert wire.body == b""


@virtual
async def test_a_resumed_client_with_nothing_to_replay_has_a_heartbeat() -> None:
    with StreamBench() as bench:
        bench.stream.accept([A])
        wire = bench.read(position=1, returning=True)
        await bench.settle()
        assert wire.body == b": hb idle=0\n"


@virtual
async def test_raw_bytes_are_sent_as_they_are_without_heartbeats() -> None:
    with StreamBench(heartbeat_s=10.0) as bench:
        wire = bench.read()
        await bench.settle()
        bench.stream.pass_through(b"data: x")
        await bench.settle()
        bench.stream.pass_through(b"yz")
        await bench.pass_s(30.0)
        assert wire.body == b"data: xyz"


@virtual
async def test_a_clean_end_completes_the_response() -> None:
    with StreamBench() as bench:
        wire = bench.read()
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.accept([A])
        await bench.settle()
        bench.stream.finish(COMPLETED, b"data: never")
        await bench.settle()
        assert wire.complete
        assert wire.body == bench.wire(A) + b"data: never"
        assert bench.outcomes == [Outcome.COMPLETED]


@virtual
async def test_a_client_that_asked_for_it_receives_the_end_event() -> None:
    with StreamBench() as bench:
        wire = bench.read(control=True)
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.accept([A])
        bench.stream.advance(StreamInput.END, COMPLETED)
        await bench.settle()
        assert wire.body.startswith(bench.wire(A) + b"event: sse-end\n")


@virtual
async def test_a_failure_ends_with_its_terminal_and_an_abort() -> None:
    with StreamBench() as bench:
        wire = bench.read()
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.advance(StreamInput.LOST, BROKEN)
        await bench.settle()
        assert errors.UpstreamReset.code.encode() in wire.body
        at_once = wire.aborted  # the client needs a moment to read the terminal
        await bench.pass_s(0.2)
        assert (at_once, wire.aborted, wire.complete) == (False, True, False)


@virtual
async def test_a_drained_client_is_sent_to_another_instance() -> None:
    with StreamBench() as bench:
        wire = bench.read()
        await bench.settle()
        bench.subscriber.drain()
        await bench.settle()
        assert wire.body == b"retry: %d\n" % RETRY_MS_DRAIN
        assert wire.aborted
        assert bench.stream.subscribers.left_cleanly


@virtual
async def test_a_drained_client_that_has_everything_ends_normally() -> None:
    with StreamBench() as bench:
        wire = bench.read(position=1)
        await bench.settle()
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.accept([A])
        await bench.settle()
        bench.stream.advance(StreamInput.END, COMPLETED)
        bench.subscriber.drain()
        await bench.settle()
        assert wire.complete


@virtual
async def test_a_lost_connection_detaches_its_reader_at_once() -> None:
    with StreamBench() as bench:
        wire = bench.read()
        await bench.settle()
        wire.lose()
        assert not bench.stream.readers
        assert not bench.stream.subscribers.left_cleanly
        await bench.settle()
        assert wire.on_lost is None


@virtual
async def test_a_client_that_closes_has_left() -> None:
    with StreamBench() as bench:
        wire = bench.read()
        await bench.settle()
        wire.lose(cleanly=True)
        assert bench.stream.subscribers.left_cleanly


@virtual
async def test_a_client_that_takes_nothing_is_closed() -> None:
    with StreamBench(send_timeout_s=5.0, heartbeat_s=0.0) as bench:
        wire = MemoryConnection()
        wire.takes_writes = False
        bench.read(connection=wire)
        await bench.settle()
        wire.gate.clear()
        bench.stream.accept([A])
        await bench.pass_s(4.0)
        early = wire.killed
        await bench.pass_s(7.0)
        assert (early, wire.killed) == (False, True)
        assert not bench.stream.readers


@virtual
async def test_a_slow_client_reads_from_the_log_what_it_missed() -> None:
    with StreamBench() as bench:
        wire = MemoryConnection()
        wire.takes_writes = False
        bench.read(connection=wire)
        await bench.settle()
        wire.gate.clear()
        bench.stream.accept([A])
        await bench.settle()
        bench.stream.accept([B])
        wire.gate.set()
        await bench.settle()
        assert wire.body == bench.wire(A, B)


@virtual
async def test_the_first_bytes_after_a_return_count_as_a_reconnect() -> None:
    with StreamBench() as bench:
        wire = bench.read()
        await bench.settle()
        bench.stream.accept([A])
        wire.lose()
        await bench.pass_s(2.0)
        bench.read(position=1, returning=True)
        await bench.settle()
        assert bench.value("sse_reconnect_duration_seconds_sum", side="client", outcome="resumed") == 2.0


@virtual
async def test_acknowledged_messages_are_counted_when_the_kernel_has_them() -> None:
    with StreamBench() as bench:
        wire = bench.read()
        await bench.settle()
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.accept([A, B])
        wire.unproven = len(B)
        await bench.settle()
        bench.stream.advance(StreamInput.END, COMPLETED)
        await bench.settle()
        assert bench.value("sse_messages_acknowledged_total") == 1
        wire.unproven = 0
        await bench.pass_s(LOOKS_S[0] + 0.1)
        assert bench.value("sse_messages_acknowledged_total") == 2


@virtual
async def test_the_kernel_is_asked_a_bounded_number_of_times() -> None:
    with StreamBench(retain_s=0.0, linger_s=0.0) as bench:
        wire = bench.read()
        await bench.settle()
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.accept([A])
        wire.unproven = 10**9
        await bench.settle()
        bench.stream.advance(StreamInput.END, COMPLETED)
        await bench.pass_s(sum(LOOKS_S) + 1.0)
        assert wire.on_lost is None
        assert bench.value("sse_messages_acknowledged_total") == 0


@virtual
async def test_a_connection_that_closes_after_its_end_is_asked_once_more() -> None:
    with StreamBench() as bench:
        wire = bench.read()
        await bench.settle()
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.accept([A])
        wire.unproven = 10**9
        await bench.settle()
        bench.stream.advance(StreamInput.END, COMPLETED)
        await bench.settle()
        wire.unproven = 0
        wire.lose(cleanly=True)
        assert bench.value("sse_messages_acknowledged_total") == 1


@virtual
async def test_a_cancelled_subscriber_leaves_its_stream() -> None:
    with StreamBench() as bench:
        bench.read()
        await bench.settle()
        (task,) = bench.tasks
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not bench.stream.readers


@virtual
async def test_a_stream_that_expires_under_a_reader_aborts_it() -> None:
    with StreamBench() as bench:
        wire = bench.read()
        await bench.settle()
        bench.stream.log.closed = True
        bench.subscriber.wake()
        await bench.settle()
        assert wire.aborted
