"""What a process and all its children cost, from /proc (proc(5))."""

import os
from collections.abc import Iterator
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PPID, UTIME, STIME, RSS = 1, 11, 12, 21
"""Fields of /proc/<pid>/stat, counted from the one behind the command's name."""


def fields_of(stat: str) -> list[str]:
    """Split a stat line behind the command's name, which may itself contain spaces and parentheses."""
    return stat.rpartition(")")[2].split()


def cpu_s(pid: int) -> float:
    """Return the user and system CPU seconds of a process and its living descendants so far."""
    return sum(int(stat[UTIME]) + int(stat[STIME]) for stat in _family(pid)) / TICKS_PER_S


def rss_kib(pid: int) -> float:
    """Return the resident KiB of a process and its living descendants."""
    return sum(int(stat[RSS]) for stat in _family(pid)) * PAGE_BYTES / 1024


def _family(pid: int) -> Iterator[list[str]]:
    stats = dict(_stats())
    generation = {pid}
    while generation:
        yield from (stats[member] for member in generation if member in stats)
        generation = {child for child, stat in stats.items() if int(stat[PPID]) in generation}


def _stats() -> Iterator[tuple[int, list[str]]]:
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                stat = (directory / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended since it was listed
            yield int(directory.name), fields_of(stat)
