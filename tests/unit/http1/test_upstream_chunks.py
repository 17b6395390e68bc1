"""Bytes of a relayed body that are handed on past the parser are the ones it would have handed on."""

import asyncio
from itertools import pairwise
from typing import cast

import pytest
from aiohttp import ClientResponse, StreamReader
from hypothesis import given
from hypothesis import strategies as st

from sidecar.http1.upstream.client import READ_BYTES_MAX
from sidecar.http1.upstream.connection import UpstreamProtocol
from sidecar.http1.upstream.response import AiohttpResponse
from sidecar.observability.errors import UpstreamError

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
HEADS = (b"%x", b"%X", b"0%x", b"%x;name=value")
TRAPS = (b"\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n")

chunks = st.lists(
    st.tuples(
        st.sampled_from(HEADS),
        st.one_of(st.binary(min_size=1, max_size=40), st.sampled_from(TRAPS)),
    ),
    max_size=12,
)


class _Transport(asyncio.Transport):
    """The socket's place: what is read is fed by hand."""

    def pause_reading(self) -> None:
        """Nothing comes by itself anyway."""

    def resume_reading(self) -> None:
        """Nothing comes by itself anyway."""

    def close(self) -> None:
        """Nothing is open."""


class _FakeConnection:
    def __init__(self, protocol: UpstreamProtocol) -> None:
        self.protocol = protocol


class _Head:
    """As much of aiohttp's response as ours looks at."""

    def __init__(self, protocol: UpstreamProtocol, content: StreamReader) -> None:
        self.status, self.raw_headers = 200, ()
        self.content, self.connection = content, _FakeConnection(protocol)

    def close(self) -> None:
        """Nothing is open."""


class _Kept:
    """Takes a body and keeps it."""

    def __init__(self) -> None:
        self.body: list[bytes] = []
        self.end = "none"

    def took(self, chunk: bytes) -> None:
        self.body.append(chunk)

    def ended(self) -> None:
        assert self.end == "none"
        self.end = "clean"

    def broke(self, error: UpstreamError) -> None:
        assert self.end == "none"
        self.end = type(error).__name__


def _wire(body: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(head % len(data) + b"\r\n" + data + b"\r\n" for head, data in body)


def _protocol() -> UpstreamProtocol:
    protocol = UpstreamProtocol(loop=asyncio.get_running_loop())
    protocol.connection_made(_Transport())
    return protocol


async def _relayed(
    protocol: UpstreamProtocol, head: bytes, reads: list[bytes]
) -> tuple[_Kept, AiohttpResponse]:
    protocol.set_response_params(auto_decompress=False, read_bufsize=READ_BYTES_MAX)
    protocol.data_received(head)
    _, content = await protocol.read()
    response, sink = AiohttpResponse(cast("ClientResponse", _Head(protocol, content))), _Kept()
    response.relay(sink)
    for data in reads:
        protocol.data_received(data)
    return sink, response


def _cut(wire: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    return [wire[start:end] for start, end in pairwise(places)]


@given(body=chunks, cuts=st.lists(st.integers(0, 2_000), max_size=12))
def test_any_chunks_in_any_reads_are_handed_on_byte_for_byte(
    body: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    async def relay() -> None:
        sink, _ = await _relayed(_protocol(), CHUNKED, _cut(_wire(body) + b"0\r\n\r\n", cuts))
        assert b"".join(sink.body) == b"".join(data for _, data in body)
        assert sink.end == "clean"

    asyncio.run(relay())


@given(body=chunks)
def test_chunks_that_come_one_by_one_are_handed_on_one_by_one(body: list[tuple[bytes, bytes]]) -> None:
    async def relay() -> None:
        sink, _ = await _relayed(_protocol(), CHUNKED, [_wire([chunk]) for chunk in body] + [b"0\r\n\r\n"])
        assert sink.body == [data for _, data in body]
        assert sink.end == "clean"

    asyncio.run(relay())


@pytest.mark.parametrize(
    "wrong",
    [
        b"z\r\nabc\r\n",
        b"-3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabcde",
        b"\r\n\r\n",
        b"3_\r\nabc\r\n",
    ],
)
async def test_a_chunk_that_the_parser_refuses_breaks_the_body_after_what_was_right(
    wrong: bytes,
) -> None:
    sink, _ = await _relayed(_protocol(), CHUNKED, [b"2\r\nok\r\n", b"2\r\nok\r\n", wrong])
    assert b"".join(sink.body[:2]) == b"okok"
    assert sink.end == "UpstreamBadResponse"


async def test_a_read_that_ends_inside_the_length_of_a_chunk_leaves_the_rest_of_it_to_the_parser() -> None:
    payload = b"abc\r\n" + b"d" * 14
    length_cut = [b"2\r\nok\r\n1", b"3\r\nabc\r\n", b"d" * 14 + b"\r\n", b"0\r\n\r\n"]
    assert len(payload) == int("13", 16)
    sink, _ = await _relayed(_protocol(), CHUNKED, [b"2\r\nok\r\n", *length_cut])
    assert b"".join(sink.body) == b"okok" + payload
    assert sink.end == "clean"


async def test_a_body_of_known_length_that_looks_like_chunks_is_handed_on_as_it_is() -> None:
    protocol = _protocol()
    chunked, _ = await _relayed(protocol, CHUNKED, [b"2\r\nok\r\n", b"2\r\nok\r\n", b"0\r\n\r\n"])
    assert chunked.end == "clean"
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n"
    sink, _ = await _relayed(protocol, plain, [b"3\r\nabc\r\n"] * 3)
    assert b"".join(sink.body) == b"3\r\nabc\r\n" * 3
    assert sink.end == "clean"


async def test_a_sink_that_pauses_is_given_the_rest_in_order_afterwards() -> None:
    protocol = _protocol()
    sink, response = await _relayed(protocol, CHUNKED, [b"1\r\na\r\n", b"1\r\nb\r\n"])
    response.pause()
    protocol.data_received(b"1\r\nc\r\n")
    assert sink.body == [b"a", b"b"]
    response.resume()
    protocol.data_received(b"1\r\nd\r\n")
    await asyncio.sleep(0)
    protocol.data_received(b"1\r\ne\r\n0\r\n\r\n")
    assert b"".join(sink.body) == b"abcde"
    assert sink.end == "clean"


BURSTS = {"large": [b"x" * 30_000] * 10, "many": [b"y"] * 9_000}
"""More than the library holds by itself, in bytes and in chunks: it stops reading, and its parser."""


@pytest.mark.parametrize("burst", BURSTS.values(), ids=BURSTS)
async def test_a_burst_that_comes_with_the_head_is_handed_on_whole_and_what_follows_too(
    burst: list[bytes],
) -> None:
    protocol = _protocol()
    wire = _wire([(b"%x", data) for data in burst])
    sink, _ = await _relayed(protocol, CHUNKED + wire, [])
    assert b"".join(sink.body) == b"".join(burst)
    assert not protocol._reading_paused
    for data in (b"2\r\nok\r\n", b"0\r\n\r\n"):
        protocol.data_received(data)
    assert b"".join(sink.body) == b"".join(burst) + b"ok"
    assert sink.end == "clean"
