"""All drills, a few at a time: they wait more than they work."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.monitoring.drills.causes import CAUSES, Cause
from tests.monitoring.drills.drill import Times, drill

LANES = 3
DRILL_S_MAX = 600.0

Result = Times | Exception


async def run_all(
    scratch: Path,
    causes: Sequence[Cause] = CAUSES,
    lanes: int = LANES,
    tell: Callable[[Cause, Result], None] | None = None,
) -> dict[Cause, Result]:
    """Drill every cause; a drill that failed is its exception. ``tell`` is called as each one ends.

    The last cause of each alert takes the commands along that no drill needs.
    """
    free = asyncio.Semaphore(lanes)
    last = {cause.alert: cause for cause in causes}

    async def one(number: int, cause: Cause) -> Result:
        directory = scratch / f"drill-{number}"
        directory.mkdir()
        async with free:
            result = await _drilled(cause, directory, with_the_rest=cause is last[cause.alert])
        if tell is not None:
            tell(cause, result)
        return result

    results = await asyncio.gather(*(one(number, cause) for number, cause in enumerate(causes)))
    return dict(zip(causes, results, strict=True))


async def _drilled(cause: Cause, directory: Path, *, with_the_rest: bool) -> Result:
    try:
        async with asyncio.timeout(DRILL_S_MAX):
            return await drill(cause, directory, with_the_rest=with_the_rest)
    except Exception as error:  # noqa: BLE001 - the result of this drill; the others go on
        return error
