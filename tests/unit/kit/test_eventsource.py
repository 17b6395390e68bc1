"""Promises of the spec parser; the cases are the standard's own examples, then its corners."""

import pytest

from tests.kit.eventsource import DispatchedEvent, Parser, parse

CASES: dict[str, tuple[bytes, list[DispatchedEvent]]] = {
    "spec example: one event of three data lines": (
        b"data: YHOO\ndata: +2\ndata: 10\n\n",
        [DispatchedEvent("message", "YHOO\n+2\n10")],
    ),
    "spec example: four blocks, a comment, an id reset, the last without its blank line": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        [DispatchedEvent("message", "first event", "1"), DispatchedEvent("message", "second event", "")],
    ),
    "spec example: two empty events, the third is never finished": (
        b"data\n\ndata\ndata\n\ndata:",
        [DispatchedEvent("message", ""), DispatchedEvent("message", "\n")],
    ),
    "spec example: the space after the colon is optional, one is removed": (
        b"data:test\n\ndata: test\n\ndata:  test\n\n",
        [
            DispatchedEvent("message", "test"),
            DispatchedEvent("message", "test"),
            DispatchedEvent("message", " test"),
        ],
    ),
    "line ends: CR": (
        b"data: a\rdata: b\r\rdata: c\r\r",
        [DispatchedEvent("message", "a\nb"), DispatchedEvent("message", "c")],
    ),
    "line ends: CRLF": (b"data: a\r\ndata: b\r\n\r\n", [DispatchedEvent("message", "a\nb")]),
    "line ends: mixed": (b"data: a\r\ndata: b\rdata: c\n\r\n", [DispatchedEvent("message", "a\nb\nc")]),
    "line ends: LF CR is two": (
        b"data: a\n\rdata: b\n\n",
        [DispatchedEvent("message", "a"), DispatchedEvent("message", "b")],
    ),
    "line ends: nothing else is one": (
        "data: a\u2028b\u0085c\x0bd\x0ce\n\n".encode(),
        [DispatchedEvent("message", "a\u2028b\u0085c\x0bd\x0ce")],
    ),
    "BOM: one is stripped": (b"\xef\xbb\xbfdata: a\n\n", [DispatchedEvent("message", "a")]),
    "BOM: the second belongs to the field name": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    "BOM: only at the very start": (b"\n\xef\xbb\xbfdata: a\n\n", []),
    "BOM: in a value it stays": ("data: \ufeffa\n\n".encode(), [DispatchedEvent("message", "\ufeffa")]),
    "UTF-8: an invalid sequence becomes U+FFFD": (
        b"data: \xff\xe2\x82\xed\xa0\x80\n\n",
        [DispatchedEvent("message", "\ufffd\ufffd\ufffd\ufffd\ufffd")],
    ),
    "event: names the type, for one event": (
        b"event: add\ndata: 1\n\ndata: 2\n\n",
        [DispatchedEvent("add", "1"), DispatchedEvent("message", "2")],
    ),
    "event: the last one wins, an empty one means message": (
        b"event: a\nevent: b\ndata: 1\n\nevent: a\nevent\ndata: 2\n\n",
        [DispatchedEvent("b", "1"), DispatchedEvent("message", "2")],
    ),
    "event: without data nothing is dispatched and the type is forgotten": (
        b"event: add\n\ndata: 1\n\n",
        [DispatchedEvent("message", "1")],
    ),
    "id: the last one wins, and it stays": (
        b"id: 1\nid: 2\ndata: a\n\ndata: b\n\n",
        [DispatchedEvent("message", "a", "2"), DispatchedEvent("message", "b", "2")],
    ),
    "id: with NUL is ignored": (
        b"id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n",
        [DispatchedEvent("message", "a", "1"), DispatchedEvent("message", "b", "1")],
    ),
    "id: alone in a block counts for the next event": (
        b"id: 7\n\ndata: a\n\n",
        [DispatchedEvent("message", "a", "7")],
    ),
    "fields: names are case-sensitive and exact": (b"Data: a\n data: b\ndata : c\ndatax: d\n\n", []),
    "fields: the value keeps its colons and its trailing space": (
        b"data: a:b: c \n\n",
        [DispatchedEvent("message", "a:b: c ")],
    ),
    "fields: a tab is not a space": (b"data:\ta\n\n", [DispatchedEvent("message", "\ta")]),
    "end: an unfinished event is discarded": (b"data: a\n\ndata: b\n", [DispatchedEvent("message", "a")]),
    "end: so is an unfinished line": (
        b"data: a\n\ndata: b\n\ndat",
        [DispatchedEvent("message", "a"), DispatchedEvent("message", "b")],
    ),
    "nothing: no event": (b"", []),
}


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("case", CASES)
def test_a_stream_means_what_the_standard_says(case: str) -> None:
    data, events = CASES[case]
    assert parse(data) == events


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("case", CASES)
def test_a_stream_means_the_same_in_pieces(case: str, size: int) -> None:
    data, events = CASES[case]
    parser = Parser()
    assert [event for piece in pieces(data, size) for event in parser.feed(piece)] == events


def test_the_cr_of_a_blank_line_dispatches_without_an_lf() -> None:
    parser = Parser()
    assert parser.feed(b"data: a\r\n\r") == [DispatchedEvent("message", "a")]
    assert parser.feed(b"\n") == []
    assert parser.feed(b"data: b\n\n") == [DispatchedEvent("message", "b")]


def test_the_last_event_id_counts_from_the_blank_line_on() -> None:
    parser = Parser()
    parser.feed(b"id: 7\n")
    assert parser.last_event_id == ""
    parser.feed(b"\n")
    assert parser.last_event_id == "7"


@pytest.mark.parametrize(
    ("line", "retry_ms"),
    [
        (b"retry: 1500", 1500),
        (b"retry:0", 0),
        (b"retry: 007", 7),
        (b"retry", None),
        (b"retry: ", None),
        (b"retry: -1", None),
        (b"retry: 1.5", None),
        (b"retry: 1e3", None),
        (b"retry:  1", None),
        ("retry: \u0661".encode(), None),  # an Arabic digit is a digit to str.isdigit, not to the standard
        ("retry: 1\u00b2".encode(), None),
    ],
)
def test_retry_takes_ascii_digits_and_nothing_else(line: bytes, retry_ms: int | None) -> None:
    parser = Parser()
    parser.feed(line + b"\n")
    assert parser.retry_ms == retry_ms


def test_comments_are_collected_in_order() -> None:
    parser = Parser()
    assert parser.feed(b": hb idle=12\n:\n:hb\n:: x\n\n") == []
    assert parser.comments == ["hb idle=12", "", "hb", ": x"]
