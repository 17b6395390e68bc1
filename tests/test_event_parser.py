"""An event stream is read as the WHATWG specification says, whatever the chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.event_parser import ClientEvent, EventParser, EventTooLarge
from tests.support.eventsource import Parser

STREAM = (
    b"\xef\xbb\xbf: hello\r\nid: 1\rdata: a\ndata\n\n"
    b"event: tick\r\ndata:b\r\n\r\n"
    b"retry: 1500\nid: 2\n\n"
    b"data: c\r\rdata: never"
)
EVENTS = [
    (b"message", b"a\n"),
    (b"tick", b"b"),
    (b"message", b"c"),
]


PIECES = [b"data: a", b"data", b"data:  b", b"id: 1", b"id", b"event: e", b"event", b": c", b"x", b":"]
PIECES += [b"\n", b"\r", b"\r\n", b"\n\n", b"retry: 7", b"\xef\xbb\xbf"]


def _read(*chunks: bytes) -> tuple[list[tuple[bytes, bytes]], EventParser]:
    parser = EventParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return [(event.kind, event.data) for event in events], parser


def test_the_whole_stream_at_once() -> None:
    events, parser = _read(STREAM)
    assert events == EVENTS
    assert (parser.last_event_id, parser.retry_ms) == (b"2", 1500)


def test_the_same_stream_byte_by_byte() -> None:
    events, parser = _read(*(STREAM[at : at + 1] for at in range(len(STREAM))))
    assert events == EVENTS
    assert (parser.last_event_id, parser.retry_ms) == (b"2", 1500)


def test_an_event_keeps_its_block_as_it_was_with_lf() -> None:
    assert EventParser().feed(b": c\r\nid:7\r\ndata: x\r\n\r\n") == [
        ClientEvent(b"message", b"x", b": c\nid:7\ndata: x\n")
    ]


def test_an_id_counts_only_once_its_block_is_whole() -> None:
    _, parser = _read(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert parser.last_event_id == b"1"


@pytest.mark.parametrize(
    ("stream", "last_event_id"),
    [
        (b"id: 1\n\nid\n\n", b""),
        (b"id: 1\n\nid: 2\0\n\n", b"1"),
        (b"id: 1\n\n: comment\n\n", b"1"),
        (b"id:  1\n\n", b" 1"),
    ],
)
def test_what_an_id_field_does(stream: bytes, last_event_id: bytes) -> None:
    assert _read(stream)[1].last_event_id == last_event_id


@pytest.mark.parametrize(
    ("stream", "retry_ms"),
    [
        (b"retry: 10\n", 10),
        (b"retry: 1.5\n", None),
        (b"retry: -1\n", None),
        (b"retry:\n", None),
        (b"retry: 5", None),
        (b"retry: " + b"9" * 5000 + b"\n", 10**18 - 1),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_retry_counts_as_soon_as_its_line_is_whole(stream: bytes, retry_ms: int | None) -> None:
    assert _read(stream)[1].retry_ms == retry_ms


def test_an_event_at_the_bound_is_read_and_one_above_it_is_refused() -> None:
    line = b"data: " + b"x" * 94
    assert len(EventParser(event_bytes_max=101).feed(line + b"\n\n")) == 1
    with pytest.raises(EventTooLarge):
        EventParser(event_bytes_max=99).feed(line)


def test_many_short_lines_are_bounded_like_one_long_one() -> None:
    parser = EventParser(event_bytes_max=100)
    for _ in range(12):
        assert parser.feed(b"data: x\n") == []
    with pytest.raises(EventTooLarge):
        parser.feed(b"data: x\n")


@given(
    st.lists(st.sampled_from(PIECES)).map(b"".join),
    st.integers(1, 9),
)
def test_it_reads_what_the_specification_s_own_parser_reads(stream: bytes, size: int) -> None:
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    oracle = Parser()
    expected = [event for chunk in chunks for event in oracle.feed(chunk)]
    assert _read(*chunks)[0] == [(event.type.encode(), event.data.encode()) for event in expected]
