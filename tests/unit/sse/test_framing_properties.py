"""A client of the sidecar sees the backend's events for any bytes.

The judge is the parser written from the standard, ``tests.kit.eventsource``; it shares no code with
framing.
"""

from itertools import cycle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar.sse.framing import CARRY_BYTES_MAX, TAIL_BYTES_MAX, Framer, data_of, own_id, type_of
from tests.kit.eventsource import DispatchedEvent, Parser, parse
from tests.kit.rendered import STREAM_ID, rendered

pytestmark = pytest.mark.slow

FRAGMENTS = [
    *[b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b"\n\n\n", b"\r\n\n"],
    *[b"data: a", b"data:b", b"data", b"data:", b"data:  c", b"data: {}\n\n", b"data: x\ndata: y\r\n\r\n"],
    *[b"event: e", b"event", b"event:", b"event: lone\n\n", b"event: t\ndata: 1\n\n"],
    *[b"id: 7", b"id", b"id:", b"id: x\0y", b"id: lone\n\n", b"id: 8\ndata: 2\r\r", b"identity: 9"],
    *[b"retry: 10", b"retry: x", b"retry: 20\n\n"],
    *[b":", b": hb", b": hb\n\n", b":\r\r"],
    *[b"\xef\xbb\xbf", b"\xef", b"\xbb\xbf", b"\xff", b"\xc3", b"\xe2\x80\xa8", b"\x85", b"\0", b"\x0b\x0c"],
    *[b"foo: bar", b"foo", b"d", b"ata: d", b" ", b"Data: a"],
]
LENGTH_MAX = 9


def _assembled(picks: bytes) -> bytes:
    return b"".join(FRAGMENTS[pick % len(FRAGMENTS)] for pick in picks)


# One draw for a whole stream: ten thousand examples take seconds, not minutes.
streams = st.binary(max_size=30).map(_assembled)
sizes = st.binary(max_size=6).map(lambda picks: [pick % (LENGTH_MAX + 1) for pick in picks])
limits = st.integers(5, 40)


def cut(body: bytes, lengths: list[int]) -> list[bytes]:
    """Cut into chunks of these lengths in a cycle; 0 is an empty chunk."""
    chunks: list[bytes] = []
    start = 0
    for length in cycle([*lengths, 5]):
        if start >= len(body):
            return chunks
        chunks.append(body[start : start + length])
        start += length
    return chunks


def frame(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    framer = Framer()
    events = [event for chunk in chunks for event in framer.feed(chunk)]
    assert not framer.overflowed
    return events, framer.end()


def seen(events: list[DispatchedEvent]) -> list[tuple[str, str]]:
    return [(event.type, event.data) for event in events]


@settings(max_examples=10_000)
@given(streams, sizes)
@example(b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\ndata: a\n\n", [1])
@example(b"id: 1\n\xef\xbb\xbfdata: x\ndata: a\n\n", [3])
@example(b"data: a\r\n\r\n", [8, 1, 1, 1])
def test_a_client_sees_the_backends_events_stamped_or_unchanged(body: bytes, lengths: list[int]) -> None:
    expected = parse(body)
    events, rest = frame(cut(body, lengths))
    assert seen(parse(rendered(events, stamped=False) + rest)) == seen(expected)
    stamped = parse(rendered(events, stamped=True) + rest)
    assert seen(stamped) == seen(expected)
    assert [event.last_event_id for event in stamped] == [
        f"{STREAM_ID}.{seq}" for seq in range(1, len(expected) + 1)
    ]


@settings(max_examples=2_000)
@given(streams, sizes)
def test_without_a_stamp_a_client_keeps_the_backends_ids_and_retry(body: bytes, lengths: list[int]) -> None:
    direct, relayed = Parser(), Parser()
    expected = direct.feed(body)
    events, rest = frame(cut(body, lengths))
    assert relayed.feed(rendered(events, stamped=False) + rest) == expected
    assert relayed.retry_ms == direct.retry_ms


@settings(max_examples=2_000)
@given(streams, sizes, st.integers(0, 8))
def test_a_resumed_client_sees_the_same_events_as_a_connected_one(
    body: bytes, lengths: list[int], position: int
) -> None:
    events, _ = frame(cut(body, lengths))
    whole = seen(parse(rendered(events, stamped=True)))
    assert seen(parse(rendered(events[position:], stamped=True))) == whole[position:]


@settings(max_examples=2_000)
@given(streams, sizes)
@example(b"data: a\n\xef\xbb\xbf\n\n", [1])
def test_the_cut_makes_no_difference(body: bytes, lengths: list[int]) -> None:
    assert frame(cut(body, lengths)) == frame([body])


@settings(max_examples=2_000)
@given(streams, sizes, limits)
def test_a_block_above_the_limit_changes_nothing_for_a_client(
    body: bytes, lengths: list[int], limit: int
) -> None:
    framer, out = Framer(limit), b""
    for chunk in cut(body, lengths):
        out += rendered(framer.feed(chunk), stamped=False) + framer.take_spill()
        assert len(framer._pending) <= limit + 1
    assert seen(parse(out + framer.end())) == seen(parse(body))


@settings(max_examples=2_000)
@given(streams, sizes, limits)
@example(b"data: a\n\xef\xbb\xbf\n\n", [], 13)
def test_where_framing_ends_does_not_depend_on_the_cut(body: bytes, lengths: list[int], limit: int) -> None:
    whole, pieces = Framer(limit), Framer(limit)
    events = [event for chunk in cut(body, lengths) for event in pieces.feed(chunk)]
    assert whole.feed(body) == events
    assert (whole.overflowed, whole.take_spill()) == (pieces.overflowed, pieces.take_spill())
    assert whole.end() == pieces.end()


@settings(max_examples=500)
@given(streams, sizes, st.integers(1, 400))
def test_what_is_held_is_bounded(body: bytes, lengths: list[int], times: int) -> None:
    framer = Framer(64)
    for chunk in cut(body * times, [length * 50 for length in lengths]):
        framer.feed(chunk)
        framer.take_spill()
        assert len(framer._pending) <= 65
        assert len(framer._carry) <= 2 * CARRY_BYTES_MAX
        assert len(framer._tail) <= TAIL_BYTES_MAX


@settings(max_examples=2_000)
@given(streams)
def test_what_is_read_from_an_event_is_what_a_client_reads(body: bytes) -> None:
    events, _ = frame([body])
    for event in events:
        parser = Parser()
        (read,) = parser.feed(event + b"\n")
        assert data_of(event).decode(errors="replace") == read.data
        assert type_of(event).decode(errors="replace") == read.type
        assert (own_id(event) or b"").decode(errors="replace") == read.last_event_id
