"""Framing: bytes in, events out, for any chunking and line ends."""

import time

import pytest

from sidecar.sse.framing import CARRY_BYTES_MAX, TAIL_BYTES_MAX, Framer, data_of, own_id, type_of, without_ids
from tests.kit.eventsource import DispatchedEvent, parse
from tests.kit.rendered import STREAM_ID, rendered

BOM = b"\xef\xbb\xbf"


def frame(*chunks: bytes, limit: int = 1024 * 1024) -> list[bytes]:
    framer = Framer(limit)
    return [event for chunk in chunks for event in framer.feed(chunk)]


def bytewise(body: bytes, limit: int = 1024 * 1024) -> list[bytes]:
    return frame(*(body[i : i + 1] for i in range(len(body))), limit=limit)


# -- events --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\n\n", [b"data: a\n"]),
        (b"data: a\r\n\r\n", [b"data: a\n"]),
        (b"data: a\r\r", [b"data: a\n"]),
        (b"data: a\r\n\n", [b"data: a\n"]),
        (b"data: a\n\r", [b"data: a\n"]),
        (b"data: a\r\rdata: b\n\ndata: c\r\n\r\n", [b"data: a\n", b"data: b\n", b"data: c\n"]),
        (b"data: a\rdata: b\r\ndata: c\n\n", [b"data: a\ndata: b\ndata: c\n"]),
        (b"data\n\n", [b"data\n"]),
        (b"data:\n\n", [b"data:\n"]),
        (b"data:a\n\n", [b"data:a\n"]),
        (b"event: x\ndata\n\n", [b"event: x\ndata\n"]),
        (b"data\nid: 1\n\n", [b"data\nid: 1\n"]),
        (
            b"id: 7\nevent: x\ndata: 1\ndata: 2\nretry: 5\n\n",
            [b"id: 7\nevent: x\ndata: 1\ndata: 2\nretry: 5\n"],
        ),
        (b": note\nfoo: bar\ndata: a\n\n", [b": note\nfoo: bar\ndata: a\n"]),
        (b"data: \xff\xfe\xc3\n\n", [b"data: \xff\xfe\xc3\n"]),
        (b"data: \0\x0b\x0c\x85\xe2\x80\xa8\n\n", [b"data: \0\x0b\x0c\x85\xe2\x80\xa8\n"]),
    ],
)
def test_an_event_keeps_its_lines_with_line_ends_of_lf(body: bytes, events: list[bytes]) -> None:
    assert frame(body) == events
    assert bytewise(body) == events


@pytest.mark.parametrize("name", [b"Data", b"dat", b"datax", b" data", b"data ", b"xdata"])
def test_only_the_very_name_data_makes_an_event(name: bytes) -> None:
    assert frame(name + b": a\n\n") == []
    assert frame(name + b": a\n\ndata: b\n\n") == [name + b": a\ndata: b\n"]


def test_an_event_is_there_with_the_chunk_that_completes_it() -> None:
    framer = Framer()
    assert framer.feed(b"data: a\n") == []
    assert framer.feed(b"\ndata: b") == [b"data: a\n"]
    assert framer.feed(b"\n\n") == [b"data: b\n"]
    assert framer.feed(b"") == []


def test_a_cr_at_a_chunks_end_completes_an_event_immediately() -> None:
    framer = Framer()
    assert framer.feed(b"data: a\r\n\r") == [b"data: a\n"]
    assert framer.feed(b"") == []
    assert framer.feed(b"\n") == []
    assert framer.feed(b"data: b\r\n") == []
    assert framer.feed(b"\r\n") == [b"data: b\n"]


def test_surplus_blank_lines_make_no_events_and_no_bytes() -> None:
    assert frame(b"\n\n\ndata: a\n\n\n\n\n\ndata: b\n\n") == [b"data: a\n", b"data: b\n"]
    assert frame(b"\n", b"\n", b"\n", b"data: a\n\n", b"\n", b"\n", b"data: b\n\n") == [
        b"data: a\n",
        b"data: b\n",
    ]


