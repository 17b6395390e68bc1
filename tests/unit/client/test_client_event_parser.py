"""Parse an event stream as the WHATWG standard says, in any chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.client.event_parser import Event, EventParser, EventTooLarge
from tests.kit.eventsource import Parser

STREAM = (
    b"\xef\xbb\xbf: hello\r\nid: 1\rdata: a\ndata\n\n"
    b"event: tick\r\ndata:b\r\n\r\n"
    b"retry: 1500\nid: 2\n\n"
    b"data: c\r\rdata: never"
)
EVENTS = [
    ("message", "a\n"),
    ("tick", "b"),
    ("message", "c"),
]


PIECES = [b"data: a", b"data", b"data:  b", b"id: 1", b"id", b"event: e", b"event", b": c", b"x", b":"]
PIECES += [b"\n", b"\r", b"\r\n", b"\n\n", b"retry: 7", b"\xef\xbb\xbf"]


def _read(*chunks: bytes) -> tuple[list[tuple[str, str]], EventParser]:
    parser = EventParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return [(event.type, event.data) for event in events], parser


def test_the_whole_stream_at_once() -> None:
    events, parser = _read(STREAM)
    assert events == EVENTS
    assert (parser.last_event_id, parser.retry_ms) == ("2", 1500)


def test_the_same_stream_byte_by_byte() -> None:
    events, parser = _read(*(STREAM[at : at + 1] for at in range(len(STREAM))))
    assert events == EVENTS
    assert (parser.last_event_id, parser.retry_ms) == ("2", 1500)


def test_an_event_keeps_its_block_as_it_was_with_lf() -> None:
    assert EventParser().feed(b": c\r\nid:7\r\ndata: x\r\n\r\n") == [
        Event("message", "x", "7", own_id=True, block=": c\nid:7\ndata: x\n")
    ]


def test_an_id_counts_only_once_its_block_is_whole() -> None:
    _, parser = _read(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert parser.last_event_id == "1"


@pytest.mark.parametrize(
    ("stream", "last_event_id"),
    [
        (b"id: 1\n\nid\n\n", ""),
        (b"id: 1\n\nid: 2\0\n\n", "1"),
        (b"id: 1\n\n: comment\n\n", "1"),
        (b"id:  1\n\n", " 1"),
    ],
)
def test_what_an_id_field_does(stream: bytes, last_event_id: str) -> None:
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
    assert len(EventParser(event_chars_max=101).feed(line + b"\n\n")) == 1
    with pytest.raises(EventTooLarge):
        EventParser(event_chars_max=99).feed(line)


def test_many_short_lines_are_bounded_like_one_long_one() -> None:
    parser = EventParser(event_chars_max=100)
    for _ in range(12):
        assert parser.feed(b"data: x\n") == []
    with pytest.raises(EventTooLarge):
        parser.feed(b"data: x\n")


@pytest.mark.parametrize(
    ("stream", "heartbeats", "idle_s"),
    [
        (b": hb idle=12\n", 1, 12),
        (b": hb idle=12\n: hb idle=22\n", 2, 22),
        (b": hb\n\n", 1, None),
        (b": hb idle=12\ndata: a\n\n", 1, 0),
        (b": hello\n\n", 0, 0),
        (b": hb idle=12", 0, 0),
    ],
)
def test_a_heartbeat_says_how_long_the_backend_has_been_silent(
    stream: bytes, heartbeats: int, idle_s: int | None
) -> None:
    _, parser = _read(stream)
    assert (parser.heartbeats, parser.idle_s) == (heartbeats, idle_s)


@pytest.mark.parametrize(
    ("stream", "own"),
    [(b"id: 1\ndata: a\n\n", True), (b"id: 1\n\ndata: a\n\n", False), (b"id: \0\ndata: a\n\n", False)],
)
def test_an_event_knows_whether_its_id_is_its_own(stream: bytes, own: bool) -> None:
    assert [event.own_id for event in EventParser().feed(stream)] == [own]


@given(
    st.lists(st.sampled_from(PIECES)).map(b"".join),
    st.integers(1, 9),
)
def test_it_reads_what_the_specification_s_own_parser_reads(stream: bytes, size: int) -> None:
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    oracle = Parser()
    expected = [event for chunk in chunks for event in oracle.feed(chunk)]
    assert _read(*chunks)[0] == [(event.type, event.data) for event in expected]
