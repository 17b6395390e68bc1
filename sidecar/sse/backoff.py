"""Waits between attempts: 1, 2, 4, 5, 5 ... s and up to 10 % more."""

from collections.abc import Iterator

DELAYS_S = (1.0, 2.0, 4.0, 5.0)
JITTER_RATIO = 0.1


def delay_s(attempt: int, jitter: float) -> float:
    """Return the wait before an attempt; ``jitter`` is random in [0, 1]."""
    return DELAYS_S[min(attempt, len(DELAYS_S) - 1)] * (1 + JITTER_RATIO * jitter)


def spread_s(count: int, window_s: float) -> Iterator[float]:
    """Spread ``count`` moments evenly over a window.

    Disconnected clients then do not all return at once.
    """
    return (window_s * ((number + 1) / count) for number in range(count))
