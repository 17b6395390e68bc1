"""The text of numbers in reports.

Nothing is rounded towards the better: a share that is not whole is never shown as whole.
"""

import re
from decimal import ROUND_FLOOR, Decimal

NOTHING = "-"
TWO_PLACES_BELOW_S = 10
MEBIBYTE = 1 << 20

_shares = re.compile(r"completion|(?:^|_)ratio(?:_|$)", re.IGNORECASE)
_times = re.compile(r"seconds(?!_count)|_s$|reconnect(?!s)|stall", re.IGNORECASE)


def seconds(value: float | None) -> str:
    """Write a time: two decimal places below ten seconds, one above."""
    if value is None:
        return NOTHING
    return f"{value:.2f} s" if value < TWO_PLACES_BELOW_S else f"{value:,.1f} s"


def share(value: float | None) -> str:
    """Return a share in per cent, cut (not rounded) after one decimal."""
    if value is None:
        return NOTHING
    percent = (Decimal(str(value)) * 100).quantize(Decimal("0.1"), ROUND_FLOOR)
    return f"{percent:.0f} %" if percent == percent.to_integral() and value in {0, 1} else f"{percent} %"


def count(value: float | None) -> str:
    """Return a number with commas; fractions have four digits."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def size(value: int) -> str:
    """Write bytes as MiB, with one decimal place."""
    return f"{value / MEBIBYTE:,.1f} MiB"


def quantity(name: str, value: float | None) -> str:
    """Return a figure in the unit of its name: share, time or number."""
    if _shares.search(name):
        return share(value)
    return seconds(value) if _times.search(name) else count(value)


def times(values: list[float], most: int) -> str:
    """Write the first of a list of times in order, and that there are more."""
    if not values:
        return NOTHING
    more = ", ..." if len(values) > most else ""
    return ", ".join(f"{value:.2f}" for value in values[:most]) + more + " s"
