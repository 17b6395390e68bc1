"""Bodies of any size cross in both directions at the pace of the slower side, and nothing of them is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable

import psutil
import pytest

from tests.kit.client_connection import RawConnection
from tests.kit.deadline import within
from tests.kit.fake_upstream import ByHand, plain
from tests.kit.relayed import relayed
from tests.kit.response import read_response
from tests.kit.upstream_connection import UpstreamConnection

MIB = 1024 * 1024
BLOCK = bytes(range(256)) * 256
BLOCKS = 50 * MIB // len(BLOCK)
IN_FLIGHT_BYTES_MAX = 24 * MIB
"""What four kernel buffers on the way may take; far below the whole."""

RSS_GROWTH_BYTES_MAX = 16 * MIB
STANDSTILL_S = 0.3


async def sent_until_standstill(sent: Callable[[], int]) -> int:
    """Wait until a sender that nobody reads from gets no further; return how far it got."""
    before = -1
    while sent() != before:
        before = sent()
        await asyncio.sleep(STANDSTILL_S)
    return before


class Flood:
    """Sends BLOCK over and over; ``sent`` counts bytes."""

    def __init__(self) -> None:
        self.sent = 0

    async def over(self, connection: RawConnection | UpstreamConnection) -> None:
        for _ in range(BLOCKS):
            await connection.send(BLOCK)
            self.sent += len(BLOCK)


def rss() -> int:
    size: int = psutil.Process().memory_info().rss
    return size


async def arriving(upstream: UpstreamConnection) -> AsyncIterator[bytes]:
    """Yield a request's body without keeping it."""
    while data := await upstream.read_body():
        upstream.request.received_body.clear()
        yield data


@pytest.mark.alone  # kernels of busy machines hold more bytes on the way
@pytest.mark.timeout(30)
async def test_a_large_upload_waits_for_a_slow_backend_and_arrives_whole() -> None:
    async with relayed() as (up, sc):
        hand: ByHand = up.by_hand(head=False)
        flood = Flood()
        length = ("Content-Length", str(BLOCKS * len(BLOCK)))
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("PUT", "/file", [length]))
            before = rss()
            sending = asyncio.ensure_future(flood.over(connection))
            upstream = await hand.connection()
            assert await sent_until_standstill(lambda: flood.sent) < IN_FLIGHT_BYTES_MAX
            assert rss() - before < RSS_GROWTH_BYTES_MAX
            received = 0
            async for data in arriving(upstream):
                start = received % len(BLOCK)
                assert (BLOCK + BLOCK)[start : start + len(data)] == data or len(data) > len(BLOCK)
                received += len(data)
            await sending
            assert rss() - before < RSS_GROWTH_BYTES_MAX
            await plain(201)(upstream)
            assert received == BLOCKS * len(BLOCK)
            assert (await read_response(connection, "PUT")).status == 201


@pytest.mark.alone  # kernels of busy machines hold more bytes on the way
@pytest.mark.timeout(30)
async def test_a_large_download_waits_for_a_slow_client_and_arrives_whole() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        flood = Flood()
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("GET", "/file"))
            upstream = await hand.connection()
            before = rss()
            await upstream.send_head(200, [("Content-Length", str(BLOCKS * len(BLOCK)))])
            sending = asyncio.ensure_future(flood.over(upstream))
            assert await sent_until_standstill(lambda: flood.sent) < IN_FLIGHT_BYTES_MAX
            assert rss() - before < RSS_GROWTH_BYTES_MAX
            received = 0
            async with within(20, lambda: f"only {received} bytes"):
                head, _, rest = (await connection.read()).partition(b"\r\n\r\n")
                assert b"content-length" in head
                received = len(rest)
                while received < BLOCKS * len(BLOCK):
                    data = await connection.read()
                    assert data
                    received += len(data)
            await sending
            assert rss() - before < RSS_GROWTH_BYTES_MAX


async def test_a_body_is_forwarded_while_it_is_still_coming() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("POST", "/", [("Transfer-Encoding", "chunked")]))
            for piece in (b"one", b"two"):
                await connection.send(b"3\r\n%b\r\n" % piece)
                upstream = await hand.connection()
                assert await upstream.read_body() == piece
            await connection.send(b"0\r\n\r\n")
            await plain(200, body=b"ok")(upstream)
            response = await read_response(connection, "POST")
            assert await response.read_to_end() == b"ok"


