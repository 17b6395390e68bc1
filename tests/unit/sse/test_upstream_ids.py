"""What the backend's event ids prove about its stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.sse.upstream_ids import SEEN_IDS_MAX, UpstreamIds


def event(own: object, data: object = "x") -> bytes:
    return f"id: {own}\ndata: {data}\n".encode()


def after(*own_ids: object) -> UpstreamIds:
    """Return the state after these ids and a new upstream connection."""
    continuity = UpstreamIds()
    for number, own in enumerate(own_ids):
        assert not continuity.is_duplicate(event(own, number))
    continuity.resumed()
    return continuity


def test_the_same_event_under_the_same_id_is_a_duplicate() -> None:
    continuity = UpstreamIds()
    assert [continuity.is_duplicate(event(own)) for own in (1, 2, 1, 2, 3)] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_equal_content_is_no_duplicate_without_an_id_or_under_another() -> None:
    continuity = UpstreamIds()
    events = [b"data: the\n", b"data: the\n", event(1, "the"), event(2, "the"), b"id: \0\ndata: the\n"]
    assert [continuity.is_duplicate(e) for e in events] == [False] * 5
    assert not continuity.reused


def test_lines_around_an_event_make_no_other_event_of_it() -> None:
    continuity = UpstreamIds()
    assert not continuity.is_duplicate(b"id: 1\nevent: e\ndata: a\ndata: b\n")
    assert continuity.is_duplicate(b": connected\nretry: 5\nevent: e\ndata: a\ndata: b\nid: 1\n")
    assert not continuity.reused


@pytest.mark.parametrize(
    "other", [b"id: 1\ndata: b\n", b"id: 1\nevent: x\ndata: a\n", b"id: 1\ndata: a\ndata:\n"]
)
def test_an_id_that_names_two_events_proves_nothing_from_then_on(other: bytes) -> None:
    continuity = UpstreamIds()
    assert not continuity.is_duplicate(b"id: 1\ndata: a\n")
    assert not continuity.is_duplicate(other)
    assert continuity.reused
    assert not continuity.is_duplicate(b"id: 1\ndata: a\n")


def test_the_last_id_is_the_one_to_go_on_after() -> None:
    continuity = UpstreamIds()
    seen = []
    for each in (b"data: 0\n", event("a"), b"data: 1\n", event("b"), b"id: \0\ndata: 2\n", b"id:\ndata: 3\n"):
        continuity.is_duplicate(each)
        seen.append(continuity.last_id)
    assert seen == [None, b"a", b"a", b"b", b"b", None]


def test_the_last_id_is_followed_also_where_ids_are_reused() -> None:
    continuity = UpstreamIds()
    for each in (event("a", 1), event("a", 2), event("b", 3)):
        continuity.is_duplicate(each)
    assert (continuity.reused, continuity.last_id) == (True, b"b")


def test_ids_that_are_taken_back_are_no_id_that_is_reused() -> None:
    continuity = UpstreamIds()
    continuity.is_duplicate(b"id:\ndata: 1\n")
    continuity.is_duplicate(b"id\ndata: 2\n")
    assert not continuity.reused


@pytest.mark.parametrize(("first", "missing"), [(4, 0), (5, 1), (9, 5)])
def test_numbers_that_went_up_by_one_tell_what_the_backend_skipped(first: int, missing: int) -> None:
    continuity = after(1, 2, 3)
    assert continuity.resuming
    new = event(first, "new")
    assert not continuity.is_duplicate(new)
    assert continuity.missing_before(new) == missing
    assert not continuity.resuming


def test_a_duplicate_after_a_resume_is_dropped_before_the_count() -> None:
    continuity = after(1, 2, 3)
    assert continuity.is_duplicate(event(3, 2))
    assert continuity.resuming
    assert not continuity.is_duplicate(event(4, "new"))
    assert continuity.missing_before(event(4, "new")) == 0


@pytest.mark.parametrize(
    ("own_ids", "first"),
    [
        (["a", "b"], "c"),
        ([1, 3], 4),
        ([3, 2], 4),
        ([1, "x", 2], 3),
        ([1, 2], "x"),
        ([1, 2], ""),
        ([], 3),
        ([57], 1),
        (["9" * 5000], "1" + "0" * 5000),
        (["1" * 19], "1" * 18 + "2"),
        (["²"], "³"),
        (["-1"], "0"),
    ],
)
def test_other_ids_leave_the_missing_number_unknown(own_ids: list[object], first: object) -> None:
    continuity = after(*own_ids)
    new = event(first, "new")
    assert not continuity.is_duplicate(new)
    assert continuity.missing_before(new) is None


def test_an_id_that_comes_again_for_another_event_is_no_step_forward() -> None:
    continuity = after(1, 2)
    assert not continuity.is_duplicate(event(2, "other"))
    assert continuity.missing_before(event(2, "other")) is None


def test_numbers_of_eighteen_digits_are_counted_with() -> None:
    continuity = after(10**18 - 3)
    assert continuity.missing_before(event(10**18 - 1)) == 1


def test_every_resume_is_judged_from_its_own_place() -> None:
    continuity = after(1, 2)
    continuity.is_duplicate(event(5, "five"))
    assert continuity.missing_before(event(5, "five")) == 2
    continuity.is_duplicate(event(6, "six"))
    continuity.resumed()
    continuity.is_duplicate(event(7, "seven"))
    assert continuity.missing_before(event(7, "seven")) == 0


def test_the_memory_for_ids_is_bounded_and_forgets_the_oldest() -> None:
    continuity = UpstreamIds()
    for number in range(SEEN_IDS_MAX + 10):
        continuity.is_duplicate(event(number))
    assert len(continuity._seen) == SEEN_IDS_MAX
    assert continuity.is_duplicate(event(SEEN_IDS_MAX + 9))
    assert continuity.is_duplicate(event(10))
    assert not continuity.is_duplicate(event(9))


@given(st.lists(st.binary(max_size=30).map(lambda own: b"id: " + own.replace(b"\n", b"") + b"\ndata: x\n")))
def test_ids_of_any_bytes_are_harmless(events: list[bytes]) -> None:
    continuity = UpstreamIds()
    for number, each in enumerate(events):
        if not continuity.is_duplicate(each) and continuity.resuming:
            continuity.missing_before(each)
        if number % 3 == 0:
            continuity.resumed()


@given(st.integers(0, 10**9), st.integers(1, 40), st.integers(0, 50))
def test_what_is_missing_is_exactly_what_was_skipped(start: int, count: int, skipped: int) -> None:
    continuity = after(*range(start, start + count))
    new = event(start + count + skipped, "new")
    assert not continuity.is_duplicate(new)
    assert continuity.missing_before(new) == skipped
