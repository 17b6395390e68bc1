"""Text tables and durations, safe to print in a terminal."""

from collections.abc import Iterable, Sequence

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return an aligned table; None is a dash."""
    lines = [list(head), *([cell_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join(padded)


def cell_text(value: object) -> str:
    """Return a value on one line, without control characters.

    They could change the terminal.
    """
    text = "-" if value is None else str(value)
    return "".join(char if char.isprintable() else "?" for char in text)


def duration_text(seconds: float) -> str:
    """Write a duration in the two largest units that matter."""
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S:.0f} min {seconds % MINUTE_S:.0f} s"
    return f"{seconds // HOUR_S:.0f} h {seconds % HOUR_S // MINUTE_S:.0f} min"
