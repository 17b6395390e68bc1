"""Client reports in memory: what one stream's reports add."""

import pytest

from sidecar.observability.labels import Outcome
from sidecar.proxy.client_reports import NOTES_PER_STREAM_MAX, REPORTS_PER_STREAM_MAX
from sidecar.sse.verdict import Ending
from sidecar.streams.states import StreamInput
from tests.kit.exchange_bench import ExchangeBench
from tests.kit.held import HeldReader
from tests.kit.reporting import said
from tests.kit.stream_bench import virtual

COMPLETED = Ending(Outcome.COMPLETED, None)
EVENTS = [b"data: %d\n" % number for number in range(5)]


def finish(bench: ExchangeBench) -> str:
    """End a stream of five delivered messages; return its id."""
    stream, reader = bench.stream, HeldReader(0)
    stream.join(reader)
    stream.advance(StreamInput.BYTES)
    stream.accept(EVENTS)
    stream.ledger.deliver(0, 5)
    stream.advance(StreamInput.END, COMPLETED)
    stream.leave(reader, cleanly=False, done=False)
    return stream.id


def reports(bench: ExchangeBench, verdict: str) -> float:
    return bench.metrics_value("sse_client_reports_total", verdict=verdict)


@virtual
async def test_a_true_report_confirms_its_messages() -> None:
    with ExchangeBench() as bench:
        bench.reports.take(said(stream=finish(bench)))
        assert reports(bench, "agree") == 1
        assert bench.value("sse_messages_confirmed_total") == 5


@virtual
async def test_a_report_with_a_loss_confirms_nothing() -> None:
    with ExchangeBench() as bench:
        stream = finish(bench)
        for _ in range(2):
            bench.reports.take(said(stream=stream, received=3))
        assert reports(bench, "lost") == 2
        assert bench.value("sse_messages_confirmed_total") == 0
        assert bench.value("sse_client_missed_messages_total") == 2, "the second report adds nothing"


@virtual
async def test_duplicates_are_bounded_by_the_log() -> None:
    with ExchangeBench() as bench:
        bench.reports.take(said(stream=finish(bench), duplicates=1000))
        assert bench.value("sse_messages_duplicated_total", stage="client", disposition="suppressed") == 5


@virtual
@pytest.mark.parametrize("change", ["unknown stream", "another secret", "not JSON"])
async def test_a_report_without_a_stream_is_rejected(change: str) -> None:
    with ExchangeBench() as bench:
        stream = finish(bench)
        body = {
            "unknown stream": said(),
            "another secret": said(stream=stream[:-2] + ("AA" if stream[-2:] != "AA" else "BB")),
            "not JSON": b"{",
        }[change]
        bench.reports.take(body)
        assert reports(bench, "rejected") == 1


@virtual
async def test_the_counted_reports_of_a_stream_are_bounded() -> None:
    with ExchangeBench() as bench:
        stream = finish(bench)
        for _ in range(REPORTS_PER_STREAM_MAX + 10):
            bench.reports.take(said(stream=stream))
        assert reports(bench, "agree") == REPORTS_PER_STREAM_MAX


@virtual
async def test_the_notes_of_reports_in_a_timeline_are_bounded() -> None:
    with ExchangeBench() as bench:
        stream = finish(bench)
        before = len(bench.stream.timeline)
        for _ in range(NOTES_PER_STREAM_MAX + 10):
            bench.reports.take(said(stream=stream, told=False))
        assert len(bench.stream.timeline) == before + NOTES_PER_STREAM_MAX


@virtual
async def test_a_goodbye_marks_the_departure_as_clean() -> None:
    with ExchangeBench() as bench:
        bench.reports.take(said(stream=finish(bench), at="pagehide"))
        assert bench.stream.subscribers.left_cleanly


@virtual
async def test_a_true_recovery_leaves_no_note() -> None:
    with ExchangeBench() as bench:
        stream = finish(bench)
        before = len(bench.stream.timeline)
        bench.reports.take(said(stream=stream, at="recovery"))
        assert len(bench.stream.timeline) == before


@virtual
async def test_a_report_on_a_sealed_stream_excludes_the_terminal() -> None:
    with ExchangeBench() as bench:
        stream = bench.stream
        stream.advance(StreamInput.BYTES)
        stream.accept(EVENTS)
        stream.ledger.deliver(0, 5)
        stream.advance(StreamInput.LOST)
        bench.reports.take(said(stream=stream.id, state="failed"))
        assert bench.value("sse_messages_confirmed_total") == 5
