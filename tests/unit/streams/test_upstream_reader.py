"""The reader of an upstream on virtual time."""

import asyncio
import json
from typing import Any

import pytest

from sidecar.http1.upstream.response import BodySink, UpstreamResponse
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.sse.framing import EVENT_BYTES_MAX
from sidecar.streams.states import StreamInput, StreamState
from sidecar.streams.upstream_reader import LOOK_AGAIN_S, RECONNECTS_MAX
from tests.kit.held import HeldReader
from tests.kit.stream_bench import EVENT_STREAM, MemoryResponse, StreamBench, virtual

LIVE: dict[str, Any] = {"kind": "live", "upstream_resume": True}


def sink_of(response: MemoryResponse) -> BodySink:
    """Return what takes the response's body."""
    assert response.sink is not None
    return response.sink


@virtual
async def test_chunks_become_events_wherever_they_are_cut() -> None:
    with StreamBench() as bench:
        sink = sink_of(bench.source())
        for chunk in (b"data: a\n\nda", b"ta: b\n", b"\n: comment\n\ndata: c\n\n"):
            sink.took(chunk)
        assert bench.stream.log.read(0) == [b"data: a\n", b"data: b\n", b": comment\ndata: c\n"]
        assert bench.stream.state is StreamState.STREAMING


@virtual
async def test_a_clean_end_completes_the_stream_and_keeps_the_rest() -> None:
    with StreamBench(complete_on="eof") as bench:
        sink = sink_of(bench.source())
        sink.took(b"data: a\n\ndata: never")
        sink.ended()
        assert bench.stream.partial == b"data: never"
        assert bench.stream.ending is not None
        assert bench.stream.ending.outcome is Outcome.COMPLETED


@virtual
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.UpstreamReset("reset"), Outcome.UPSTREAM_TRUNCATED),
        (errors.UpstreamBadResponse("bad chunk"), Outcome.UPSTREAM_ERROR),
    ],
)
async def test_a_broken_body_ends_the_stream(error: errors.UpstreamError, outcome: Outcome) -> None:
    with StreamBench() as bench:
        sink = sink_of(bench.source())
        sink.took(b"data: a\n\n")
        sink.broke(error)
        assert bench.outcomes == [outcome]


@virtual
async def test_an_event_above_the_limit_is_passed_through() -> None:
    with StreamBench() as bench:
        bench.stream.join(HeldReader(0))
        sink = sink_of(bench.source())
        sink.took(b"data: a\n\n")
        sink.took(b"data: " + b"x" * (EVENT_BYTES_MAX + 1))
        assert bench.stream.raw is not None
        assert bench.stream.log.last_seq == 1


@virtual
async def test_a_defect_ends_the_stream_as_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with StreamBench() as bench:
        sink = sink_of(bench.source())

        def fail(_: list[bytes]) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(type(bench.stream), "accept", fail)
        sink.took(b"data: a\n\n")
        assert bench.outcomes == [Outcome.SIDECAR_ERROR]


@virtual
async def test_silence_is_a_stall_and_then_the_end() -> None:
    with StreamBench(stall_s=5.0, upstream_idle_s=20.0) as bench:
        response = bench.source()
        sink_of(response).took(b"data: a\n\n")
        await bench.pass_s(5.2)
        assert bench.stream.state is StreamState.STALLED
        await bench.pass_s(15.0)
        assert bench.stream.ending is not None
        assert bench.stream.ending.error is errors.UpstreamIdle
        assert response.closed


@virtual
async def test_bytes_after_a_stall_are_a_false_alarm() -> None:
    with StreamBench(stall_s=5.0, upstream_idle_s=0.0) as bench:
        sink = sink_of(bench.source())
        sink.took(b"data: a\n\n")
        await bench.pass_s(6.0)
        sink.took(b"data: b\n\n")
        assert bench.value("sse_stall_recovery_seconds_count", outcome="false_alarm") == 1
        await bench.pass_s(6.0)
        assert bench.stream.state is StreamState.STALLED


@virtual
async def test_without_limits_silence_is_no_event() -> None:
    with StreamBench(stall_s=0.0, upstream_idle_s=0.0) as bench:
        sink_of(bench.source()).took(b"data: a\n\n")
        await bench.pass_s(3600.0)
        assert bench.stream.state is StreamState.STREAMING


