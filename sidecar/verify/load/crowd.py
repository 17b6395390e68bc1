"""Many users in one process, which reports on its output.

Run it as ``python -m sidecar.verify.load.crowd``.
"""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from sidecar.verify.load.account import Account
from sidecar.verify.load.cell import Cell
from sidecar.verify.load.talk import Pace, draw
from sidecar.verify.load.visit import UserVisit, Visitor, draw_habit
from sidecar.verify.program import HOST

CELLS = 4
CONNECT_S = 10.0
THINK_S = (0.2, 1.5)
TELL_S = 1.0


@dataclass(frozen=True, slots=True)
class LoadShare:
    """The share of one process: the ``part``-th of ``parts``.

    ``streams`` is the number of requests of all its users; 0 is as many as ``seconds`` allow.
    """

    url: str
    users: int
    part: int
    parts: int
    seed: int
    streams: int
    seconds: float
    pace: Pace
    stall_s: float
    arrive_s: float
    calm: float

    def as_argument(self) -> str:
        """Return what ``from_argument`` takes."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, text: str) -> "LoadShare":
        """Read an argument of the command line."""
        said: dict[str, Any] = json.loads(text)
        return cls(**said | {"pace": Pace(**said["pace"])})


class UserGroup:
    """The people of one part."""

    def __init__(self, part: LoadShare) -> None:
        self.account = Account()
        self.asked = self.under_way = 0
        self._part = part
        self._ends_at = asyncio.get_running_loop().time() + part.seconds
        self._numbers = count(part.part, part.parts)

    async def run(self) -> Account:
        """Run all users until enough is done, and finish the last visit."""
        part = self._part
        async with AsyncExitStack() as stack:
            cells = [await stack.enter_async_context(_cell(part, number)) for number in range(CELLS)]
            async with asyncio.TaskGroup() as group:
                for number in range(part.users):
                    group.create_task(self._live(number, cells[number % CELLS]))
        for cell in cells:
            self.account.did.update(cell.did)
        return self.account

    async def _live(self, number: int, cell: Cell) -> None:
        part = self._part
        chance = random.Random(f"{part.seed}/person {part.part} {number}")  # noqa: S311 - a load, no secret
        await asyncio.sleep(chance.uniform(0, part.arrive_s))
        async with _session(f"person-{part.part}-{number}") as session:
            visitor = Visitor(f"http://{HOST}:{cell.network.port}", session, part.stall_s)
            while self._go_on():
                self.asked += 1
                talk, drawn = draw(next(self._numbers), part.seed, part.pace)
                if talk.fault is not None:
                    fails = "fails" if talk.fails else "goes on"
                    self.account.did[f"backend: {talk.fault}, {fails}"] += 1
                self.under_way += 1
                self.account.add(await UserVisit(visitor, talk, draw_habit(talk, drawn), drawn).run())
                self.under_way -= 1
                await asyncio.sleep(chance.uniform(*THINK_S))

    def _go_on(self) -> bool:
        if self._part.streams:
            return self.asked < self._part.streams
        return asyncio.get_running_loop().time() < self._ends_at


@asynccontextmanager
async def _cell(part: LoadShare, number: int) -> AsyncIterator[Cell]:
    address = urlsplit(part.url)
    cell = Cell(
        address.hostname or HOST, address.port or 80, f"{part.seed}/cell {part.part} {number}", part.calm
    )
    async with cell.network:
        weather = asyncio.create_task(cell.run())
        try:
            yield cell
        finally:
            weather.cancel()
            await asyncio.wait([weather])


def _session(login: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
        headers={"Authorization": f"Bearer {login}"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        trust_env=False,
    )


async def _run(part: LoadShare) -> None:
    crowd = UserGroup(part)
    telling = asyncio.create_task(_tell(crowd))
    try:
        account = await crowd.run()
    finally:
        telling.cancel()
    _say({"account": account.as_json()})


async def _tell(crowd: UserGroup) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + TELL_S
        await asyncio.sleep(TELL_S)
        crowd.account.late_s = max(crowd.account.late_s, loop.time() - due)
        broken = crowd.account.broken
        _say({"asked": crowd.asked, "under_way": crowd.under_way, "broken": broken})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run(LoadShare.from_argument(sys.argv[1])))
