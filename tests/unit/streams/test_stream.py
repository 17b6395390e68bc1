"""A stream on virtual time: log, end, linger and retention."""

from typing import Any

import pytest

from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.sse.verdict import Ending
from sidecar.streams.hub import Budgets
from sidecar.streams.replay_log import LogGap
from sidecar.streams.states import Audience, StreamInput, StreamState
from sidecar.streams.storage import OVER_BUDGET_BYTES_MAX
from sidecar.streams.stream import TIMELINE_MAX
from tests.kit.held import HeldReader
from tests.kit.stream_bench import StreamBench, virtual

COMPLETED = Ending(Outcome.COMPLETED, None)
BROKEN = Ending(Outcome.UPSTREAM_ERROR, errors.UpstreamReset)


@virtual
async def test_events_get_the_seqs_1_2_3() -> None:
    with StreamBench() as bench:
        bench.stream.accept([b"data: a\n", b"data: b\n"])
        bench.stream.accept([b"data: c\n"])
        assert bench.stream.log.read(0) == [b"data: a\n", b"data: b\n", b"data: c\n"]
        assert bench.stream.ledger.received == 3


@virtual
async def test_a_clean_end_is_settled_when_a_reader_has_everything() -> None:
    with StreamBench() as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.advance(StreamInput.BYTES)
        stream.accept([b"data: a\n"])
        stream.advance(StreamInput.END, COMPLETED)
        assert stream.outcome is None
        stream.read_to_end()
        assert bench.outcomes == [Outcome.COMPLETED]


@virtual
async def test_a_failure_is_settled_at_once_with_a_terminal_in_the_log() -> None:
    with StreamBench() as bench:
        stream = bench.stream
        stream.join(HeldReader(0))
        stream.advance(StreamInput.BYTES)
        stream.advance(StreamInput.LOST, BROKEN)
        assert bench.outcomes == [Outcome.UPSTREAM_ERROR]
        (terminal,) = stream.log.read(0)
        assert errors.UpstreamReset.code.encode() in terminal
        assert stream.ledger.received == 0


@virtual
async def test_an_outcome_is_counted_once() -> None:
    with StreamBench() as bench:
        bench.stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        bench.stream.stop(Outcome.SIDECAR_ERROR, errors.Draining)
        bench.stream.settle(Outcome.COMPLETED)
        assert bench.outcomes == [Outcome.CLIENT_CANCELLED]


@virtual
async def test_a_stop_after_the_terminal_event_is_a_completion() -> None:
    with StreamBench(complete_on="[DONE]") as bench:
        stream = bench.stream
        stream.advance(StreamInput.BYTES)
        stream.verdict.observe(b"data: [DONE]\n")
        stream.accept([b"data: [DONE]\n"])
        stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        assert stream.ending is not None
        assert stream.ending.outcome is Outcome.COMPLETED


@virtual
async def test_a_stream_without_a_reader_ends_after_its_linger() -> None:
    with StreamBench(linger_s=5.0) as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.leave(reader, cleanly=False, done=False)
        assert stream.audience is Audience.DETACHED
        await bench.pass_s(4.8)
        assert stream.outcome is None
        await bench.pass_s(0.5)
        assert bench.outcomes == [Outcome.CLIENT_ABANDONED]


@virtual
async def test_a_reader_that_returns_stops_the_linger() -> None:
    with StreamBench(linger_s=5.0) as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.leave(reader, cleanly=False, done=False)
        await bench.pass_s(3.0)
        again = HeldReader(0)
        stream.join(again)
        stream.resumed(again)
        await bench.pass_s(60.0)
        assert stream.outcome is None
        assert bench.value("sse_reconnect_duration_seconds_sum", side="client", outcome="resumed") == 3.0


@virtual
@pytest.mark.parametrize(
    ("budgets", "options"),
    [(Budgets(), {"on_disconnect": "cancel"}), (Budgets(streams_max=0), {})],
    ids=["the route cancels", "over budget"],
)
async def test_without_linger_a_stream_ends_with_its_last_reader(
    budgets: Budgets, options: dict[str, Any]
) -> None:
    with StreamBench(budgets, **options) as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.leave(reader, cleanly=True, done=False)
        assert bench.outcomes == [Outcome.CLIENT_LEFT]


@virtual
async def test_a_route_that_continues_reads_on_without_readers() -> None:
    with StreamBench(on_disconnect="continue", linger_s=1.0) as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.leave(reader, cleanly=True, done=False)
        await bench.pass_s(3600.0)
        assert stream.outcome is None


@virtual
async def test_a_route_that_continues_lingers_while_its_log_is_full() -> None:
    with StreamBench(on_disconnect="continue", linger_s=1.0) as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.leave(reader, cleanly=True, done=False)
        stream.pause(lambda: None)
        await bench.pass_s(1.5)
        assert bench.outcomes == [Outcome.CLIENT_LEFT]