# -- the byte order mark -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chunks",
    [
        [BOM + b"data: a\n\n"],
        [b"\xef", b"\xbb", b"\xbf", b"data: a\n\n"],
        [b"", b"\xef\xbb", b"", b"\xbfdata: a\n\n"],
    ],
)
def test_one_leading_bom_goes_wherever_it_is_split(chunks: list[bytes]) -> None:
    assert frame(*chunks) == [b"data: a\n"]


def test_half_a_bom_is_data_like_any_other() -> None:
    assert frame(b"\xef", b"\xbb", b"data: a\n\n", b"data: b\n\n") == [b"\xef\xbbdata: a\ndata: b\n"]


@pytest.mark.parametrize(
    "body",
    [
        BOM + BOM + b"data: x\n\ndata: a\n\n",
        b"id: 1\n" + BOM + b"data: x\ndata: a\n\n",
        b"retry: 1\n\n" + BOM + b"data: x\n\ndata: a\n\n",
    ],
)
def test_a_later_bom_is_never_the_first_of_a_response(body: bytes) -> None:
    for events in (frame(body), bytewise(body)):
        assert [(e.type, e.data) for e in parse(rendered(events, stamped=True))] == [("message", "a")]


# -- blocks without data -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lone", [b": note\n\n", b"retry: 5\n\n", b"id: 7\n\n", b"foo: bar\n\n"])
def test_a_block_without_data_precedes_the_next_event(lone: bytes) -> None:
    assert frame(lone + b"data: a\n\ndata: b\n\n") == [lone[:-1] + b"data: a\n", b"data: b\n"]


def test_a_lone_event_field_does_not_name_the_next_event() -> None:
    assert frame(b"event: x\n\nevent\n\nid: 1\nevent: y\n\ndata: a\n\n") == [b"id: 1\ndata: a\n"]


def test_held_lines_are_bounded_and_keep_the_last_id_and_retry() -> None:
    comment = b": " + b"x" * 98 + b"\n\n"
    body = b"id: 1\n\nid: 2\n\nid: \0\n\nretry: 7\n\nretry: x\n\n" + comment * 1000
    (event,) = frame(body, b"data: a\n\n")
    assert len(event) <= 2 * CARRY_BYTES_MAX
    (seen,) = parse(event + b"\n")
    assert (seen.data, seen.last_event_id) == ("a", "2")
    assert event.startswith(b"id: 2\nretry: 7\n: xxx")


# -- the end of the body -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "rest"),
    [
        (b"data: a\n\n", b""),
        (b"data: a\n\ndata: b", b"data: b"),
        (b"data: a\n\ndata: b\n", b"data: b\n"),
        (b"data: a\n\ndata: b\r", b"data: b\n"),
        (b"data: a\n\n: note\n\n", b": note\n"),
        (b"data: a\n\n: note\n\n\ndata: b", b": note\ndata: b"),
        (b"data: a\n\n\n", b""),
        (b"", b""),
        (BOM, b""),
        (BOM[:2], BOM[:2]),
    ],
)
def test_the_end_returns_the_unfinished_lines(body: bytes, rest: bytes) -> None:
    framer = Framer()
    events = framer.feed(body)
    assert framer.end() == rest
    assert len(parse(rendered(events, stamped=False) + rest)) == len(events)


# -- the size limit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("before", [b"", b"\n", b"data: z\n\n", b"data: z\n\n\n"])
def test_a_block_one_byte_above_the_limit_ends_framing(before: bytes, end: bytes) -> None:
    fits, exceeds = b"data: " + b"x" * 26, b"data: " + b"x" * 27
    events = [b"data: z\n"] if b"z" in before else []
    for cut in (frame, bytewise):
        assert cut(before + fits + end, limit=32) == [*events, fits + b"\n"]
        assert cut(before + exceeds + end, limit=32) == events
    for chunks in (
        [before + exceeds + end],
        [before + exceeds, end],
        [before, exceeds[:9], exceeds[9:] + end],
    ):
        framer = Framer(32)
        for chunk in chunks:
            framer.feed(chunk)
        assert framer.overflowed


