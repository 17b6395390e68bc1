"""When the planned changes of a path happen."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from sidecar.faultnet.path import FINE, Weather
from sidecar.verify.scenarios import SILENT, Turn
from sidecar.verify.stage import turns
from tests.kit.virtual_time import run_virtually

T = TypeVar("T")
STALL_S = 3.0
PLANNED = (
    Turn(at_s=1.0, does=SILENT, what="the path is silent"),
    Turn(at_s=1.5, stalls=1.0, does=FINE, what="the path works"),
)


class SlowPath:
    """A path on which the first change takes its time, as on a busy machine."""

    kind: Literal["userspace"] = "userspace"

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.pieces: dict[str, str] = {}

    def url(self, url: str) -> str:
        return url

    async def set(self, weather: Weather) -> None:
        await asyncio.sleep(self.takes_s)
        self.takes_s = 0.0

    async def cut(self) -> None:
        raise NotImplementedError

    async def hand_off(self) -> None:
        raise NotImplementedError

    async def run(self, people: Callable[[], Awaitable[T]]) -> T:
        return await people()


async def _happened(takes_s: float, reads_s: float = 60.0) -> list[float]:
    reading = asyncio.ensure_future(asyncio.sleep(reads_s))
    happened = [at_s async for at_s, _ in turns(SlowPath(takes_s), PLANNED, STALL_S, reading)]
    reading.cancel()
    return happened


def test_turns_happen_as_planned() -> None:
    assert run_virtually(_happened(takes_s=0.0)) == [1.0, 4.5]


def test_a_silence_lasts_as_planned_when_it_begins_late() -> None:
    assert run_virtually(_happened(takes_s=0.9)) == [1.9, 5.4]


def test_no_turn_happens_after_every_reader_is_through() -> None:
    assert run_virtually(_happened(takes_s=0.0, reads_s=3.0)) == [1.0]
