"""Waits between attempts, and moments in a window, are bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.sse.backoff import delay_s, spread_s


def test_the_waits_are_1_2_4_5_5_seconds() -> None:
    assert [delay_s(attempt, 0.0) for attempt in range(6)] == [1, 2, 4, 5, 5, 5]


def test_chance_adds_up_to_a_tenth() -> None:
    assert [delay_s(attempt, 1.0) for attempt in range(5)] == pytest.approx([1.1, 2.2, 4.4, 5.5, 5.5])
    assert delay_s(1, 0.5) == pytest.approx(2.1)


@given(st.integers(0, 10**9), st.floats(0, 1))
def test_no_wait_is_below_a_second_or_above_five_and_a_half(attempt: int, jitter: float) -> None:
    assert 1 <= delay_s(attempt, jitter) <= 5.5


def test_moments_are_even_and_the_last_is_the_end_of_the_window() -> None:
    assert list(spread_s(4, 10.0)) == [2.5, 5.0, 7.5, 10.0]
    assert list(spread_s(1, 3.0)) == [3.0]
    assert list(spread_s(0, 3.0)) == []
    assert list(spread_s(3, 0.0)) == [0, 0, 0]


@given(st.integers(1, 2_000), st.floats(0, 3600))
def test_moments_lie_in_the_window_in_ascending_order(count: int, window_s: float) -> None:
    moments = list(spread_s(count, window_s))
    assert len(moments) == count
    assert moments == sorted(moments)
    assert all(0 <= moment <= window_s for moment in moments)
