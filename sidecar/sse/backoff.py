"""How long to wait before the next attempt: 1, 2, 4, 5, 5 ... seconds and up to 10 % more."""

from collections.abc import Iterator

DELAYS_S = (1.0, 2.0, 4.0, 5.0)
JITTER_RATIO = 0.1


def delay_s(attempt: int, jitter: float) -> float:
    """Return the wait before attempt 0, 1, 2 ... in seconds; ``jitter`` is a random number of [0, 1]."""
    return DELAYS_S[min(attempt, len(DELAYS_S) - 1)] * (1 + JITTER_RATIO * jitter)


def spread_s(count: int, window_s: float) -> Iterator[float]:
    """Spread ``count`` moments evenly over a window, so that those sent away do not come back all at once."""
    return (window_s * ((number + 1) / count) for number in range(count))
