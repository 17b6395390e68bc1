"""The public listener's app in memory: what becomes of a request."""

import asyncio
import json

import pytest

from sidecar.http1.headers import Fields
from sidecar.http1.upstream.response import UpstreamResponse
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.proxy.idempotent import KEY_BYTES_MAX
from tests.kit.exchange_bench import ANN, BODY_BYTES_MAX, VIA, ExchangeBench, MemoryAnswer
from tests.kit.stream_bench import EVENT_STREAM, MemoryResponse, virtual

STREAM: Fields = [*ANN, (b"accept", b"text/event-stream")]
TEXT: Fields = [(b"content-type", b"text/plain"), (b"connection", b"x"), (b"x", b"1")]
KEY: Fields = [*STREAM, (b"idempotency-key", b"k"), (b"content-length", b"2")]


def code(answer: MemoryAnswer) -> str:
    """Return the error code of an answer."""
    return str(json.loads(answer.body)["code"])


class TestRefused:
    @virtual
    @pytest.mark.parametrize(
        ("target", "fields", "error"),
        [
            (b"http://ann@chat.example/chat", ANN, errors.RequestError),
            (b"/chat", [(b"upgrade", b"WebSocket")], errors.UpgradeUnsupported),
            (b"/chat", [(b"via", b"1.1 a, 1.1 " + VIA.encode())], errors.ProxyLoop),
            (b"/_sse/none", ANN, errors.ControlNotFound),
        ],
    )
    async def test_it_does_not_reach_the_upstream(
        self, target: bytes, fields: Fields, error: type[errors.SidecarError]
    ) -> None:
        with ExchangeBench() as bench:
            answer = await bench.handle(target=target, fields=fields)
            assert (answer.status, code(answer)) == (error.status, error.code)
            assert bench.upstream.requests == []

    @virtual
    async def test_two_positions_that_differ_are_400(self) -> None:
        fields: Fields = [(b"last-event-id", b"1"), (b"last-event-id", b"2")]
        with ExchangeBench() as bench:
            assert (await bench.handle(fields=fields)).status == errors.TwoPositions.status

    @virtual
    async def test_a_refused_connection_is_502_and_not_ready(self) -> None:
        with ExchangeBench() as bench:
            bench.upstream.answers += [errors.UpstreamRefused("refused"), MemoryResponse(204)]
            answer = await bench.handle()
            assert (answer.status, code(answer)) == (502, errors.UpstreamRefused.code)
            assert not bench.readiness.upstream_ok
            await bench.handle()
            assert bench.readiness.upstream_ok

    @virtual
    async def test_a_defect_is_500_without_details(self) -> None:
        with ExchangeBench() as bench:
            bench.upstream.answers.append(ZeroDivisionError("secret"))
            answer = await bench.handle()
            assert (answer.status, code(answer)) == (500, errors.InternalError.code)
            assert b"secret" not in answer.body


class TestPassThrough:
    @virtual
    async def test_a_response_is_relayed_without_hop_by_hop_fields(self) -> None:
        with ExchangeBench() as bench:
            bench.upstream.answers.append(MemoryResponse(201, TEXT, [b"a", b"b"]))
            answer = await bench.handle("POST", b"/chat?q=%20")
            assert (answer.status, answer.body, answer.complete) == (201, b"ab", True)
            assert answer.fields == {b"content-type": b"text/plain"}
            (request,) = bench.upstream.requests
            assert (request.method, request.target, request.body) == ("POST", b"/chat?q=%20", None)

    @virtual
    async def test_a_status_without_a_body_drops_the_body(self) -> None:
        with ExchangeBench() as bench:
            bench.upstream.answers.append(MemoryResponse(204, TEXT, [b"a"]))
            answer = await bench.handle()
            assert (answer.status, answer.body, answer.complete) == (204, b"", True)

    @virtual
    async def test_a_response_that_breaks_off_is_an_abort(self) -> None:
        response = MemoryResponse(200, TEXT, [b"a", errors.UpstreamReset("reset")])
        with ExchangeBench() as bench:
            bench.upstream.answers.append(response)
            answer = await bench.handle()
            assert (answer.body, answer.aborted, response.closed) == (b"a", True, True)

    @virtual
    async def test_a_compressed_stream_is_counted_as_unprotected(self) -> None:
        fields = [*EVENT_STREAM, (b"content-encoding", b"gzip")]
        with ExchangeBench() as bench:
            bench.upstream.answers.append(MemoryResponse(200, fields, [b"zip"]))
            assert (await bench.handle(fields=STREAM)).body == b"zip"
            assert bench.value("sse_continuity_unproven_total", reason="encoded") == 1

    @virtual
    @pytest.mark.parametrize(
        ("accept", "counted"), [(b"text/event-stream", 1), (b"text/event-stream, */*", 0), (b"text/html", 0)]
    )
    async def test_another_type_is_counted_if_only_streams_are_accepted(
        self, accept: bytes, counted: int
    ) -> None:
        with ExchangeBench() as bench:
            bench.upstream.answers.append(MemoryResponse(200, TEXT, [b"a"]))
            await bench.handle(fields=[(b"accept", accept)])
            kind = {"kind": "wrong_content_type", "disposition": "leaked"}
            assert bench.value("sse_silent_failures_total", **kind) == counted

    @virtual
    async def test_a_client_that_leaves_before_the_head_ends_the_request(self) -> None:
        with ExchangeBench() as bench:
            opening: asyncio.Future[UpstreamResponse] = bench.loop.create_future()
            bench.upstream.answers.append(opening)
            answer = await bench.handle()
            answer.lose()
            await bench.settle()
            assert opening.cancelled()
            assert answer.messages == []

    @virtual
    async def test_a_client_that_leaves_within_its_body_gets_no_answer(self) -> None:
        with ExchangeBench() as bench:
            answer = await bench.handle("POST", fields=KEY, body=[b"a"], breaks=True)
            assert (answer.messages, bench.upstream.requests) == ([], [])


