"""What is no stream crosses as it is: target, fields, bodies, statuses (RFC 9110, gateways)."""

import re
import socket

import pytest

from sidecar.server.server import listening_socket
from tests.kit.fake_upstream import FakeUpstream, literal, plain, sse
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar, running

OURS = {
    "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "host", "connection", "content-length"
}  # fmt: skip
"""Fields that a request gets on its way, or that its framing needs."""


async def fetch(sc: RunningSidecar, method: str, target: str, *headers: tuple[str, str]) -> Response:
    return await sc.client.fetch(method, target, headers)


TARGETS = [
    "/", "/?", "/a?", "/a?b=1&b=2", "//x", "//evil.test/x", "/a//b/", "/a%2Fb", "/%2e%2e/x", "/a/../b",
    "/./a", "/%zz", "/a;v=1;w", "/a%0d%0aX:1", "/a+b%20c", "/caf%C3%A9", "/a=b,c:d@e!$'()*~",
    '/[::1]|^`{}"<>', "/a?b?c",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
async def test_the_target_reaches_the_backend_byte_for_byte(target: str) -> None:
    async with relayed() as (up, sc):
        up.script(plain(200, body=b"ok"))
        assert (await fetch(sc, "GET", target)).raw == b"ok"
        assert up.requests[0].target == target


async def test_the_asterisk_of_options_is_forwarded() -> None:
    async with relayed() as (up, sc):
        up.script(plain(204, [("Allow", "GET")]))
        assert (await fetch(sc, "OPTIONS", "*")).header("Allow") == "GET"
        assert up.requests[0].target == "*"


async def test_the_path_of_the_upstream_goes_in_front_of_every_target() -> None:
    async with FakeUpstream() as up, running(f"{up.url}/base/v1/") as sc:
        up.script(plain(200))
        await fetch(sc, "GET", "/a%2F?")
        assert up.requests[0].target == "/base/v1/a%2F?"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_every_method_and_its_body_crosses_and_so_does_the_answer(method: str) -> None:
    body = bytes(range(256)) * 40
    async with relayed() as (up, sc):
        up.script(plain(201, [("Content-Type", "application/x")], body[::-1]))
        response = await sc.client.fetch(method, "/x", [("Content-Type", "application/y")], body)
        assert (response.status, response.raw, response.ended) == (201, body[::-1], "clean")
        request = up.requests[0]
        assert (request.method, request.body, request.header("Content-Type")) == (
            method,
            body,
            "application/y",
        )


async def test_a_chunked_body_stays_one_in_both_directions() -> None:
    async with relayed() as (up, sc):
        up.script(plain(200, [("Transfer-Encoding", "chunked")], b"answer"))
        request = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
        response = await sc.client.fetch("POST", "/x", [("Transfer-Encoding", "chunked")], request)
        assert (response.raw, response.header("Transfer-Encoding")) == (b"answer", "chunked")
        assert (up.requests[0].body, up.requests[0].header("Transfer-Encoding")) == (b"abcde", "chunked")


async def test_fields_keep_their_order_and_their_duplicates_in_both_directions() -> None:
    sent = [("X-B", "1"), ("X-A", "2"), ("X-B", "3"), ("X-Empty", ""), ("Cookie", "a=1"), ("Cookie", "b=2")]
    said = [
        ("Set-Cookie", "a=1"),
        ("X-Z", "1"),
        ("Set-Cookie", "b=2"),
        ("X-Y", "2"),
        ("X-Z", "3, 4"),
        ("Server", "s"),
    ]
    async with relayed() as (up, sc):
        up.script(plain(200, said))
        response = await fetch(sc, "GET", "/", *sent)
        crossed = [(name, value) for name, value in up.requests[0].headers if name.lower() not in OURS]
        assert crossed == [(name.lower(), value) for name, value in sent]
        assert [field for field in response.headers if field[0] != "content-length"] == [
            (name.lower(), value) for name, value in said
        ]


async def test_nothing_is_added_that_the_client_did_not_say() -> None:
    async with relayed() as (up, sc):
        up.script(plain(200))
        await fetch(sc, "GET", "/")
        assert {name.lower() for name, _ in up.requests[0].headers} <= OURS


async def test_the_way_of_a_request_is_written_into_it() -> None:
    async with relayed() as (up, sc):
        up.script(plain(200), plain(200))
        await fetch(sc, "GET", "/", ("Host", "chat.test"))
        await fetch(
            sc,
            "GET",
            "/",
            ("Host", "chat.test"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "outer.test"),
            ("Via", "1.1 outer"),
        )
        first, second = (request.headers for request in up.requests)
        assert first.all("Host") == second.all("Host") == ["chat.test"]
        assert first.all("X-Forwarded-For") == ["127.0.0.1"]
        assert second.all("X-Forwarded-For") == ["192.0.2.1, 127.0.0.1"]
        assert (first.get("X-Forwarded-Proto"), second.get("X-Forwarded-Proto")) == ("http", "https")
        assert (first.get("X-Forwarded-Host"), second.get("X-Forwarded-Host")) == ("chat.test", "outer.test")
        assert re.fullmatch(r"1\.1 sse-sidecar-[0-9a-f]{8}", first.get("Via") or "")
        assert second.get("Via") == f"1.1 outer, {first.get('Via')}"


async def test_hop_by_hop_fields_stay_on_their_hop_in_both_directions() -> None:
    hop = [("Keep-Alive", "timeout=5"), ("Proxy-Connection", "x"), ("TE", "trailers"), ("Trailer", "X")]
    async with relayed() as (up, sc):
        up.script(plain(200, [*hop, ("Connection", "X-Secret"), ("X-Secret", "1"), ("X-Kept", "1")]))
        response = await fetch(
            sc, "GET", "/", *hop, ("Connection", "X-Hop, Keep-Alive"), ("X-Hop", "1"), ("X-Kept", "1")
        )
        for fields in (up.requests[0].headers, response.headers):
            assert fields.get("X-Kept") == "1"
            for name, _ in [*hop, ("X-Hop", ""), ("X-Secret", "")]:
                assert fields.get(name) is None


async def test_a_redirect_is_not_followed_and_a_cookie_not_kept() -> None:
    async with relayed() as (up, sc):
        up.script(plain(307, [("Location", "/elsewhere"), ("Set-Cookie", "sid=1")]), plain(200))
        response = await fetch(sc, "POST", "/a")
        assert (response.status, response.header("Location")) == (307, "/elsewhere")
        await fetch(sc, "GET", "/b")
        assert len(up.requests) == 2
        assert up.requests[1].header("Cookie") is None


async def test_a_compressed_body_is_not_touched() -> None:
    packed = b"\x1f\x8b\x08\x00not really gzip"
    async with relayed() as (up, sc):
        up.script(plain(200, [("Content-Encoding", "gzip"), ("ETag", '"1"')], packed))
        response = await fetch(sc, "GET", "/", ("Accept-Encoding", "gzip, br"))
        assert (response.raw, response.header("Content-Encoding"), response.header("ETag")) == (
            packed,
            "gzip",
            '"1"',
        )
        assert up.requests[0].header("Accept-Encoding") == "gzip, br"


async def test_an_encoded_event_stream_is_passed_through_and_counted() -> None:
    fields = [("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip"), ("Content-Length", "6")]
    async with relayed() as (up, sc):
        up.script(plain(200, fields, b"\x1f\x8babcd"))
        response = await fetch(sc, "GET", "/", ("Accept", "text/event-stream"), ("Accept-Encoding", "gzip"))
        assert up.requests[0].headers.all("Accept-Encoding") == ["identity"]
        assert (response.raw, response.header("SSE-Stream"), response.ended) == (
            b"\x1f\x8babcd",
            None,
            "clean",
        )
        assert sc.metric("sse_continuity_unproven_total", reason="encoded") == 1
        assert sc.metric("sse_streams_started_total") == 0


NO_STREAMS = {"206": ("GET", 206), "404": ("GET", 404), "201": ("POST", 201)}


@pytest.mark.parametrize(("method", "status"), NO_STREAMS.values(), ids=NO_STREAMS)
async def test_an_event_stream_with_another_status_than_200_is_passed_through(
    method: str, status: int
) -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\n", status=status))
        response = await fetch(sc, method, "/", ("Accept", "text/event-stream"), ("Range", "bytes=0-"))
        assert (response.status, response.raw) == (status, b"data: 1\n\n")
        assert response.header("SSE-Stream") is None
        assert up.requests[0].header("Range") == "bytes=0-"


async def test_a_plain_200_for_who_only_accepts_a_stream_counts_as_a_leaked_silent_failure() -> None:
    async with FakeUpstream() as up, running(up.url) as sc:
        up.script(plain(200, [("Content-Type", "text/html")], b"<p>"), plain(200, body=b"{}"))
        await fetch(sc, "GET", "/", ("Accept", "text/event-stream"))
        await fetch(sc, "GET", "/", ("Accept", "text/event-stream, application/json"))
        assert sc.metric("sse_silent_failures_total", kind="wrong_content_type", disposition="leaked") == 1


BODILESS: dict[str, tuple[str, bytes, int, str | None]] = {
    "HEAD with a length": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "5"),
    "HEAD of a stream": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", 200, None),
    "204 with a length": ("GET", b"HTTP/1.1 204 No\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n", 204, None),
    "304 with a length": ("GET", b'HTTP/1.1 304 Not\r\nContent-Length: 5\r\nETag: "1"\r\n\r\n', 304, None),
    "205 with a body": ("GET", b"HTTP/1.1 205 Reset\r\nContent-Length: 5\r\n\r\nhello", 205, None),
}


