"""How long to wait before the next connection."""

from email.utils import parsedate_to_datetime

from sidecar.sse import backoff

WAIT_S_MAX = 300.0
"""A server that asks for a longer wait is asked again after this one."""

SECONDS_DIGITS_MAX = 9


def retry_after_s(value: str, now_epoch: float) -> float | None:
    """Return the seconds of ``Retry-After`` (RFC 9110 section 10.2.3).

    The field has seconds or a date. Return None for anything else.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:SECONDS_DIGITS_MAX])
    moment = epoch_of(value)
    return None if moment is None else max(0.0, moment - now_epoch)


def epoch_of(date: str) -> float | None:
    """Return an HTTP date (RFC 9110, 5.6.7) in Unix seconds, or None."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def wait_s(attempt: int, jitter: float, *, retry_s: float | None, retry_after_s: float | None) -> float:
    """Return the seconds before attempt 0, 1, 2 ...

    ``jitter`` is a random number in [0, 1].

    ``retry_s``, the stream's own wish, replaces the first wait and is the least of the later ones;
    ``retry_after_s``, an answer's, wins over everything. Both get the same up to 10 % more as any other wait.
    """
    spread = 1 + backoff.JITTER_RATIO * jitter
    if retry_after_s is not None:
        return min(retry_after_s, WAIT_S_MAX) * spread
    usual = backoff.delay_s(attempt, jitter)
    if retry_s is None:
        return usual
    asked = min(retry_s, WAIT_S_MAX) * spread
    return asked if attempt == 0 else max(asked, usual)
