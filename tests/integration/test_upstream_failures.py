"""A backend that fails before its head is a 502 or 504 with a reason; what breaks off later never ends."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from tests.kit.fake_upstream import Ending, FakeUpstream, literal, plain, sse
from tests.kit.relayed import relayed
from tests.kit.response import Response, read_response
from tests.kit.running import running


def assert_problem(response: Response, status: int, code: str, proxy_error: str) -> None:
    """Check an error of the sidecar's own: RFC 9457 and RFC 9209."""
    assert response.status == status
    assert response.header("Content-Type") == "application/problem+json"
    assert response.header("Proxy-Status") == f"sse-sidecar; error={proxy_error}"
    assert response.header("Cache-Control") == "no-store"
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert set(body) == {"type", "title", "status", "code"}
    assert len(response.raw) <= 1024


@pytest.mark.alone  # it measures a short time
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_backend_that_refuses_is_a_502_at_once_and_served_when_it_is_back(method: str) -> None:
    async with relayed() as (up, sc):
        up.refuse()
        loop = asyncio.get_running_loop()
        began = loop.time()
        response = await sc.client.fetch(method, "/v1/chat", body=b"{}" if method == "POST" else b"")
        assert loop.time() - began < 1.0
        assert_problem(response, 502, "err-sidecar-upstream-refused", "connection_refused")
        await up.accept()
        up.script(plain(200, body=b"back"))
        assert (await sc.client.fetch(method, "/v1/chat")).raw == b"back"
        assert sc.metric("sse_requests_total", code_class="5xx") == 1


async def test_a_name_that_does_not_resolve_is_a_502() -> None:
    async with running("http://no-such-host.invalid:80") as sc:
        response = await sc.client.fetch("GET", "/")
        assert_problem(response, 502, "err-sidecar-upstream-unreachable", "dns_error")


