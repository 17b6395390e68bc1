"""Promises of the scripted upstream, seen through a plain asyncio connection."""

import asyncio

import pytest

from tests.kit.deadline import Overdue, within
from tests.kit.eventsource import DispatchedEvent
from tests.kit.fake_upstream import FakeUpstream, UpstreamConnection, literal, plain, sse
from tests.kit.reset import reset_on_close

GET = b"GET /a%2F?x HTTP/1.1\r\nHost: up\r\nX-Dup: 1\r\nx-dup: 2\r\n\r\n"
SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(up: FakeUpstream, request: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_connection(up.host, up.port)
    writer.write(request)
    return reader, writer


async def close(streams: Streams) -> None:
    streams[1].close()
    await streams[1].wait_closed()


async def answer_without_reading(connection: UpstreamConnection) -> None:
    await connection.send_head(200, [("Content-Length", "0")])
    await connection.end()


async def return_without_an_end(connection: UpstreamConnection) -> None:
    await connection.send_head(200, [("Content-Length", "5")])


async def test_a_request_is_recorded_as_it_stood_on_the_wire() -> None:
    async with FakeUpstream() as up:
        up.script(plain(200, [("X-A", "1")], b"ok"))
        streams = await connect(up, b"POST /p HTTP/1.1\r\nHost: up\r\nContent-Length: 3\r\n\r\nabc")
        assert (
            await streams[0].readuntil(b"ok") == b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"
        )
        request = up.requests[0]
        assert request.head == b"POST /p HTTP/1.1\r\nHost: up\r\nContent-Length: 3\r\n\r\n"
        assert (request.method, request.target, request.version) == ("POST", "/p", "HTTP/1.1")
        assert request.headers == [("Host", "up"), ("Content-Length", "3")]
        assert (request.body, request.body_complete, request.connection) == (b"abc", True, 0)
        assert request.at <= asyncio.get_running_loop().time()
        await close(streams)


async def test_header_order_case_and_duplicates_are_kept() -> None:
    async with FakeUpstream() as up:
        up.script(plain())
        streams = await connect(up, GET)
        request = await up.request(0)
        assert request.target == "/a%2F?x"
        assert request.headers == [("Host", "up"), ("X-Dup", "1"), ("x-dup", "2")]
        assert (request.header("X-DUP"), request.headers.all("X-DUP")) == ("1", ["1", "2"])
        await close(streams)


async def test_a_connection_is_reused_and_separates_pipelined_requests() -> None:
    async with FakeUpstream() as up:
        up.script(sse(b"data: 1\n\n"), plain(204))
        chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        streams = await connect(up, chunked + GET)
        answer = await streams[0].readuntil(b"204 No Content\r\n\r\n")
        assert answer == SSE_HEAD + b"9\r\ndata: 1\n\n\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
        assert [(request.body, request.connection) for request in up.requests] == [(b"hi", 0), (b"", 0)]
        await close(streams)


async def test_truth_lists_the_events_that_each_response_has_carried() -> None:
    async with FakeUpstream() as up:
        up.script(sse(b"data: 1\n", b"\n: hb\n\nid: 7\ndata: 2\n\ndata: unfinished\n"), plain())
        streams = await connect(up, GET + GET)
        await up.request(1)
        assert up.truth == [[DispatchedEvent("message", "1"), DispatchedEvent("message", "2", "7")], []]
        assert up.requests[0].sent == b"data: 1\n\n: hb\n\nid: 7\ndata: 2\n\ndata: unfinished\n"
        await close(streams)


async def test_a_reset_reaches_the_peer_after_all_sent_bytes() -> None:
    async with FakeUpstream() as up:
        up.script(sse(b"data: 1\n\n", then="reset"))
        reader, writer = await connect(up, GET)
        assert await reader.readuntil(b"data: 1\n\n\r\n") == SSE_HEAD + b"9\r\ndata: 1\n\n\r\n"
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        assert up.connections[0].fate == "ended by us"


async def test_a_fin_ends_the_connection_without_the_final_chunk() -> None:
    async with FakeUpstream() as up:
        up.script(sse(b"data: 1\n\n", then="fin"))
        streams = await connect(up, GET)
        assert await streams[0].read() == SSE_HEAD + b"9\r\ndata: 1\n\n\r\n"
        await close(streams)


async def test_a_script_without_an_end_closes_the_connection() -> None:
    async with FakeUpstream() as up:
        up.script(return_without_an_end)
        streams = await connect(up, GET)
        assert await streams[0].read() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        await close(streams)


async def test_a_bad_chunk_precedes_silence_until_the_peer_closes() -> None:
    async with FakeUpstream() as up:
        up.script(sse(b"data: 1\n\n", then="bad_chunk"))
        streams = await connect(up, GET)
        assert await streams[0].readuntil(b"xyz\r\n") == SSE_HEAD + b"9\r\ndata: 1\n\n\r\nxyz\r\n"
        assert up.connections[0].closed_by_peer_at is None
        await close(streams)
        await up.requests[0].closed_by_peer()


async def test_the_peer_closing_is_an_event_with_its_time() -> None:
    async with FakeUpstream() as up:
        up.script(sse(then="stall"))
        streams = await connect(up, GET)
        request = await up.request(0)
        await streams[0].readuntil(b"\r\n\r\n")
        before = asyncio.get_running_loop().time()
        await close(streams)
        assert before <= await request.closed_by_peer(within_s=1.0) <= before + 1.0
        assert up.connections[0].fate == "peer fin"


async def test_a_peer_that_resets_is_told_from_one_that_closes() -> None:
    async with FakeUpstream() as up:
        up.script(sse(then="stall"))
        _, writer = await connect(up, GET)
        request = await up.request(0)
        reset_on_close(writer.transport.get_extra_info("socket"))
        writer.transport.abort()
        await request.closed_by_peer()
        assert up.connections[0].fate == "peer reset"


async def test_a_peer_that_does_not_close_in_time_fails_the_test() -> None:
    async with FakeUpstream() as up:
        up.script(sse(then="stall"))
        streams = await connect(up, GET)
        request = await up.request(0)
        with pytest.raises(Overdue, match="has not closed its connection, which is open"):
            await request.closed_by_peer(within_s=0.01)
        await close(streams)


async def test_our_own_end_does_not_count_as_the_peers() -> None:
    async with FakeUpstream() as up:
        up.script(sse(then="fin"))
        streams = await connect(up, GET)
        await streams[0].read()
        await close(streams)
        assert up.connections[0].closed_by_peer_at is None


async def test_a_peer_that_leaves_in_the_middle_is_no_failure() -> None:
    async with FakeUpstream() as up:
        up.script(plain())
        streams = await connect(up, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
        request = await up.request(0)
        await close(streams)
        await request.closed_by_peer()
        assert (request.body, request.body_complete) == (b"abc", False)


async def test_a_script_hears_that_the_body_breaks_off() -> None:
    async with FakeUpstream() as up:
        by_hand = up.by_hand(head=False)
        streams = await connect(up, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
        connection = await by_hand.connection()
        await close(streams)
        with pytest.raises(ConnectionResetError, match="in the middle of the request's body"):
            await connection.body()


async def test_a_peer_that_only_finished_sending_still_gets_its_answer() -> None:
    async with FakeUpstream() as up:
        up.script(plain(200, body=b"ok"))
        streams = await connect(up, GET)
        streams[1].write_eof()
        assert (await streams[0].read()).endswith(b"\r\n\r\nok")
        await close(streams)


async def test_sending_waits_until_the_peer_reads() -> None:
    async with FakeUpstream() as up:
        by_hand = up.by_hand()
        streams = await connect(up, GET)
        connection = await by_hand.connection()
        sending = asyncio.ensure_future(connection.chunk(bytes(32 * 1024 * 1024)))
        assert await asyncio.wait({sending}, timeout=0.2) == (set(), {sending})
        await streams[0].readuntil(b"2000000\r\n")
        await streams[0].readexactly(32 * 1024 * 1024)
        await sending
        await close(streams)


async def test_sending_to_a_peer_that_resets_is_an_error() -> None:
    async with FakeUpstream() as up:
        by_hand = up.by_hand()
        _, writer = await connect(up, GET)
        connection = await by_hand.connection()
        sending = asyncio.ensure_future(connection.chunk(bytes(32 * 1024 * 1024)))
        await asyncio.wait({sending}, timeout=0.1)
        reset_on_close(writer.transport.get_extra_info("socket"))
        writer.transport.abort()
        with pytest.raises(ConnectionResetError, match="the peer is gone"):
            await sending
        assert connection.fate == "peer reset"


async def test_the_router_answers_what_the_queue_does_not() -> None:
    async with FakeUpstream(lambda request: plain(200, body=request.target.encode())) as up:
        up.script(plain(503))
        streams = await connect(up, GET + GET)
        assert (await streams[0].readuntil(b"/a%2F?x")).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        await close(streams)


async def test_a_script_by_hand_speaks_as_the_test_goes() -> None:
    async with FakeUpstream() as up:
        by_hand = up.by_hand()
        up.script(plain(204))
        streams = await connect(up, GET)
        connection = await by_hand.connection()
        await connection.chunk(b"data: 1\n\n")
        assert await streams[0].readuntil(b"\n\n\r\n") == SSE_HEAD + b"9\r\ndata: 1\n\n\r\n"
        await connection.end()
        streams[1].write(GET)
        assert (await streams[0].readuntil(b"204 No Content\r\n\r\n")).startswith(b"0\r\n\r\n")
        await close(streams)


async def test_a_script_waits_for_the_test_between_two_blocks() -> None:
    go = asyncio.Event()
    async with FakeUpstream() as up:
        up.script(sse(b"data: 1\n\n", go, b"data: 2\n\n"))
        streams = await connect(up, GET)
        await streams[0].readuntil(b"data: 1\n\n\r\n")
        assert up.truth == [[DispatchedEvent("message", "1")]]
        go.set()
        await streams[0].readuntil(b"0\r\n\r\n")
        assert up.truth == [[DispatchedEvent("message", "1"), DispatchedEvent("message", "2")]]
        await close(streams)


async def test_100_continue_is_sent_when_the_body_is_read() -> None:
    async with FakeUpstream() as up:
        up.script(plain(200, body=b"ok"))
        streams = await connect(up, b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await streams[0].readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        streams[1].write(b"hi")
        assert (await streams[0].readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert up.requests[0].body == b"hi"
        await close(streams)


async def test_100_continue_is_not_sent_after_the_answer() -> None:
    async with FakeUpstream() as up:
        up.script(answer_without_reading, plain(204))
        streams = await connect(up, b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await streams[0].readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        streams[1].write(b"hi" + GET)
        assert await streams[0].readuntil(b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"
        await close(streams)


async def test_a_request_without_a_body_is_complete_with_its_head() -> None:
    async with FakeUpstream() as up:
        by_hand = up.by_hand(head=False)
        streams = await connect(up, GET)
        assert (await by_hand.connection()).request.body_complete
        await close(streams)


async def test_an_early_answer_makes_the_peer_wait_with_its_body() -> None:
    async with FakeUpstream() as up:
        by_hand = up.by_hand(head=False)
        size = 32 * 1024 * 1024
        streams = await connect(up, b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
        connection = await by_hand.connection()
        streams[1].write(bytes(size))
        await connection.send_head(413, [("Content-Length", "0")])
        assert await streams[0].readuntil(b"\r\n\r\n") == (
            b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\n\r\n"
        )
        with pytest.raises(Overdue, match="still waits"):
            async with within(0.3, lambda: "still waits"):
                await streams[1].drain()
        assert len(await connection.body()) == size
        await connection.end()
        await close(streams)


async def test_a_close_is_seen_while_some_of_the_body_is_unread() -> None:
    async with FakeUpstream() as up:
        by_hand = up.by_hand(head=False)
        streams = await connect(up, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        connection = await by_hand.connection()
        streams[1].write(b"abc")
        await close(streams)
        await connection.closed_by_peer()


async def test_what_a_script_leaves_of_a_body_is_not_the_next_request() -> None:
    async with FakeUpstream() as up:
        up.script(answer_without_reading, plain(204))
        streams = await connect(up, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nGET / abc" + GET)
        await streams[0].readuntil(b"204 No Content\r\n\r\n")
        assert [request.body for request in up.requests] == [b"GET / abc", b""]
        await close(streams)


async def test_each_request_of_a_connection_starts_anew() -> None:
    async with FakeUpstream() as up:
        up.script(plain(204))
        by_hand = up.by_hand()
        streams = await connect(up, GET + GET)
        connection = await by_hand.connection()
        await streams[0].readuntil(SSE_HEAD)
        for _ in range(2):
            await connection.chunk(b"data: 1\n\n")
            assert await streams[0].readuntil(b"1\n\n\r\n") == b"9\r\ndata: 1\n\n\r\n"
        await connection.fin()
        assert await streams[0].read() == b""
        await close(streams)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n",
        b"GET /close HTTP/1.1\r\n\r\n",
    ],
)
async def test_connection_close_takes_effect_after_the_answer(head: bytes) -> None:
    async with FakeUpstream() as up:
        up.script(plain(204, [("Connection", "close")] if b"/close" in head else []))
        streams = await connect(up, head)
        assert (await streams[0].read()).startswith(b"HTTP/1.1 204 No Content\r\n")
        await close(streams)


async def test_an_orderly_end_counts_for_its_own_response_only() -> None:
    async with FakeUpstream() as up:
        up.script(plain(204), return_without_an_end)
        streams = await connect(up, GET + GET)
        assert (await streams[0].read()).endswith(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        await close(streams)


async def test_the_router_can_be_changed() -> None:
    async with FakeUpstream() as up:
        up.route(lambda _: plain(204))
        streams = await connect(up, GET)
        await streams[0].readuntil(b"204 No Content\r\n\r\n")
        await close(streams)


async def test_literal_bytes_go_out_as_they_are() -> None:
    async with FakeUpstream() as up:
        up.script(literal(b"SSH-2.0-x\r\n", then="fin"))
        streams = await connect(up, GET)
        assert await streams[0].read() == b"SSH-2.0-x\r\n"
        await close(streams)


async def test_a_refusing_upstream_comes_back_on_its_port() -> None:
    async with FakeUpstream(lambda _: plain(204)) as up:
        port = up.port
        up.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(up.host, port)
        await up.accept()
        assert up.port == port
        streams = await connect(up, GET)
        await streams[0].readuntil(b"204 No Content\r\n\r\n")
        await close(streams)


async def test_a_request_that_does_not_come_is_overdue() -> None:
    async with FakeUpstream() as up:
        with pytest.raises(Overdue, match="request 0 did not come; 0 did"):
            await up.request(0, within_s=0.01)