class TestStream:
    @virtual
    async def test_an_event_stream_receives_ids(self) -> None:
        response = MemoryResponse()
        with ExchangeBench() as bench:
            bench.upstream.answers.append(response)
            answer = await bench.handle(fields=STREAM)
            assert response.sink is not None
            response.sink.took(b"data: a\n\n")
            await bench.settle()
            stream = answer.fields[b"sse-stream"]
            assert answer.status == 200
            assert b"data: a\nid: %b.1\n\n" % stream in answer.body

    @virtual
    async def test_a_drain_asks_a_new_eventsource_to_reconnect(self) -> None:
        with ExchangeBench() as bench:
            bench.resume.draining = True
            answer = await bench.handle(fields=STREAM)
            assert (answer.status, answer.aborted, bench.upstream.requests) == (200, True, [])
            assert answer.body.startswith(b"retry: ")

    @virtual
    async def test_an_expired_live_feed_begins_with_a_gap(self) -> None:
        with ExchangeBench(kind="live") as bench:
            position = f"{bench.stream.id}.7".encode()
            bench.stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
            bench.stream.expire()
            bench.upstream.answers.append(MemoryResponse())
            target = b"/chat?a=1&last_event_id=" + position
            answer = await bench.handle(target=target, fields=STREAM)
            (request,) = bench.upstream.requests
            assert request.target == b"/chat?a=1"
            assert b"event: sse-gap" in answer.body
            assert b'"missed_from":8' in answer.body
            assert bench.metrics_value("sse_resumes_total", result="gap") == 1

    @virtual
    async def test_an_early_start_does_not_wait_for_the_head(self) -> None:
        with ExchangeBench(early_start_s=2.0) as bench:
            opening: asyncio.Future[UpstreamResponse] = bench.loop.create_future()
            bench.upstream.answers.append(opening)
            answer = await bench.handle(fields=STREAM)
            assert answer.messages == []
            await bench.pass_s(2.0)
            assert answer.status == 200
            response = MemoryResponse()
            opening.set_result(response)
            await bench.settle()
            assert response.sink is not None
            response.sink.took(b"data: a\n\n")
            await bench.settle()
            assert b"data: a\nid: " in answer.body

    @virtual
    async def test_a_head_within_the_early_start_is_served_as_it_is(self) -> None:
        with ExchangeBench(early_start_s=2.0) as bench:
            bench.upstream.answers.append(MemoryResponse(503, TEXT))
            assert (await bench.handle(fields=STREAM)).status == 503


class TestIdempotencyKey:
    @virtual
    async def test_a_second_request_reads_the_stream_of_the_first(self) -> None:
        response = MemoryResponse()
        with ExchangeBench() as bench:
            bench.upstream.answers.append(response)
            first = await bench.handle("POST", fields=KEY, body=[b"{", b"}"])
            assert response.sink is not None
            response.sink.took(b"data: a\n\n")
            await bench.settle()
            second = await bench.handle("POST", fields=KEY, body=[b"{}"])
            assert second.fields[b"sse-stream"] == first.fields[b"sse-stream"]
            assert b"data: a\nid: " in second.body
            assert len(bench.upstream.requests) == 1

    @virtual
    async def test_another_body_is_422(self) -> None:
        with ExchangeBench() as bench:
            bench.upstream.answers.append(MemoryResponse())
            await bench.handle("POST", fields=KEY, body=[b"{}"])
            answer = await bench.handle("POST", fields=KEY, body=[b"[]"])
            assert answer.status == errors.IdempotencyMismatch.status

    @virtual
    async def test_a_waiting_request_is_forwarded_after_a_first_without_stream(self) -> None:
        with ExchangeBench() as bench:
            opening: asyncio.Future[UpstreamResponse] = bench.loop.create_future()
            bench.upstream.answers += [opening, MemoryResponse(200, TEXT, [b"b"])]
            first = await bench.handle("POST", fields=KEY, body=[b"{}"])
            second = await bench.handle("POST", fields=KEY, body=[b"{}"])
            assert len(bench.upstream.requests) == 1
            opening.set_result(MemoryResponse(503, TEXT))
            await bench.settle()
            assert (first.status, second.body) == (503, b"b")

    @virtual
    @pytest.mark.parametrize(
        ("method", "key", "size"),
        [
            ("GET", b"k", 2),
            ("POST", b"", 2),
            ("POST", b"k" * (KEY_BYTES_MAX + 1), 2),
            ("POST", b"k", BODY_BYTES_MAX + 1),
        ],
    )
    async def test_a_key_that_does_not_count_is_forwarded(self, method: str, key: bytes, size: int) -> None:
        fields: Fields = [*STREAM, (b"idempotency-key", key), (b"content-length", b"%d" % size)]
        body = [b"x" * (size - 1), b"x"]
        with ExchangeBench() as bench:
            bench.upstream.answers += [MemoryResponse(), MemoryResponse()]
            for _ in range(2):
                await bench.handle(method, fields=fields, body=list(body))
            assert len(bench.upstream.requests) == 2
            for request in bench.upstream.requests:
                assert (b"idempotency-key", key) in request.fields

    @virtual
    async def test_a_body_at_its_bound_is_compared(self) -> None:
        with ExchangeBench() as bench:
            bench.upstream.answers.append(MemoryResponse())
            for _ in range(2):
                await bench.handle("POST", fields=KEY, body=[b"x" * BODY_BYTES_MAX])
            assert len(bench.upstream.requests) == 1
