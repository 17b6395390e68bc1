"""An exchange in memory: the request, its body, and answers."""

import json

import pytest

from sidecar.observability import errors
from sidecar.proxy.exchange import ClientGoneError
from tests.kit.exchange_bench import ExchangeBench
from tests.kit.stream_bench import virtual


@virtual
async def test_a_body_is_read_piece_by_piece_without_empty_ones() -> None:
    with ExchangeBench() as bench:
        exchange, _ = bench.exchange("POST", body=[b"a", b"", b"bc"])
        assert [piece async for piece in exchange.body()] == [b"a", b"bc"]


@virtual
async def test_a_body_that_breaks_off_is_an_error() -> None:
    with ExchangeBench() as bench:
        exchange, wire = bench.exchange("POST", body=[b"a"])
        wire.broken = True
        with pytest.raises(ClientGoneError):
            assert [piece async for piece in exchange.body()] == []


@virtual
async def test_a_problem_has_its_code_and_its_fields() -> None:
    with ExchangeBench() as bench:
        exchange, wire = bench.exchange()
        await exchange.problem(errors.UpstreamUnreachable("refused"), [(b"vary", b"origin")])
        assert wire.status == errors.UpstreamUnreachable.status
        assert wire.fields[b"content-type"] == b"application/problem+json"
        assert wire.fields[b"vary"] == b"origin"
        assert wire.fields[b"proxy-status"].startswith(b"sse-sidecar; error=")
        assert (b"retry-after" in wire.fields) is errors.UpstreamUnreachable.retryable
        assert json.loads(wire.body)["code"] == errors.UpstreamUnreachable.code


@virtual
async def test_a_wrong_method_names_the_allowed_ones() -> None:
    with ExchangeBench() as bench:
        exchange, wire = bench.exchange()
        await exchange.problem(errors.MethodNotAllowed("GET"))
        assert wire.fields[b"allow"] == b"GET"


@virtual
async def test_a_problem_after_the_head_is_an_abort() -> None:
    with ExchangeBench() as bench:
        exchange, wire = bench.exchange()
        await exchange.start(200, [])
        await exchange.problem(errors.InternalError())
        assert wire.aborted
        assert wire.body == b""


@virtual
@pytest.mark.parametrize(("method", "body"), [("GET", b"text"), ("HEAD", b"")])
async def test_an_answer_has_its_length_and_head_has_no_body(method: str, body: bytes) -> None:
    with ExchangeBench() as bench:
        exchange, wire = bench.exchange(method)
        await exchange.answer(200, [(b"a", b"b")], b"text")
        assert (wire.fields, wire.body) == ({b"a": b"b", b"content-length": b"4"}, body)


@virtual
async def test_an_answer_without_a_body_has_no_length() -> None:
    with ExchangeBench() as bench:
        exchange, wire = bench.exchange()
        await exchange.answer(204)
        assert (wire.status, wire.fields) == (204, {})


@virtual
async def test_a_client_that_left_before_is_noticed_at_once() -> None:
    with ExchangeBench() as bench:
        exchange, wire = bench.exchange()
        wire.lose()
        left: list[int] = []
        exchange.while_waiting(lambda: left.append(1))
        exchange.while_waiting(None)
        assert left == [1]


@virtual
async def test_the_task_of_a_client_that_leaves_is_cancelled() -> None:
    with ExchangeBench() as bench:
        exchange, wire = bench.exchange()
        forever = bench.loop.create_future()

        async def wait() -> None:
            exchange.give_up_with_client()
            await forever

        task = bench.loop.create_task(wait())
        await bench.settle()
        wire.lose()
        await bench.settle()
        assert task.cancelled()
