"""Measure what a process holds over time, and find growth."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

MIB = 1024 * 1024
HOUR_S = 3600.0
WARM_UP_SHARE = 1 / 3
"""Of a run: what is measured in it does not count, since caches and the allocator still fill."""

T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 8: 2.31, 10: 2.23, 15: 2.13, 20: 2.09, 30: 2.04}
T95_MANY = 1.98
"""Two-sided quantiles of Student's t, by degrees of freedom."""


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One process at a moment when nothing goes on; seconds since the start of the run."""

    at_s: float
    rss_bytes: int
    files: int
    tasks: int
    threads: int


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth in MiB an hour with the half width of its 95 % confidence interval, of so many samples."""

    mib_per_hour: float
    confidence: float
    samples: int


def warm(samples: Sequence[ProcessSample]) -> list[ProcessSample]:
    """Return the samples behind the warm-up."""
    end_s = samples[-1].at_s if samples else 0.0
    return [sample for sample in samples if sample.at_s >= end_s * WARM_UP_SHARE]


def slope(samples: Sequence[ProcessSample]) -> Slope:
    """Fit a line through the memory (ordinary least squares); fewer than three samples say nothing."""
    count = len(samples)
    if count < 3:
        return Slope(0.0, inf, count)
    hours = [sample.at_s / HOUR_S for sample in samples]
    sizes = [sample.rss_bytes / MIB for sample in samples]
    middle, mean = sum(hours) / count, sum(sizes) / count
    spread = sum((hour - middle) ** 2 for hour in hours)
    if spread == 0:
        return Slope(0.0, inf, count)
    rise = sum((h - middle) * (m - mean) for h, m in zip(hours, sizes, strict=True)) / spread
    rest = sum((m - mean - rise * (h - middle)) ** 2 for h, m in zip(hours, sizes, strict=True))
    error = sqrt(rest / (count - 2) / spread)
    return Slope(rise, error * _t95(count - 2), count)


def _t95(degrees: int) -> float:
    known = [value for at, value in T95.items() if at <= degrees]
    return T95_MANY if degrees > max(T95) else known[-1]