@virtual
async def test_a_full_log_pauses_the_upstream_until_a_reader_has_read() -> None:
    with StreamBench(log_events_max=2) as bench:
        reader = HeldReader(0)
        bench.stream.join(reader)
        response = bench.source()
        sink_of(response).took(b"data: a\n\ndata: b\n\ndata: c\n\n")
        assert response.paused
        await bench.pass_s(2 * LOOK_AGAIN_S)
        assert response.paused
        reader.position = 2
        await bench.pass_s(2 * LOOK_AGAIN_S)
        assert not response.paused


@virtual
async def test_a_paused_upstream_is_not_stalled() -> None:
    with StreamBench(log_events_max=1, stall_s=2.0, upstream_idle_s=4.0) as bench:
        bench.stream.join(HeldReader(0))
        sink_of(bench.source()).took(b"data: a\n\ndata: b\n\n")
        await bench.pass_s(60.0)
        assert bench.stream.state is StreamState.STREAMING


@virtual
async def test_the_ai_sdk_is_recognised_by_its_field() -> None:
    with StreamBench() as bench:
        sink = sink_of(
            bench.source(MemoryResponse(200, [*EVENT_STREAM, (b"x-vercel-ai-ui-message-stream", b"v1")]))
        )
        sink.took(b'data: {"type":"start"}\n\n')
        sink.ended()
        assert bench.stream.ending is not None
        assert bench.stream.ending.error is errors.UpstreamTruncated


@virtual
@pytest.mark.parametrize(
    ("status", "error"), [(200, None), (500, errors.UpstreamNotAStream), (204, errors.UpstreamNotAStream)]
)
async def test_a_late_head_feeds_the_stream_or_ends_it(
    status: int, error: type[errors.SidecarError] | None
) -> None:
    with StreamBench() as bench:
        opening: asyncio.Future[UpstreamResponse] = bench.loop.create_future()
        bench.source_late(opening)
        response = MemoryResponse(status)
        opening.set_result(response)
        await bench.settle()
        ending = bench.stream.ending
        assert (ending and ending.error) is error
        assert (response.sink is not None) is (error is None)


@virtual
async def test_a_late_head_that_fails_ends_the_stream() -> None:
    with StreamBench() as bench:
        opening: asyncio.Future[UpstreamResponse] = bench.loop.create_future()
        bench.source_late(opening)
        opening.set_exception(errors.UpstreamUnreachable("refused"))
        await bench.settle()
        assert bench.stream.ending is not None
        assert bench.stream.ending.error is errors.UpstreamUnreachable


@virtual
async def test_a_stop_cancels_the_wait_for_a_late_head() -> None:
    with StreamBench() as bench:
        opening: asyncio.Future[UpstreamResponse] = bench.loop.create_future()
        bench.source_late(opening)
        await bench.settle()
        bench.stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        await bench.settle()
        assert opening.cancelled()