@pytest.fixture
def full_port() -> Iterator[int]:
    """Yield a port whose accept queue is full: the kernel drops every further handshake."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


@pytest.mark.alone  # it measures a short time
async def test_no_handshake_in_time_is_a_504(full_port: int) -> None:
    loop = asyncio.get_running_loop()
    async with running(f"http://127.0.0.1:{full_port}", {"connect_timeout_s": 0.4}) as sc:
        began = loop.time()
        response = await sc.client.fetch("POST", "/v1/chat", body=b"{}")
        assert 0.35 <= loop.time() - began <= 1.5
        assert_problem(response, 504, "err-sidecar-upstream-connect-timeout", "connection_timeout")


@pytest.mark.alone  # it measures a short time
@pytest.mark.parametrize("body", [b"", b"{}"], ids=["without a body", "with a body"])
async def test_no_head_in_time_is_a_504_and_the_connection_is_closed(body: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with relayed({"first_byte_timeout_s": 0.4}) as (up, sc):
        up.by_hand(head=False)
        began = loop.time()
        response = await sc.client.fetch("POST", "/v1/chat", body=body)
        assert 0.35 <= loop.time() - began <= 1.5
        assert_problem(response, 504, "err-sidecar-upstream-first-byte-timeout", "http_response_timeout")
        await up.requests[0].closed_by_peer(1.0)


async def test_a_slow_upload_is_no_late_head() -> None:
    async with relayed({"first_byte_timeout_s": 0.3}) as (up, sc):
        up.script(plain(200, body=b"ok"))
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("POST", "/", [("Content-Length", "3")]))
            for byte in (b"a", b"b", b"c"):
                await asyncio.sleep(0.4)
                await connection.send(byte)
            head = await connection.read()
        assert head.startswith(b"HTTP/1.1 200 ")


@pytest.mark.alone  # it measures a short time
async def test_the_time_to_connect_does_not_extend_the_wait_for_a_head() -> None:
    loop = asyncio.get_running_loop()
    async with relayed({"first_byte_timeout_s": 0.3, "connect_timeout_s": 5}) as (up, sc):
        up.by_hand(head=False)
        began = loop.time()
        assert (await sc.client.fetch("GET", "/")).status == 504
        assert loop.time() - began <= 1.5


BROKEN_HEADS: dict[str, tuple[bytes, Ending, str, str]] = {
    "RST": (b"", "reset", "err-sidecar-upstream-reset", "connection_terminated"),
    "FIN": (b"", "fin", "err-sidecar-upstream-reset", "connection_terminated"),
    "FIN in the head": (
        b"HTTP/1.1 200 OK\r\nX: ",
        "fin",
        "err-sidecar-upstream-reset",
        "connection_terminated",
    ),
    "SSH": (b"SSH-2.0-OpenSSH\r\n", "fin", "err-sidecar-upstream-bad-response", "http_protocol_error"),
    "status 20": (
        b"HTTP/1.1 20 OK\r\n\r\n",
        "fin",
        "err-sidecar-upstream-bad-response",
        "http_protocol_error",
    ),
    "status 999": (
        b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n",
        "fin",
        "err-sidecar-upstream-bad-response",
        "http_protocol_error",
    ),
    "length and chunked": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "fin",
        "err-sidecar-upstream-bad-response",
        "http_protocol_error",
    ),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        "fin",
        "err-sidecar-upstream-bad-response",
        "http_protocol_error",
    ),
    "a control character": (
        b"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 0\r\n\r\n",
        "fin",
        "err-sidecar-upstream-bad-response",
        "http_protocol_error",
    ),
    "a head above the bound": (
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 300_000 + b"\r\nContent-Length: 0\r\n\r\n",
        "fin",
        "err-sidecar-upstream-bad-response",
        "http_protocol_error",
    ),
    "1000 fields": (
        b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 1000 + b"Content-Length: 0\r\n\r\n",
        "fin",
        "err-sidecar-upstream-bad-response",
        "http_protocol_error",
    ),
}


@pytest.mark.parametrize(("answer", "then", "code", "proxy_error"), BROKEN_HEADS.values(), ids=BROKEN_HEADS)
async def test_a_broken_head_is_a_502_and_a_post_is_sent_once(
    answer: bytes, then: Ending, code: str, proxy_error: str
) -> None:
    async with relayed() as (up, sc):
        up.script(literal(answer, then=then))
        response = await sc.client.fetch("POST", "/v1/chat", body=b"{}")
        assert_problem(response, 502, code, proxy_error)
        assert len(up.requests) == 1


async def test_a_get_is_sent_again_once_where_a_pooled_connection_was_dead() -> None:
    async with relayed() as (up, sc):
        up.script(plain(200), literal(b"", then="reset"), plain(200, body=b"again"))
        await sc.client.fetch("GET", "/1")
        response = await sc.client.fetch("GET", "/2")
        assert response.raw == b"again"
        assert [(request.target, request.connection) for request in up.requests] == [
            ("/1", 0), ("/2", 0), ("/2", 1)
        ]  # fmt: skip


async def test_a_get_is_not_sent_a_third_time() -> None:
    async with relayed() as (up, sc):
        up.script(plain(200), literal(b"", then="reset"), literal(b"", then="reset"))
        await sc.client.fetch("GET", "/1")
        assert (await sc.client.fetch("GET", "/2")).status == 502
        assert len(up.requests) == 3


async def test_a_get_on_a_new_connection_is_sent_once() -> None:
    async with relayed() as (up, sc):
        up.script(literal(b"", then="reset"))
        assert (await sc.client.fetch("GET", "/")).status == 502
        assert len(up.requests) == 1


async def test_a_post_never_goes_over_a_used_connection() -> None:
    async with relayed() as (up, sc):
        up.script(plain(200), plain(200))
        await sc.client.fetch("GET", "/")
        await sc.client.fetch("POST", "/", body=b"{}")
        assert [request.connection for request in up.requests] == [0, 1]


TRUNCATED: dict[str, tuple[bytes, Ending]] = {
    "short of its length": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "fin"),
    "short of its length by RST": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "reset"),
    "without the final chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "fin"),
    "a bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", "stall"),
    "until RST": (b"HTTP/1.1 200 OK\r\n\r\nabc", "reset"),
}


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize(("answer", "then"), TRUNCATED.values(), ids=TRUNCATED)
async def test_a_truncated_plain_answer_is_aborted_and_never_ended(
    answer: bytes, then: Ending, version: str
) -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("GET", "/", version=version))
            upstream = await hand.connection()
            await upstream.send(answer[: answer.index(b"abc") + 3])
            response = await read_response(connection, "GET")
            await response.read_until(b"abc")
            await literal(answer[answer.index(b"abc") + 3 :], then=then)(upstream)
            await response.read_to_end()
        assert (response.status, response.raw, response.ended) == (200, b"abc", "aborted")
        assert sc.metric("sse_requests_total", code_class="aborted") == 1


async def test_a_request_that_comes_back_is_a_loop() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with running(f"http://127.0.0.1:{port}", listen=f"127.0.0.1:{port}") as sc:
        response = await sc.client.fetch("GET", "/")
        assert (response.status, response.header("Proxy-Status")) == (
            508,
            "sse-sidecar; error=proxy_loop_detected",
        )
        assert sc.metric("sse_requests_total") == 2


async def test_a_chain_of_two_sidecars_is_no_loop() -> None:
    async with (
        FakeUpstream() as up,
        running(up.url) as inner,
        running(f"http://127.0.0.1:{inner.port}") as sc,
    ):
        up.script(sse(b"data: 1\n\n"))
        response = await sc.client.fetch("GET", "/", [("Accept", "text/event-stream")])
        assert [event.data for event in response.seen] == ["1"]
        assert response.raw.count(b"\nid: ") == 1


async def test_others_are_served_while_one_request_hangs() -> None:
    async with relayed() as (up, sc):
        up.by_hand(head=False)
        hanging = asyncio.ensure_future(sc.client.fetch("GET", "/hang"))
        await up.request(0)
        up.script(plain(200, body=b"ok"))
        assert (await sc.client.fetch("GET", "/")).raw == b"ok"
        hanging.cancel()
        await up.requests[0].closed_by_peer(1.0)
