"""A resume in memory: positions, principals, gaps, ends and the drain."""

from collections.abc import Callable

import pytest

from sidecar.http1.headers import Fields
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.proxy.exchange import Exchange
from sidecar.sse.event_id import EventId
from sidecar.sse.verdict import Ending
from sidecar.streams.states import StreamInput
from tests.kit.exchange_bench import ANN, ExchangeBench, MemoryAnswer
from tests.kit.stream_bench import MemoryResponse, MemoryUpstream, virtual

EVENT_STREAM: Fields = [(b"accept", b"text/event-stream")]
A, B = b"data: a\n", b"data: b\n"
COMPLETED = Ending(Outcome.COMPLETED, None)


def last_event_id(*values: str) -> Fields:
    """Return the fields of a request that resumes."""
    return [*ANN, *EVENT_STREAM, *((b"last-event-id", value.encode()) for value in values)]


async def resumed(
    bench: ExchangeBench, seq: int, fields: Fields | None = None, method: str = "GET"
) -> MemoryAnswer:
    """Resume the bench's stream after a seq; return what the client receives."""
    exchange, wire = bench.exchange(method, fields=fields or [*ANN, *EVENT_STREAM])
    bench.tasks.append(bench.loop.create_task(_resume(bench, exchange, seq)))
    await bench.settle()
    return wire


async def _resume(bench: ExchangeBench, exchange: Exchange, seq: int) -> None:
    try:
        if not await bench.resume.resume(exchange, EventId(bench.stream.id, seq)):
            await exchange.answer(299)
    except errors.SidecarError as error:
        await exchange.problem(error)


def count(bench: ExchangeBench, result: str) -> float:
    return bench.metrics_value("sse_resumes_total", result=result)


@virtual
@pytest.mark.parametrize(
    ("fields", "target"),
    [
        (lambda stream: last_event_id(f"{stream}.7"), lambda _: b"/chat"),
        (lambda _: [], lambda stream: f"/chat?last_event_id={stream}.7".encode()),
        (lambda stream: last_event_id(f"{stream}.7"), lambda _: b"/chat?last_event_id=x.1"),
        (lambda stream: last_event_id(f"{stream}.7", f"{stream}.7"), lambda _: b"/chat"),
    ],
    ids=["header", "query", "header before query", "the same header twice"],
)
async def test_a_position_is_read(fields: Callable[[str], Fields], target: Callable[[str], bytes]) -> None:
    with ExchangeBench() as bench:
        stream = bench.stream.id
        exchange, _ = bench.exchange(target=target(stream), fields=fields(stream))
        assert bench.resume.position_of(exchange.request) == EventId(stream, 7)


@virtual
async def test_an_id_of_another_server_is_no_position() -> None:
    with ExchangeBench() as bench:
        exchange, _ = bench.exchange(fields=last_event_id("42"))
        assert bench.resume.position_of(exchange.request) is None
        assert count(bench, "foreign") == 1


@virtual
async def test_no_position_is_none() -> None:
    with ExchangeBench() as bench:
        assert bench.resume.position_of(bench.exchange()[0].request) is None


@virtual
async def test_two_positions_are_refused() -> None:
    with ExchangeBench() as bench:
        exchange, _ = bench.exchange(fields=last_event_id("a", "b"))
        with pytest.raises(errors.TwoPositions):
            bench.resume.position_of(exchange.request)
        assert count(bench, "bad_request") == 1


@virtual
async def test_the_events_after_a_position_are_replayed() -> None:
    with ExchangeBench() as bench:
        bench.stream.accept([A, B])
        wire = await resumed(bench, 1)
        assert wire.body == b"data: b\nid: %b.2\n\n" % bench.stream.id.encode()
        assert wire.fields[b"sse-replayed"] == b"1"
        assert count(bench, "resumed") == 1
        assert bench.value("sse_generations_saved_total") == 1


@virtual
async def test_a_complete_client_receives_204() -> None:
    with ExchangeBench() as bench:
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.accept([A])
        bench.stream.advance(StreamInput.END, COMPLETED)
        wire = await resumed(bench, 1)
        assert (wire.status, wire.body) == (204, b"")
        assert bench.outcomes == [Outcome.COMPLETED]
        assert count(bench, "no_content") == 1


@virtual
async def test_a_trimmed_position_is_counted_as_a_gap() -> None:
    with ExchangeBench(kind="live", log_events_max=1) as bench:
        bench.stream.accept([A, B, A])
        assert bench.stream.make_room()
        wire = await resumed(bench, 1)
        assert wire.body.startswith(b"event: sse-gap\n")
        assert count(bench, "gap") == 1


