"""The bytes of a stream that is no longer framed: the same for every reader, and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.streams.passthrough import RAW_BYTES_MAX, READ_BYTES_MAX, Passthrough


def tail(*chunks: bytes) -> Passthrough:
    raw = Passthrough()
    for chunk in chunks:
        raw.append(chunk)
    return raw


def test_a_reader_gets_what_follows_its_offset_and_nothing_at_the_end() -> None:
    raw = tail(b"abc", b"", b"def")
    assert (raw.end, raw.read(0), raw.read(4), raw.read(6)) == (6, b"abcdef", b"ef", b"")


def test_what_all_have_is_given_back_and_the_offsets_stay() -> None:
    raw = tail(b"abc", b"def")
    raw.trim(4)
    raw.append(b"g")
    assert (raw.end, raw.read(4), raw.read(5)) == (7, b"efg", b"fg")


def test_a_trim_backwards_or_beyond_the_end_is_harmless() -> None:
    raw = tail(b"abc")
    raw.trim(2)
    raw.trim(1)
    assert raw.read(2) == b"c"
    raw.trim(99)
    raw.append(b"d")
    assert (raw.end, raw.read(3)) == (4, b"d")


def test_bytes_that_were_given_back_are_refused_never_replaced_by_others() -> None:
    raw = tail(b"abc", b"def")
    raw.trim(4)
    with pytest.raises(LookupError, match="offset 3"):
        raw.read(3)


def test_the_upstream_waits_above_the_bound_and_goes_on_below_it() -> None:
    raw = tail(b"x" * RAW_BYTES_MAX)
    full = [raw.high]
    raw.append(b"x")
    full.append(raw.high)
    raw.trim(1)
    full.append(raw.high)
    assert full == [False, True, False]


def test_one_read_is_bounded() -> None:
    raw = tail(b"x" * (READ_BYTES_MAX + 1))
    assert len(raw.read(0)) == READ_BYTES_MAX
    assert raw.read(READ_BYTES_MAX) == b"x"


@given(st.lists(st.tuples(st.sampled_from("abr"), st.integers(0, 9)), max_size=60))
def test_two_readers_get_the_same_bytes_in_any_schedule(schedule: list[tuple[str, int]]) -> None:
    raw, sent, got = Passthrough(), b"", {"a": b"", "b": b""}
    for step, number in schedule:
        if step == "r":
            chunk = bytes(range(len(sent) % 99, len(sent) % 99 + number))
            raw.append(chunk)
            sent += chunk
        else:
            got[step] += raw.read(len(got[step]))[:number]
            raw.trim(min(map(len, got.values())))
        assert all(sent.startswith(seen) for seen in got.values())
        assert raw.end == len(sent)
