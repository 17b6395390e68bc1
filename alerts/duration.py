"""Durations as Prometheus and Alertmanager write them."""

from sidecar.observability.slo import Slo, Window

UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def duration(seconds: float) -> str:
    """Return seconds as text, in the largest unit that fits exactly.

    The finest unit is the millisecond.
    """
    milliseconds = max(1, round(seconds * 1_000))
    return next(f"{milliseconds // size}{unit}" for unit, size in UNITS if milliseconds % size == 0)


def span_s(window: Window, slo: Slo) -> float:
    """Return how many seconds a window really lasts, at the speed asked for."""
    return window.seconds / slo.speed


def span(window: Window, slo: Slo) -> str:
    """Return a window as a range.

    It has its own name unless a drill shortens it.
    """
    return duration(span_s(window, slo))
