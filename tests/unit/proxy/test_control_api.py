"""The control API in memory: join, cancel, report, scripts, CORS."""

import json

import pytest

from sidecar.http1.headers import Fields
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.proxy.client_scripts import SCRIPTS
from sidecar.proxy.control_api import REPORT_READ_BYTES_MAX, REPORT_READ_S
from tests.kit.exchange_bench import ANN, ORIGIN, ExchangeBench
from tests.kit.stream_bench import virtual

A = b"data: a\n"
FROM_PAGE: Fields = [(b"origin", ORIGIN.encode())]


@virtual
@pytest.mark.parametrize(
    ("path", "owned"),
    [
        (b"/_sse", True),
        (b"/_sse/x", True),
        (b"/%5Fsse/x", True),
        (b"/_sse%2Fx", True),
        (b"/_ssex", False),
        (b"/chat/_sse/x", False),
    ],
)
async def test_the_prefix_is_owned_in_any_encoding(path: bytes, owned: bool) -> None:
    with ExchangeBench() as bench:
        assert bench.api.owns(path) is owned


@virtual
@pytest.mark.parametrize("path", [b"/_sse", b"/_sse/nothing", b"/_sse/streams", b"/_sse/streams/a/b/c"])
async def test_an_unknown_resource_is_404(path: bytes) -> None:
    with ExchangeBench() as bench:
        answer = await bench.ask("GET", path)
        assert json.loads(answer.body)["code"] == errors.ControlNotFound.code


@virtual
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", b"/_sse/streams/x", b"GET, DELETE, OPTIONS"),
        ("GET", b"/_sse/streams/x/cancel", b"POST, OPTIONS"),
        ("GET", b"/_sse/reports", b"POST, OPTIONS"),
        ("POST", b"/_sse/client.js", b"GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405(method: str, path: bytes, allowed: bytes) -> None:
    with ExchangeBench() as bench:
        answer = await bench.ask(method, path)
        assert (answer.status, answer.fields[b"allow"]) == (405, allowed)


@virtual
async def test_a_join_reads_from_the_start() -> None:
    with ExchangeBench() as bench:
        bench.stream.accept([A, A])
        answer = await bench.ask("GET", bench.path_of(bench.stream))
        assert (answer.status, answer.fields[b"sse-replayed"]) == (200, b"2")


@virtual
async def test_a_join_continues_at_its_position() -> None:
    with ExchangeBench() as bench:
        bench.stream.accept([A, A])
        at = [(b"last-event-id", f"{bench.stream.id}.1".encode())]
        answer = await bench.ask("GET", bench.path_of(bench.stream), [*ANN, *at])
        assert answer.fields[b"sse-replayed"] == b"1"


@virtual
async def test_a_position_of_another_stream_is_404() -> None:
    with ExchangeBench() as bench:
        other = bench.create(b"other")
        at = [(b"last-event-id", f"{other.id}.1".encode())]
        answer = await bench.ask("GET", bench.path_of(bench.stream), [*ANN, *at])
        assert answer.status == 404


@virtual
async def test_a_join_of_an_expired_stream_is_gone() -> None:
    with ExchangeBench() as bench:
        path = bench.path_of(bench.stream)
        bench.stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        bench.stream.expire()
        assert (await bench.ask("GET", path)).status == errors.ResumeExpired.status
        assert bench.metrics_value("sse_resumes_total", result="expired") == 0


@virtual
@pytest.mark.parametrize(("method", "suffix"), [("DELETE", ""), ("POST", "/cancel")])
async def test_a_cancel_stops_the_stream_and_can_be_repeated(method: str, suffix: str) -> None:
    with ExchangeBench() as bench:
        path = bench.path_of(bench.stream, suffix)
        answers = [await bench.ask(method, path) for _ in range(2)]
        assert [answer.status for answer in answers] == [204, 204]
        assert bench.outcomes == [Outcome.CLIENT_CANCELLED]


@virtual
async def test_a_cancel_of_another_principal_is_404() -> None:
    with ExchangeBench() as bench:
        answer = await bench.ask("DELETE", bench.path_of(bench.stream), [])
        assert answer.status == 404
        assert bench.outcomes == []


@virtual
async def test_a_cancel_of_something_else_is_404() -> None:
    with ExchangeBench() as bench:
        assert (await bench.ask("DELETE", b"/_sse/streams/x")).status == 404


@virtual
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([], 204),
        ([(b"sec-fetch-site", b"same-origin")], 204),
        ([(b"sec-fetch-site", b"none")], 204),
        ([(b"sec-fetch-site", b"same-site")], 403),
        ([(b"sec-fetch-site", b"cross-site")], 403),
        ([(b"origin", b"http://chat.example")], 204),
        ([(b"origin", b"http://evil.example")], 403),
        ([(b"origin", b"null")], 403),
        ([(b"origin", ORIGIN.encode()), (b"sec-fetch-site", b"cross-site")], 204),
    ],
)
async def test_only_allowed_pages_cancel(fields: Fields, status: int) -> None:
    with ExchangeBench() as bench:
        answer = await bench.ask("DELETE", bench.path_of(bench.stream), [*ANN, *fields])
        assert answer.status == status