async def test_a_client_that_breaks_off_its_upload_breaks_off_the_backends_request() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("POST", "/", [("Content-Length", "9")]) + b"abc")
            upstream = await hand.connection()
            assert await upstream.read_body() == b"abc"
            await connection.leave()
            await upstream.closed_by_peer(1.0)
        assert upstream.request.body_complete is False
        await sc.until(lambda: sc.metric("sse_requests_total", code_class="aborted") == 1)


async def test_100_continue_is_said_when_the_backend_is_there_and_not_forwarded() -> None:
    async with relayed() as (up, sc):
        up.script(plain(200, body=b"ok"))
        async with sc.client.connect() as connection:
            expect = [("Expect", "100-continue"), ("Content-Length", "3")]
            await connection.send(sc.client.request_bytes("POST", "/", expect))
            assert await connection.read() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await connection.send(b"abc")
            response = await read_response(connection, "POST")
            assert await response.read_to_end() == b"ok"
        assert (up.requests[0].header("Expect"), up.requests[0].body) == (None, b"abc")


async def test_a_refused_expectation_gets_the_final_status_and_no_100() -> None:
    async with relayed() as (up, sc):
        up.refuse()
        async with sc.client.connect() as connection:
            expect = [("Expect", "100-continue"), ("Content-Length", "3")]
            await connection.send(sc.client.request_bytes("POST", "/", expect))
            response = await read_response(connection, "POST")
            await response.read_to_end()
            assert (response.status, response.interim) == (502, [])
            assert response.header("Connection") == "close"
            assert await connection.read_to_close(0.7) == b""
            assert connection.closed_with == "fin"


@pytest.mark.parametrize("close", [True, False], ids=["and closes", "and reads on"])
async def test_an_answer_before_the_upload_is_over_reaches_the_client_and_ends_the_connection(
    close: bool,
) -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("POST", "/", [("Content-Length", str(40 * MIB))]))
            sending = connection.start_sending(BLOCK * 200)
            upstream = await hand.connection()
            fields = [("Content-Length", "9"), ("X-A", "1"), *([("Connection", "close")] if close else [])]
            await upstream.send_head(413, fields)
            await upstream.write(b"too large")
            await (upstream.fin() if close else upstream.end())
            response = await read_response(connection, "POST")
            assert await response.read_to_end() == b"too large"
            assert (response.status, response.ended, response.header("X-A")) == (413, "clean", "1")
            assert response.header("Connection") == "close"
            async with within(3, lambda: "the connection stays"):
                while await connection.read():
                    pass
            sending.cancel()


async def test_the_rest_of_a_request_that_was_answered_early_does_not_reset_the_answer() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("POST", "/", [("Content-Length", "4000")]) + b"x")
            upstream = await hand.connection()
            await upstream.send_head(413, [("Content-Length", "9")])
            await upstream.write(b"too large")
            await upstream.end()
            await sc.until(lambda: sc.metric("sse_requests_total", code_class="4xx"))
            for _ in range(3):
                await connection.send(b"x" * 1000)
                await asyncio.sleep(0.05)  # in which a RST would arrive
            response = await read_response(connection, "POST")
            assert await response.read_to_end() == b"too large"
            assert await connection.read_to_close() == b""
            assert connection.closed_with == "fin"


async def test_an_answer_that_begins_early_is_relayed_whole_while_the_upload_goes_on() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.connect() as connection:
            await connection.send(sc.client.request_bytes("POST", "/", [("Content-Length", "6")]) + b"abc")
            upstream = await hand.connection()
            assert await upstream.read_body() == b"abc"
            await upstream.send_head(200, [("Content-Length", "6")])
            await upstream.write(b"123")
            response = await read_response(connection, "POST")
            await response.read_until(b"123")
            await connection.send(b"def")
            assert await upstream.read_body() == b"def"
            await upstream.write(b"456")
            assert await response.read_to_end() == b"123456"
            assert response.ended == "clean"


async def test_a_stream_that_begins_before_the_upload_is_over_is_relayed_too() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.connect() as connection:
            fields = [("Content-Length", "6"), ("Accept", "text/event-stream")]
            await connection.send(sc.client.request_bytes("POST", "/", fields) + b"abc")
            upstream = await hand.connection()
            assert await upstream.read_body() == b"abc"
            await upstream.send_head(
                200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
            )
            await upstream.write(b"data: 1\n\n")
            response = await read_response(connection, "POST")
            assert (await response.event()).data == "1"
            await connection.send(b"def")
            assert await upstream.read_body() == b"def"
            await upstream.write(b"data: 2\n\n")
            await upstream.end()
            await response.read_to_end()
        assert ([event.data for event in response.seen], response.ended) == (["1", "2"], "clean")