def test_unless_told_otherwise_the_limit_is_a_mebibyte() -> None:
    for size, overflows in ((1024 * 1024, False), (1024 * 1024 + 1, True)):
        framer = Framer()
        framer.feed(b"data: " + b"x" * (size - 6) + b"\n\n")
        assert framer.overflowed is overflows


def test_after_an_overflow_every_byte_passes_and_parses_as_before() -> None:
    body = b"data: 1\n\n: c\n\nevent: x\r\ndata: " + b"y" * 30 + b"\r\n\r\ndata: 2\n\n: d\n\ndata: 3\n\n"
    for size in (1, 2, 3, 7, len(body)):
        framer, out = Framer(32), b""
        for start in range(0, len(body), size):
            out += rendered(framer.feed(body[start : start + size]), stamped=False) + framer.take_spill()
        assert framer.overflowed
        assert [(e.type, e.data) for e in parse(out)] == [(e.type, e.data) for e in parse(body)]
        assert out.endswith(b": d\n\ndata: 3\n\n")


def test_the_spill_is_handed_over_once() -> None:
    framer = Framer(8)
    framer.feed(b"data: long\n\n")
    assert framer.take_spill() == b"data: long\n\n"
    assert framer.take_spill() == b""
    assert framer.feed(b"data: b\r\n\r\n") == []
    assert framer.take_spill() == b"data: b\n\n"


def test_what_is_held_stays_bounded_whatever_comes() -> None:
    framer = Framer(1000)
    for chunk in (b"data: " + b"x" * 990, b"y" * 500, *[b"z" * 10_000] * 50):
        framer.feed(chunk)
        spill = framer.take_spill()
        assert len(framer._pending) <= 1001
        assert len(framer._tail) <= TAIL_BYTES_MAX
        assert not framer.overflowed or spill


def test_the_last_blocks_remain_readable_after_an_overflow() -> None:
    framer = Framer(32)
    body = b"data: " + b"x" * 40 + b"\n\ndata: last\n\n\ndata: [DONE]\n\n"
    for start in range(0, len(body), 5):
        framer.feed(body[start : start + 5])
        framer.take_spill()
    assert framer.tail_events() == [b"data: last\n", b"data: [DONE]\n"]


# -- work ----------------------------------------------------------------------------------------------------


def seconds(body: bytes, size: int) -> float:
    """Return the best of three, since the machine has other work too."""
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    best = float("inf")
    for _ in range(3):
        framer = Framer(len(body) + 1)
        began = time.process_time()
        for chunk in chunks:
            framer.feed(chunk)
        best = min(best, time.process_time() - began)
    return best


WORK = {
    "one event in single bytes": (b"x", 1, 1 << 14),
    "many small events in odd chunks": (b"event: a\ndata: 12345678\n\n", 4093, 1 << 13),
    "events in single bytes": (b"data: 1\r\n\r\n", 1, 1 << 11),
    "comment blocks only": (b":\n\n", 4093, 1 << 14),
    "blank lines only": (b"\n", 4093, 1 << 17),
    "carriage returns only": (b"\r", 1, 1 << 14),
    "lone ids": (b"id: 1\n\n", 4093, 1 << 13),
    "one event of many lines": (b"id: 1\n", 61, 1 << 13),
    "events after a large lone id": (b"data: 1\n\n", 4093, 1 << 13),
}


@pytest.mark.parametrize("work", WORK)
def test_the_work_grows_with_the_bytes_and_no_faster(work: str) -> None:
    unit, size, count = WORK[work]
    head = b"id: " + b"x" * 200_000 + b"\n\n" if "large" in work else b""
    small, large = head + unit * count, head + unit * (8 * count)
    assert seconds(large, size) < 24 * seconds(small, size) + 0.01, (
        "eight times the bytes, so eight times the time"
    )