@pytest.mark.parametrize(("method", "answer", "status", "length"), BODILESS.values(), ids=BODILESS)
async def test_what_has_no_body_gets_none_and_the_connection_lives_on(
    method: str, answer: bytes, status: int, length: str | None
) -> None:
    async with relayed() as (up, sc):
        up.script(literal(answer), plain(200, body=b"next"))
        async with sc.client.connect() as connection:
            response = await sc.client.request(connection, method, "/")
            await response.read_to_end()
            assert (response.status, response.raw, response.ended) == (status, b"", "clean")
            assert response.header("Content-Length") in {length, "0" if status == 205 else length}
            following = await sc.client.request(connection, "GET", "/")
            assert await following.read_to_end() == b"next"


async def test_interim_responses_are_swallowed() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3
    async with relayed() as (up, sc):
        up.script(literal(hints + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        response = await fetch(sc, "GET", "/")
        assert (response.interim, response.raw) == ([], b"ok")


async def test_connections_are_used_again_on_both_sides() -> None:
    async with relayed() as (up, sc):
        up.script(*[plain(200, body=b"%d" % number) for number in range(3)])
        async with sc.client.connect() as connection:
            for number in range(3):
                response = await sc.client.request(connection, "GET", "/")
                assert await response.read_to_end() == b"%d" % number
        assert len(up.connections) == 1


def test_small_writes_to_a_client_wait_for_no_acknowledgement() -> None:
    """A head and a short body are two writes: held back by Nagle's algorithm, the second takes 40 ms."""
    with listening_socket("127.0.0.1", 0) as listener:
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_stream_leaves_its_client_connection_open_for_the_next_request() -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\n"), plain(200, body=b"next"))
        async with sc.client.connect() as connection:
            first = await sc.client.request(connection, "GET", "/feed", [("Accept", "text/event-stream")])
            await first.read_to_end()
            second = await sc.client.request(connection, "GET", "/")
            assert (first.ended, await second.read_to_end()) == ("clean", b"next")


async def test_a_websocket_is_refused_with_501_and_nobody_hangs() -> None:
    async with relayed() as (up, sc):
        response = await fetch(
            sc,
            "GET",
            "/socket",
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        )
        assert (response.status, response.json()["code"]) == (501, "err-sidecar-upgrade-unsupported")
        assert up.requests == []


async def test_cors_lets_a_page_read_the_stream_header() -> None:
    cors = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "X-Request-Id")]
    head = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"), ("Vary", "Origin")]
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\n", headers=[*head, *cors, ("ETag", "1"), ("Age", "1")]))
        response = await fetch(sc, "GET", "/", ("Accept", "text/event-stream"))
        assert response.header("Access-Control-Expose-Headers") == "X-Request-Id, SSE-Stream, SSE-Replayed"
        assert response.header("Vary") == "Origin, last-event-id, authorization"
        assert (response.header("ETag"), response.header("Age")) == (None, None)