@virtual
async def test_an_ended_stream_expires_after_its_retention() -> None:
    with StreamBench(retain_s=10.0, linger_s=1.0) as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.advance(StreamInput.BYTES)
        stream.advance(StreamInput.END, COMPLETED)
        stream.leave(reader, cleanly=True, done=True)
        await bench.pass_s(9.8)
        assert bench.hub.find(stream.id) is stream
        await bench.pass_s(0.5)
        assert bench.hub.find(stream.id) is None
        assert stream.state is StreamState.EXPIRED


@virtual
async def test_an_unread_end_is_kept_for_the_linger_of_its_reader() -> None:
    with StreamBench(retain_s=1.0, linger_s=30.0) as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.leave(reader, cleanly=False, done=False)
        stream.advance(StreamInput.BYTES)
        stream.accept([b"data: a\n"])
        stream.advance(StreamInput.END, COMPLETED)
        await bench.pass_s(20.0)
        assert bench.hub.find(stream.id) is stream
        await bench.pass_s(15.0)
        assert bench.hub.find(stream.id) is None
        assert bench.outcomes == [Outcome.CLIENT_ABANDONED]
        assert bench.value("sse_unread_messages_total") == 1


@virtual
async def test_a_goodbye_after_the_last_message_completes_the_stream() -> None:
    with StreamBench() as bench:
        stream, reader = bench.stream, HeldReader(1)
        stream.join(reader)
        stream.advance(StreamInput.BYTES)
        stream.accept([b"data: a\n"])
        stream.ledger.deliver(0, 1)
        stream.leave(reader, cleanly=True, done=False)
        stream.advance(StreamInput.END, COMPLETED)
        assert bench.outcomes == [Outcome.COMPLETED]


@virtual
async def test_an_answers_log_is_full_until_its_reader_has_read() -> None:
    with StreamBench(log_events_max=2) as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.accept([b"data: a\n", b"data: b\n", b"data: c\n"])
        assert stream.pressure.high
        read = stream.make_room()
        reader.position = 1
        assert (read, stream.make_room()) == (False, True)
        assert stream.log.first_seq == 2


@virtual
async def test_a_live_log_drops_the_oldest_events() -> None:
    with StreamBench(kind="live", log_events_max=2) as bench:
        bench.stream.accept([b"data: a\n", b"data: b\n", b"data: c\n"])
        assert bench.stream.make_room()
        assert bench.stream.log.first_seq == 2


@virtual
async def test_bytes_that_are_not_framed_are_bounded_by_the_slowest() -> None:
    with StreamBench() as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.pass_through(b"x" * 200_000)
        below = stream.make_room()
        stream.pass_through(b"x" * 200_000)
        above = stream.make_room()
        reader.raw_offset = 300_000
        stream.trim_raw()
        assert (below, above, stream.make_room()) == (True, False, True)
        unproven = bench.value("sse_continuity_unproven_total", reason="oversize_event")
        assert unproven == 1


@virtual
async def test_a_stream_of_raw_bytes_does_not_linger() -> None:
    with StreamBench(linger_s=60.0) as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.pass_through(b"x")
        stream.leave(reader, cleanly=False, done=False)
        assert bench.outcomes == [Outcome.CLIENT_ABANDONED]


@virtual
async def test_a_gap_is_counted_and_noted() -> None:
    with StreamBench(kind="live", log_events_max=1) as bench:
        stream = bench.stream
        stream.accept([b"data: a\n", b"data: b\n", b"data: c\n"])
        assert stream.make_room()
        gap = stream.log.gap_before(0)
        assert gap is not None
        assert gap == LogGap(1, 2, "trimmed")
        stream.missed(gap)
        assert bench.value("sse_messages_lost_total", stage="sidecar", reason="window") == 2


@virtual
async def test_the_history_of_a_stream_is_bounded() -> None:
    with StreamBench() as bench:
        for number in range(TIMELINE_MAX + 5):
            bench.stream.note(str(number))
        assert [text for _, text in bench.stream.timeline][-1] == str(TIMELINE_MAX + 4)
        assert len(bench.stream.timeline) == TIMELINE_MAX


@virtual
async def test_an_input_that_the_state_does_not_know_changes_nothing() -> None:
    with StreamBench() as bench:
        before = len(bench.stream.timeline)
        bench.stream.advance(StreamInput.SILENCE)
        assert bench.stream.state is StreamState.OPENING
        assert len(bench.stream.timeline) == before


@virtual
async def test_a_sealing_without_an_ending_is_an_internal_error() -> None:
    with StreamBench() as bench:
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.advance(StreamInput.LOST)
        assert bench.stream.ending is not None
        assert bench.stream.ending.error is errors.InternalError


def test_a_pressed_log_keeps_less_than_a_route_may_ask_for() -> None:
    assert OVER_BUDGET_BYTES_MAX == 64 * 1024