def test_comments_after_a_large_lone_id_do_not_copy_it_each_time() -> None:
    head = b"id: " + b"x" * 200_000 + b"\n\n"
    assert seconds(head + b":\n\n" * 16_384, 4093) < 1.0


def test_an_event_of_a_mebibyte_may_come_byte_by_byte() -> None:
    framer, events = Framer(), []
    body = b"data: " + b"x" * (1024 * 1024 - 6) + b"\n\n"
    for byte in body:
        events += framer.feed(bytes((byte,)))
    assert events == [body[:-1]]
    assert not framer.overflowed


def test_a_stream_of_twenty_megabytes_comes_out_whole() -> None:
    event = b"event: token\r\ndata: " + b"t" * 200 + b"\r\n\r\n"
    body = event * (20_000_000 // len(event))
    framer, count = Framer(), 0
    for start in range(0, len(body), 65_521):
        found = framer.feed(body[start : start + 65_521])
        assert set(found) <= {b"event: token\ndata: " + b"t" * 200 + b"\n"}
        count += len(found)
    assert count == 20_000_000 // len(event)


# -- what is read from an event ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (b"data: a\n", None),
        (b"id: 7\ndata: a\n", b"7"),
        (b"id:7\ndata: a\n", b"7"),
        (b"id:  7\ndata: a\n", b" 7"),
        (b"data: a\nid: 7\n", b"7"),
        (b"id: 7\ndata: a\nid: 8\n", b"8"),
        (b"id: 7\nid: \0\ndata: a\n", b"7"),
        (b"id\ndata: a\n", b""),
        (b"ident: 7\ndata: a\n", None),
        (b"data: id: 7\n", None),
    ],
)
def test_the_backends_own_id_is_the_last_that_a_client_would_take(event: bytes, found: bytes | None) -> None:
    assert own_id(event) == found


def test_an_event_loses_its_id_fields_and_nothing_else() -> None:
    event = b"id: 1\nident: 2\n: id\nid\ndata: id: 3\nid:4\nid : 5\n"
    assert without_ids(event) == b"ident: 2\n: id\ndata: id: 3\nid : 5\n"


def test_data_and_type_are_what_a_client_would_see() -> None:
    event = b"event: x\ndata: a\ndata\ndata:b\ndata:  c\nevent: y\ndatum: d\n"
    assert data_of(event) == b"a\n\nb\n c"
    assert type_of(event) == b"y"
    assert type_of(b"data: a\n") == b"message"
    assert type_of(b"event: x\nevent\ndata: a\n") == b"message"


# -- the wire ------------------------------------------------------------------------------------------------


def test_the_stamp_is_the_last_field_of_an_event_and_the_only_id() -> None:
    body = rendered([b"id: 7\ndata: a\n", b": c\nevent: x\ndata: b\n"], stamped=True)
    first, second = f"{STREAM_ID}.1".encode(), f"{STREAM_ID}.2".encode()
    assert body == b"data: a\nid: " + first + b"\n\n: c\nevent: x\ndata: b\nid: " + second + b"\n\n"


def test_without_a_stamp_the_backends_id_stays() -> None:
    body = rendered([b"id: 7\ndata: a\n", b"data: b\n"], stamped=False)
    assert body == b"id: 7\ndata: a\n\ndata: b\n\n"
    assert parse(body) == [DispatchedEvent("message", "a", "7"), DispatchedEvent("message", "b", "7")]


def test_a_retry_of_the_sidecar_is_in_one_event() -> None:
    body = rendered([b"data: a\n"] * 300, stamped=True, retry_ms=2000)
    assert body.startswith(b"retry: 2000\ndata: a\nid: ")
    assert body.count(b"retry") == 1
    assert len(parse(body)) == 300
