"""Promises of the raw client: what it sends, what it reads, how it says that a body ended, how it leaves."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.kit.client import BodyEnded, Overdue, SSEClient
from tests.kit.eventsource import DispatchedEvent
from tests.kit.fake_upstream import FakeUpstream, literal, plain, sse
from tests.kit.head import HEAD_BYTES_MAX
from tests.kit.response import Response, read_response

ONE = b"id: 1\ndata: a\n\n"
TWO = b"id: 2\nevent: add\ndata: b\n\n"


@asynccontextmanager
async def upstream_and_client() -> AsyncIterator[tuple[FakeUpstream, SSEClient]]:
    async with FakeUpstream() as up:
        yield up, SSEClient(up.host, up.port)


async def test_a_request_is_sent_as_given_with_host_and_accept_added() -> None:
    async with upstream_and_client() as (up, client):
        up.script(sse())
        async with client.open("POST", "/x%2F?", [("X-A", "1"), ("X-A", "2")], b"hi") as response:
            assert (response.status, response.header("content-type")) == (200, "text/event-stream")
        assert up.requests[0].head == (
            b"POST /x%%2F? HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-A: 1\r\nX-A: 2\r\n"
            b"Accept: text/event-stream\r\nContent-Length: 2\r\n\r\n" % up.port
        )
        assert up.requests[0].body == b"hi"


async def test_default_fields_come_first_and_are_not_repeated() -> None:
    async with FakeUpstream(lambda _: sse()) as up:
        client = SSEClient(up.host, up.port, [("Authorization", "Bearer a")])
        async with client.open("GET", "/", [("host", "h"), ("accept", "*/*")]):
            pass
        async with client.open("GET", "/", [("Host", "h")], accept=None):
            pass
        await client.fetch("GET", "/", [("Host", "h"), ("Transfer-Encoding", "chunked")], b"0\r\n\r\n")
        assert [request.headers for request in up.requests] == [
            [("Authorization", "Bearer a"), ("host", "h"), ("accept", "*/*")],
            [("Authorization", "Bearer a"), ("Host", "h")],
            [("Authorization", "Bearer a"), ("Host", "h"), ("Transfer-Encoding", "chunked")],
        ]


async def test_events_come_one_by_one_until_the_clean_end() -> None:
    async with upstream_and_client() as (up, client):
        up.script(sse(b"retry: 50\n: hb\n" + ONE[:5], ONE[5:] + TWO))
        async with client.open() as response:
            events = [event async for event in response.events()]
        assert (
            events
            == [DispatchedEvent("message", "a", "1"), DispatchedEvent("add", "b", "2")]
            == response.seen
        )
        assert (response.comments, response.retry_ms, response.last_event_id) == (["hb"], 50, "2")
        assert (response.ended, response.raw) == ("clean", b"retry: 50\n: hb\n" + ONE + TWO)


async def test_no_event_is_read_ahead_of_the_test() -> None:
    async with upstream_and_client() as (up, client):
        by_hand = up.by_hand()
        async with client.open() as response:
            connection = await by_hand.connection()
            await connection.chunk(ONE)
            assert await response.event() == DispatchedEvent("message", "a", "1")
            assert response.ended == "open"
            assert response.arrivals[0][1] == ONE
            assert await response.silent_for(0.01)
            await connection.chunk(TWO)
            assert not await response.silent_for(10)
            assert await response.event() == DispatchedEvent("add", "b", "2")


@pytest.mark.parametrize(
    ("wire", "then", "ended"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "stall", "clean"),
        (b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nA: b\r\n\r\n", "stall", "clean"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", "fin", "aborted"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "fin", "aborted"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "reset", "aborted"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n", "stall", "aborted"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0x2\r\n", "stall", "aborted"),
        (b"Content-Length: 2\r\n\r\nhi", "stall", "clean"),
        (b"Content-Length: 3\r\n\r\nhi", "fin", "aborted"),
        (b"Content-Length: 3\r\n\r\nhi", "reset", "aborted"),
        (b"X: y\r\n\r\nhi", "fin", "clean"),
        (b"X: y\r\n\r\nhi", "reset", "aborted"),
    ],
)
async def test_how_a_body_ended_is_told_by_its_framing(wire: bytes, then: str, ended: str) -> None:
    async with upstream_and_client() as (up, client):
        up.script(literal(b"HTTP/1.1 200 OK\r\n" + wire, then=then))  # type: ignore[arg-type]
        response = await client.fetch("GET", "/")
        assert (response.raw, response.ended) == (b"hi", ended)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_a_response_that_can_have_no_body_ends_with_its_head(method: str, status: int) -> None:
    async with upstream_and_client() as (up, client):
        up.script(literal(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status, then="stall"))
        response = await client.fetch(method, "/")
        assert (response.status, response.raw, response.ended) == (status, b"", "clean")


async def test_interim_responses_are_kept_apart() -> None:
    async with upstream_and_client() as (up, client):
        up.script(
            literal(
                b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            )
        )
        response = await client.fetch("GET", "/")
        assert (response.status, [head.status for head in response.interim]) == (200, [103])


async def test_one_connection_carries_several_requests() -> None:
    async with upstream_and_client() as (up, client):
        up.script(plain(200, body=b"one"), plain(200, body=b"two"))
        async with client.connect() as connection:
            both = client.request_bytes("GET", "/1") + client.request_bytes("GET", "/2")
            first = await client.request(connection, "GET", "/0")
            assert await first.read_to_end() == b"one"
            up.script(plain(), plain())
            second = await client.request(connection, "GET", "/00")
            assert await second.read_to_end() == b"two"
            await connection.send(both)
            await up.request(3)
        assert [(request.target, request.connection) for request in up.requests] == [
            ("/0", 0),
            ("/00", 0),
            ("/1", 0),
            ("/2", 0),
        ]


@pytest.mark.parametrize("n_bytes", range(len(ONE + TWO) + 1))
async def test_a_cut_after_n_bytes_has_read_exactly_these(n_bytes: int) -> None:
    async with upstream_and_client() as (up, client):
        up.script(sse(ONE + TWO, then="stall"))
        async with client.open() as response:
            assert await response.cut_after(n_bytes) == (ONE + TWO)[:n_bytes]
        await up.requests[0].closed_by_peer()
        assert up.connections[0].fate == "peer reset"
        assert len(response.seen) == (n_bytes >= len(ONE)) + (n_bytes >= len(ONE + TWO))
        assert response.ended == "open"


async def test_a_cut_outside_the_unread_body_is_refused() -> None:
    async with upstream_and_client() as (up, client):
        up.script(sse(ONE), sse(ONE))
        async with client.open() as response:
            with pytest.raises(BodyEnded):
                await response.cut_after(len(ONE) + 1)
        async with client.open() as response:
            await response.read_to_end()
            with pytest.raises(ValueError, match="have been read already"):
                await response.cut_after(1)


async def test_leaving_is_a_fin_even_with_something_unread() -> None:
    async with upstream_and_client() as (up, client):
        by_hand = up.by_hand()
        async with client.open() as response:
            await (await by_hand.connection()).chunk(bytes(200_000))
            await response.leave()
        await up.requests[0].closed_by_peer()
        assert up.connections[0].fate == "peer fin"
        accepted = up.requests[0].wire._transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


async def test_a_cut_from_another_task_ends_the_wait_for_events() -> None:
    async with upstream_and_client() as (up, client):
        up.script(sse(ONE, then="stall"))
        async with client.open() as response, asyncio.TaskGroup() as group:
            await response.event()
            reading = group.create_task(response.read_to_end())
            await asyncio.sleep(0)
            group.create_task(response.cut())
            assert await reading == ONE
        assert response.ended == "open"


async def test_read_until_is_bounded_and_reports_what_was_read() -> None:
    async with upstream_and_client() as (up, client):
        up.script(sse(ONE, then="stall"), sse(ONE))
        async with client.open() as response:
            assert await response.read_until(b"data: a") == ONE
            assert await response.read_until(lambda so_far: len(so_far.seen) == 1) == ONE
            with pytest.raises(Overdue, match="data: b"):
                await response.read_until(b"data: b", within_s=0.01)
        async with client.open() as response:
            with pytest.raises(BodyEnded, match=r"data: b.*body clean.*data: a"):
                await response.read_until(b"data: b")
            with pytest.raises(BodyEnded, match="no further event"):
                await response.take(2)


async def test_read_until_spans_pieces_and_may_wait_for_the_end() -> None:
    go = asyncio.Event()

    def has_two(so_far: Response) -> bool:
        if so_far.seen:
            go.set()
        return len(so_far.seen) == 2

    async with upstream_and_client() as (up, client):
        up.script(sse(ONE, go, TWO))
        async with client.open() as response:
            assert await response.read_until(has_two) == ONE + TWO
            await response.read_until(lambda so_far: so_far.ended == "clean")
            assert [event.data for event in await response.take(2)] == ["a", "b"]


async def test_a_101_is_final_and_the_connection_stays_open() -> None:
    async with upstream_and_client() as (up, client):
        up.script(literal(b"HTTP/1.1 101 Switching Protocols\r\n\r\nhello", then="stall"))
        async with client.connect() as connection:
            assert (await client.request(connection)).status == 101
            assert await connection.read() == b"hello"


async def test_a_server_that_closes_without_an_answer_is_named() -> None:
    async with upstream_and_client() as (up, client):
        up.script(literal(b"HTTP/1.1 2", then="fin"), literal(b"", then="reset"))
        with pytest.raises(BodyEnded, match=r"closed with fin, after b'HTTP/1\.1 2'"):
            await client.fetch("GET", "/")
        with pytest.raises(BodyEnded, match="closed with reset"):
            await client.fetch_raw(b"GET / HTTP/1.1\r\n\r\n")


async def test_an_early_answer_is_read_while_the_body_is_sent() -> None:
    async with upstream_and_client() as (up, client):
        by_hand = up.by_hand(head=False)
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(client.fetch("POST", "/", body=bytes(32 * 1024 * 1024)))
            connection = await by_hand.connection()
            await connection.send_head(413, [("Content-Length", "0")])
            assert (await answer).status == 413


async def test_what_arrives_behind_a_response_belongs_to_the_next() -> None:
    async with upstream_and_client() as (up, client):
        one = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
        two = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\nX: y\r\n\r\n"
        up.script(literal(one + two + one))
        async with client.connect() as connection:
            first = await client.request(connection)
            assert await first.read_to_end() == b"one"
            second = await read_response(connection, "GET")
            assert (await second.read_to_end(), second.trailers) == (b"two", ["X: y"])
            assert await (await read_response(connection, "GET")).read_to_end() == b"one"


async def test_why_the_server_did_not_take_the_request_is_kept() -> None:
    async with upstream_and_client() as (up, client):
        by_hand = up.by_hand(head=False)
        async with client.connect() as connection:
            sending = connection.start_sending(
                client.request_bytes("POST", "/", body=bytes(32 * 1024 * 1024))
            )
            await (await by_hand.connection()).reset()
            assert await connection.read_to_close() == b""
            await asyncio.wait({sending})
            assert isinstance(connection.send_error, ConnectionError)
            assert connection.closed_with in {"reset", "fin"}


@pytest.mark.parametrize(
    "start_line", ["HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 abc", "SSH-2.0-x 200 OK"]
)
async def test_what_is_no_status_line_is_refused(start_line: str) -> None:
    async with upstream_and_client() as (up, client):
        up.script(literal(start_line.encode() + b"\r\n\r\n", then="fin"))
        with pytest.raises(ValueError, match="not a status line"):
            await client.fetch("GET", "/")


async def test_a_head_without_end_is_refused() -> None:
    async with upstream_and_client() as (up, client):
        up.script(literal(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEAD_BYTES_MAX + 1), then="stall"))
        with pytest.raises(ValueError, match="no end of the head within 1048576 bytes"):
            await client.fetch("GET", "/")


async def test_the_wire_can_be_read_to_its_close() -> None:
    async with upstream_and_client() as (up, client):
        up.script(plain(200, [("Connection", "close")], b"ok"))
        async with client.connect() as connection:
            await connection.send(b"GET / HTTP/1.0\r\n\r\n")
            assert await connection.read_to_close() == (
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
            )
            assert connection.closed_with == "fin"