@virtual
async def test_a_live_feed_reconnects_after_the_last_id() -> None:
    with StreamBench(**LIVE) as bench:
        sink = sink_of(bench.source())
        sink.took(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n")
        again = MemoryResponse()
        bench.upstream.answers.append(again)
        sink.broke(errors.UpstreamReset("reset"))
        assert bench.stream.state is StreamState.RECONNECTING
        await bench.pass_s(1.5)
        assert bench.upstream.requests[0].fields == [(b"last-event-id", b"2")]
        sink_of(again).took(b"id: 2\ndata: b\n\nid: 3\ndata: c\n\n")
        assert [event[-2:-1] for event in bench.stream.log.read(0)] == [b"a", b"b", b"c"]
        assert bench.value("sse_messages_duplicated_total", stage="upstream", disposition="suppressed") == 1
        assert bench.value("sse_reconnect_duration_seconds_count", side="upstream", outcome="resumed") == 1


@virtual
async def test_skipped_ids_are_counted_as_lost_upstream() -> None:
    with StreamBench(**LIVE) as bench:
        sink = sink_of(bench.source())
        sink.took(b"id: 1\ndata: a\n\n")
        again = MemoryResponse()
        bench.upstream.answers.append(again)
        sink.broke(errors.UpstreamReset("reset"))
        await bench.pass_s(1.5)
        sink_of(again).took(b"id: 4\ndata: d\n\n")
        assert bench.value("sse_messages_lost_total", stage="upstream", reason="upstream_gap") == 2


@virtual
async def test_ids_that_are_no_numbers_leave_the_loss_unproven() -> None:
    with StreamBench(**LIVE) as bench:
        sink = sink_of(bench.source())
        sink.took(b"id: x\ndata: a\n\n")
        again = MemoryResponse()
        bench.upstream.answers.append(again)
        sink.broke(errors.UpstreamReset("reset"))
        await bench.pass_s(1.5)
        sink_of(again).took(b"id: y\ndata: d\n\n")
        assert bench.value("sse_continuity_unproven_total", reason="opaque_upstream_id") == 1


@virtual
async def test_a_repeated_id_reaches_the_client_where_no_resume_is_allowed() -> None:
    with StreamBench() as bench:
        sink = sink_of(bench.source())
        sink.took(b"id: 1\ndata: a\n\nid: 1\ndata: a\n\n")
        assert bench.stream.log.last_seq == 2
        assert bench.value("sse_messages_duplicated_total", stage="upstream", disposition="delivered") == 1


@virtual
async def test_a_reused_id_with_another_event_is_unproven() -> None:
    with StreamBench(**LIVE) as bench:
        sink_of(bench.source()).took(b"id: 1\ndata: a\n\nid: 1\ndata: b\n\n")
        assert bench.value("sse_continuity_unproven_total", reason="reused_upstream_id") == 1


@virtual
async def test_attempts_to_reconnect_are_bounded() -> None:
    with StreamBench(**LIVE) as bench:
        sink = sink_of(bench.source())
        sink.took(b"data: a\n\n")
        failures: list[MemoryResponse | errors.UpstreamError] = [
            errors.UpstreamUnreachable("refused"),
            MemoryResponse(503),
            MemoryResponse(200, []),
        ]
        bench.upstream.answers.extend((failures * RECONNECTS_MAX)[:RECONNECTS_MAX])
        sink.broke(errors.UpstreamReset("reset"))
        await bench.pass_s(RECONNECTS_MAX + 1.0)
        assert len(bench.upstream.requests) == RECONNECTS_MAX
        assert bench.outcomes == [Outcome.UPSTREAM_TRUNCATED]
        assert bench.value("sse_reconnect_duration_seconds_count", side="upstream", outcome="gave_up") == 1


@virtual
async def test_a_204_to_a_reconnect_ends_the_feed() -> None:
    with StreamBench(**LIVE) as bench:
        sink = sink_of(bench.source())
        sink.took(b"data: a\n\n")
        over = MemoryResponse(204)
        bench.upstream.answers.append(over)
        sink.ended()
        await bench.pass_s(1.5)
        assert over.closed
        assert bench.stream.ending is not None
        assert bench.stream.ending.outcome is Outcome.COMPLETED


@virtual
async def test_an_answer_without_ids_is_not_requested_again() -> None:
    with StreamBench(upstream_resume=True) as bench:
        sink = sink_of(bench.source())
        sink.took(b"data: a\n\n")
        sink.broke(errors.UpstreamReset("reset"))
        assert bench.stream.state is StreamState.ENDED
        assert bench.upstream.requests == []


@virtual
async def test_an_idle_live_feed_reconnects() -> None:
    with StreamBench(**LIVE, stall_s=0.0, upstream_idle_s=5.0) as bench:
        sink_of(bench.source()).took(b"data: a\n\n")
        again = MemoryResponse()
        bench.upstream.answers.append(again)
        await bench.pass_s(6.5)
        assert again.sink is not None
        assert bench.stream.state is StreamState.RECONNECTING


@virtual
async def test_a_stop_while_it_reconnects_sends_no_request() -> None:
    with StreamBench(**LIVE) as bench:
        sink = sink_of(bench.source())
        sink.took(b"data: a\n\n")
        sink.broke(errors.UpstreamReset("reset"))
        bench.stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        await bench.pass_s(60.0)
        assert bench.upstream.requests == []


@virtual
async def test_the_retry_of_the_backend_is_noticed() -> None:
    with StreamBench() as bench:
        sink_of(bench.source()).took(b"retry: 9\ndata: a\n\n")
        assert bench.stream.pace.set_by_upstream


@virtual
async def test_the_terminal_in_the_rest_of_a_body_completes_the_stream() -> None:
    with StreamBench(complete_on="[DONE]") as bench:
        sink = sink_of(bench.source())
        sink.took(b"data: " + json.dumps("a").encode() + b"\n\ndata: [DONE]\n")
        sink.ended()
        assert bench.stream.ending is not None
        assert bench.stream.ending.outcome is Outcome.COMPLETED


@virtual
async def test_a_closed_upstream_is_visited_no_more() -> None:
    with StreamBench(stall_s=1.0) as bench:
        response = bench.source()
        bench.stream.advance(StreamInput.BYTES)
        bench.reader.close()
        await bench.pass_s(10.0)
        assert response.closed
        assert bench.stream.state is StreamState.STREAMING
