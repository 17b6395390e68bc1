"""The toxics in force: on which connection, since when, and changes."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import isinf
from typing import NamedTuple, TypeVar

from sidecar.faultnet.toxics import Bandwidth, Direction, Down, Toxic

SLACK_S = 0.02
"""What a slow link has missed in this time it may send at once: as even as a timer allows."""

TOXICS_MAX = 32
"""In force at the same time; whoever adds more has forgotten to remove."""

Kind = TypeVar("Kind", bound=Toxic)


class InForce(NamedTuple):
    """A toxic, its number among all, and its start in loop time."""

    toxic: Toxic
    number: int
    since: float


class Faults:
    """The toxics of one network.

    The same ``seed`` affects the same connections, by number.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._in_force: list[InForce] = []
        self._added = 0
        self._changed = asyncio.Event()
        self._taken_until: dict[Direction, float] = {}

    @property
    def down(self) -> bool:
        """Return whether new connections are refused."""
        return any(isinstance(entry.toxic, Down) for entry in self._in_force)

    def add(self, toxic: Toxic, now: float) -> None:
        """Put a toxic in force; raises ValueError above TOXICS_MAX."""
        if len(self._in_force) >= TOXICS_MAX:
            message = f"more than {TOXICS_MAX} toxics at the same time"
            raise ValueError(message)
        self._added += 1
        self._in_force.append(InForce(toxic, self._added, now))
        self._tell()

    def keep(self, wanted: Callable[[Toxic], bool]) -> None:
        """Remove every toxic that is not wanted any more."""
        self._in_force = [entry for entry in self._in_force if wanted(entry.toxic)]
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        self._taken_until.clear()

    def on(self, connection: int, direction: Direction, kind: type[Kind]) -> Iterator[tuple[Kind, float]]:
        """Yield the toxics of one kind for a direction, each with its start."""
        for toxic, number, since in self._in_force:
            if (
                isinstance(toxic, kind)
                and toxic.direction in (direction, "both")
                and self._hits(toxic, number, connection)
            ):
                yield toxic, since

    def _hits(self, toxic: Toxic, number: int, connection: int) -> bool:
        if toxic.toxicity >= 1:
            return True
        chance = random.Random(f"{self._seed} {number} {connection}")  # noqa: S311 - repeatable
        return chance.random() < toxic.toxicity

    async def turn(self, connection: int, direction: Direction, size: int) -> None:
        """Wait until ``size`` bytes may pass the shared slow link, if any.

        Pieces pass in the order of the calls. A change of toxics makes earlier times void.
        """
        changed = None
        while changed is not self._changed:
            changed = self._changed
            at = self._book(connection, direction, size)
            await self.until(lambda: at if changed is self._changed else 0.0)  # noqa: B023 - waited for here

    def _book(self, connection: int, direction: Direction, size: int) -> float:
        shared = [toxic for toxic, _ in self.on(connection, direction, Bandwidth) if toxic.shared]
        if not shared:
            return 0.0
        earliest = asyncio.get_running_loop().time() - SLACK_S
        at = max(earliest, self._taken_until.get(direction, earliest))
        self._taken_until[direction] = at + size / min(toxic.rate_bytes for toxic in shared)
        return at

    async def until(self, due: Callable[[], float]) -> None:
        """Wait until loop time ``due()``; call it again when toxics change."""
        loop = asyncio.get_running_loop()
        while (at := due()) > loop.time():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if isinf(at) else at):
                    await self._changed.wait()
