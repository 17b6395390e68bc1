"""Shorten a schedule that causes a violation."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.soak.schedule import Schedule, ScheduledFault, ScheduledVisit

RUNS_MAX = 24
"""How often a schedule is played to make it shorter; each takes about half a minute."""

Part = TypeVar("Part", ScheduledFault, ScheduledVisit)
StillBroken = Callable[[Schedule], Awaitable[bool]]


class Spent(Exception):
    """There are no runs left."""


class _Budget:
    def __init__(self, still_broken: StillBroken, runs_max: int) -> None:
        self._still_broken = still_broken
        self._left = runs_max

    async def breaks(self, schedule: Schedule) -> bool:
        """Play it; raises Spent."""
        if not self._left:
            raise Spent
        self._left -= 1
        return await self._still_broken(schedule)


async def shrunk(schedule: Schedule, still_broken: StillBroken, *, runs_max: int = RUNS_MAX) -> Schedule:
    """Return a shorter schedule that is still broken, or this one; it plays ``runs_max`` at the most.

    ``still_broken`` may raise Spent to end it sooner.

    First all faults go at once and visits in halves, since a round without them is a short one; then single
    parts (delta debugging; Zeller and Hildebrandt, 2002).
    """
    shortest = schedule
    budget = _Budget(still_broken, runs_max)

    async def keep(candidate: Schedule) -> bool:
        nonlocal shortest
        if await budget.breaks(candidate):
            shortest = candidate
            return True
        return False

    try:
        await keep(replace(shortest, faults=()))
        await _fewer(shortest.visits, lambda visits: keep(replace(shortest, visits=visits)))
        await _fewer(shortest.faults, lambda faults: keep(replace(shortest, faults=faults)))
    except Spent:
        return shortest
    return shortest


async def _fewer(parts: Sequence[Part], keep: Callable[[tuple[Part, ...]], Awaitable[bool]]) -> None:
    """Leave out ever smaller pieces, each for good if what remains is kept."""
    left, size = tuple(parts), len(parts) // 2
    while size and len(left) > 1:
        start = 0
        while start < len(left) and len(left) > 1:
            rest = left[:start] + left[start + size :]
            if rest and await keep(rest):
                left = rest
            else:
                start += size
        size = min(size // 2, len(left) // 2)