@virtual
async def test_a_resume_after_the_linger_is_too_late() -> None:
    with ExchangeBench(linger_s=1.0) as bench:
        bench.stream.accept([A, B])
        first, wire = bench.exchange()
        bench.read(bench.stream, wire)
        await bench.settle()
        wire.lose()
        await bench.pass_s(1.5)
        await resumed(bench, 1)
        assert count(bench, "too_late") == 1
        assert first.started is False


@virtual
@pytest.mark.parametrize("principal", [[], [(b"authorization", b"Bearer bob")]], ids=["none", "another"])
async def test_another_principal_finds_no_stream(principal: Fields) -> None:
    with ExchangeBench() as bench:
        bench.stream.accept([A])
        wire = await resumed(bench, 0, [*principal, *EVENT_STREAM])
        assert wire.status == errors.StreamNotFound.status
        assert count(bench, "refused") == 1


@virtual
@pytest.mark.parametrize(
    ("status", "answer"),
    [(204, 200), (401, errors.StreamNotFound.status), (503, errors.AuthorizationUnavailable.status)],
)
async def test_the_auth_check_decides(status: int, answer: int) -> None:
    check = MemoryUpstream()
    check.answers.append(MemoryResponse(status))
    with ExchangeBench(check=check) as bench:
        bench.stream.accept([A])
        wire = await resumed(bench, 0, [*ANN, *EVENT_STREAM, (b"x-user", b"1"), (b"x-else", b"2")])
        assert wire.status == answer
        (asked,) = check.requests
        names = [name for name, _ in asked.fields]
        assert names == [b"host", b"authorization", b"x-user", b"x-original-method", b"x-original-uri"]


@virtual
async def test_an_auth_check_without_an_answer_refuses() -> None:
    check = MemoryUpstream()
    check.answers.append(errors.UpstreamUnreachable("refused"))
    with ExchangeBench(check=check) as bench:
        bench.stream.accept([A])
        wire = await resumed(bench, 0)
        assert wire.status == errors.AuthorizationUnavailable.status


@virtual
async def test_an_expired_answer_is_gone() -> None:
    with ExchangeBench() as bench:
        bench.stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        bench.stream.expire()
        wire = await resumed(bench, 1)
        assert wire.status == errors.ResumeExpired.status
        assert count(bench, "expired") == 1


@virtual
async def test_an_expired_feed_is_requested_again() -> None:
    with ExchangeBench(kind="live") as bench:
        bench.stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        bench.stream.expire()
        assert (await resumed(bench, 1)).status == 299


@virtual
async def test_a_stream_of_raw_bytes_is_not_resumable() -> None:
    with ExchangeBench() as bench:
        bench.stream.pass_through(b"x")
        wire = await resumed(bench, 1)
        assert wire.status == errors.NotResumable.status


@virtual
async def test_the_readers_of_a_stream_are_bounded() -> None:
    with ExchangeBench(subscribers_max=1) as bench:
        bench.stream.accept([A])
        first = await resumed(bench, 0)
        second = await resumed(bench, 0)
        assert (first.status, second.status) == (200, errors.TooManySubscribers.status)


@virtual
async def test_quick_resumes_receive_a_longer_retry() -> None:
    with ExchangeBench() as bench:
        bench.stream.accept([A])
        bodies = [(await resumed(bench, 0)).body for _ in range(2)]
        assert [body.startswith(b"retry: ") for body in bodies] == [False, True]


@virtual
@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", errors.Draining.status)])
async def test_a_drain_sends_clients_elsewhere(method: str, status: int) -> None:
    with ExchangeBench() as bench:
        bench.stream.accept([A])
        bench.resume.draining = True
        wire = await resumed(bench, 1, method=method)
        assert wire.status == status
        assert wire.aborted is (method == "GET")


@virtual
async def test_a_drain_answers_for_expired_streams_too() -> None:
    with ExchangeBench() as bench:
        bench.stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        bench.stream.expire()
        bench.resume.draining = True
        assert (await resumed(bench, 1)).aborted


@virtual
async def test_a_repeated_request_reads_from_the_start() -> None:
    with ExchangeBench() as bench:
        bench.stream.accept([A])
        exchange, wire = bench.exchange("POST", fields=[*ANN, *EVENT_STREAM])
        bench.tasks.append(bench.loop.create_task(bench.resume.repeat(exchange, bench.stream)))
        await bench.settle()
        assert wire.body == b"data: a\nid: %b.1\n\n" % bench.stream.id.encode()


@virtual
async def test_a_repeated_request_for_raw_bytes_is_refused() -> None:
    with ExchangeBench() as bench:
        bench.stream.pass_through(b"x")
        with pytest.raises(errors.NotResumable):
            await bench.resume.repeat(bench.exchange("POST")[0], bench.stream)
