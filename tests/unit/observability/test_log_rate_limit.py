"""A flood of one event writes a bounded number of lines and a count."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.observability.log_rate_limit import FLOOD_LINES_PER_S_MAX, OTHER, LogRateLimit


def test_a_hundred_lines_of_one_event_pass_in_a_second_and_no_more() -> None:
    flood = LogRateLimit()
    admitted = [flood.admit("reset", 10 + at / 1000) for at in range(500)]
    assert admitted == [True] * 100 + [False] * 400
    assert FLOOD_LINES_PER_S_MAX == 100


def test_the_next_line_passes_once_the_oldest_is_a_second_old() -> None:
    flood = LogRateLimit(lines_max=2)
    moments = [0.0, 0.5, 0.9, 0.999, 1.0, 1.4, 1.5]
    assert [flood.admit("a", now) for now in moments] == [True, True, False, False, True, False, True]


def test_one_event_does_not_silence_another() -> None:
    flood = LogRateLimit(lines_max=1)
    assert [flood.admit(event, 0) for event in "aab"] == [True, False, True]


def test_what_was_held_back_is_told_once() -> None:
    flood = LogRateLimit(lines_max=1)
    for _ in range(4):
        flood.admit("a", 0)
    assert (flood.take("a"), flood.take("a"), flood.take("b")) == (3, 0, 0)


def test_a_flood_that_stopped_is_told_when_its_second_is_over() -> None:
    flood = LogRateLimit(lines_max=1)
    for event in "aaab":
        flood.admit(event, 0)
    assert flood.take_ended(0.9) == {}
    assert flood.take_ended(1.0) == {"a": 2}
    assert flood.take_ended(1.0) == {}


def test_names_beyond_the_bound_share_one_allowance() -> None:
    flood = LogRateLimit(lines_max=1, events_max=2)
    assert [flood.admit(event, 0) for event in "abcde"] == [True, True, True, False, False]
    assert flood.take_ended(1) == {OTHER: 2}


def test_quiet_names_are_forgotten_and_make_room() -> None:
    flood = LogRateLimit(lines_max=1, events_max=2)
    assert [flood.admit(event, 0) for event in "ab"] == [True, True]
    flood.take_ended(1)
    assert [flood.admit(event, 1) for event in "cd"] == [True, True]
    assert flood.take_ended(2) == {}


@given(
    gaps=st.lists(st.floats(0, 0.7), max_size=60),
    lines_max=st.integers(1, 5),
    names=st.lists(st.sampled_from("abc")),
)
def test_any_one_second_stays_below_the_bound_and_counts_every_line(
    gaps: list[float], lines_max: int, names: list[str]
) -> None:
    flood, now = LogRateLimit(lines_max), 0.0
    written: dict[str, list[float]] = {}
    asked = list(zip(gaps, names, strict=False))
    for gap, name in asked:
        now += gap
        if flood.admit(name, now):
            written.setdefault(name, []).append(now)
    for moments in written.values():
        assert all(b - a >= 1 for a, b in zip(moments, moments[lines_max:], strict=False))
    assert sum(map(len, written.values())) + sum(flood.take_ended(now + 2).values()) == len(asked)