@virtual
@pytest.mark.parametrize("suffix", ["", "/cancel"])
async def test_a_preflight_allows_an_allowed_origin(suffix: str) -> None:
    with ExchangeBench() as bench:
        path = bench.path_of(bench.stream, suffix)
        allowed = await bench.ask("OPTIONS", path, FROM_PAGE)
        refused = await bench.ask("OPTIONS", path, [(b"origin", b"http://evil.example")])
        assert allowed.fields[b"access-control-allow-origin"] == ORIGIN.encode()
        assert b"last-event-id" in allowed.fields[b"access-control-allow-headers"]
        assert (refused.status, refused.fields) == (204, {})


@virtual
async def test_an_error_is_readable_for_an_allowed_origin() -> None:
    with ExchangeBench() as bench:
        answer = await bench.ask("GET", b"/_sse/nothing", FROM_PAGE)
        assert answer.fields[b"access-control-expose-headers"] == b"Retry-After"


@virtual
@pytest.mark.parametrize("body", [[b"{}"], [b"\xff"], [b"x" * (REPORT_READ_BYTES_MAX + 1), b"more"]])
async def test_every_report_receives_the_same_answer(body: list[bytes]) -> None:
    with ExchangeBench() as bench:
        answer = await bench.ask("POST", b"/_sse/reports", [], body)
        assert (answer.status, answer.fields[b"access-control-allow-origin"]) == (204, b"*")
        assert bench.metrics_value("sse_client_reports_total", verdict="rejected") == 1


@virtual
async def test_a_report_that_does_not_end_is_answered_in_time() -> None:
    with ExchangeBench() as bench:
        exchange, wire = bench.exchange("POST", b"/_sse/reports")
        exchange.receive = bench.loop.create_future
        bench.tasks.append(bench.loop.create_task(bench.api.serve(exchange)))
        await bench.pass_s(REPORT_READ_S + 0.1)
        assert wire.status == 204


@virtual
async def test_a_preflight_of_a_report_is_allowed_for_every_page() -> None:
    with ExchangeBench() as bench:
        answer = await bench.ask("OPTIONS", b"/_sse/reports", [(b"origin", b"http://any.example")])
        assert answer.fields[b"access-control-allow-methods"] == b"POST"


@virtual
@pytest.mark.parametrize("name", list(SCRIPTS))
async def test_a_script_is_served_and_revalidated(name: str) -> None:
    with ExchangeBench() as bench:
        first = await bench.ask("GET", f"/_sse/{name}".encode(), [])
        again = await bench.ask("HEAD", f"/_sse/{name}".encode(), [(b"if-none-match", first.fields[b"etag"])])
        assert (first.status, again.status) == (200, 304)
        assert len(first.body) == int(first.fields[b"content-length"])
