"""Run one part of a scenario: users, planned faults, ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from sidecar.client import State
from sidecar.faultnet.path import FINE, Path, Weather
from sidecar.verify.person import Person, UserRequest
from sidecar.verify.reader import VerifyingReader
from sidecar.verify.scenarios import ScenarioPart, Turn
from sidecar.verify.subject import FEED_LEAVE_S, Generation, Subject
from sidecar.verify.truth import Truth

BEGIN_S = 20.0
"""How long people may take until all have had a message; then what is planned happens all the same."""

AWAY_S = 4.0
"""How long somebody is away who comes back too late for what is kept SMALL_S."""

RETURNS_AFTER = 6
"""Messages after which somebody leaves who comes back."""

SECOND_AFTER = 20
"""Messages after which somebody goes on at a second device, from the start."""


@dataclass(slots=True)
class Played:
    """A completed part: readers, truth and times (s, monotonic)."""

    part: ScenarioPart
    readers: list[VerifyingReader]
    truth: Truth | None
    started_at_s: float
    happened: list[tuple[float, Turn]] = field(default_factory=list)
    ended_at_s: float = 0.0
    generations: dict[str, list[Generation]] | None = None
    out_of_time: bool = False
    """The bound of the part was reached while somebody still read."""


class Beginning:
    """Tells one event loop when all people in another one have begun."""

    def __init__(self, people: int, count: Callable[[], None]) -> None:
        self._missing = people
        self._count = count
        self._begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def note(self, person: Person) -> None:
        """Take note of a message; called in the people's loop."""
        self._count()
        if len(person.handed) == 1:
            self._missing -= 1
            if not self._missing:
                self._loop.call_soon_threadsafe(self._begun.set)

    async def wait(self) -> None:
        """Wait until all have begun, BEGIN_S at most."""
        try:
            async with asyncio.timeout(BEGIN_S):
                await self._begun.wait()
        except TimeoutError:
            return


class Stage:
    """Plays parts against one server, over one path."""

    def __init__(self, subject: Subject, path: Path, *, users: int, quick: bool, seed: int) -> None:
        self.subject = subject
        self._path = path
        self._users = users
        self._quick = quick
        self._seed = seed
        self.messages = 0
        """That all people were given so far."""

    async def play(self, scenario: str, part: ScenarioPart) -> Played:
        """Play a part; what it needs of time is bounded by the part."""
        messages = part.messages if self._quick or part.ends != "complete" else 2 * part.messages
        truth = await self.subject.truth(part, messages, self._seed)
        beginning = Beginning(part.users or self._users, self._count)
        readers = self._readers(scenario, part, messages, beginning)
        played = Played(part, readers, truth, time.monotonic())
        company = Company(self.subject, part, played)
        reading = asyncio.ensure_future(self._run(part, company.read))
        try:
            if part.on_path:
                await self._weather(played, beginning, reading)
            await reading
        finally:
            reading.cancel()
            if part.on_path:
                await self._path.set(FINE)
        played.ended_at_s = time.monotonic()
        played.generations = await self.subject.generations()
        return played

    def _count(self) -> None:
        self.messages += 1

    def _readers(
        self, scenario: str, part: ScenarioPart, messages: int, beginning: Beginning
    ) -> list[VerifyingReader]:
        count = part.users or self._users
        names = [f"{scenario}/{part.name}/{number}" for number in range(1, count + 1)]
        asked = [self.subject.ask(part, name, messages, self._seed) for name in names]
        return [
            VerifyingReader(self._person(part, name, question, beginning), name, question.url)
            for name, question in zip(names, asked, strict=True)
        ]

    def _person(self, part: ScenarioPart, name: str, question: UserRequest, beginning: Beginning) -> Person:
        elsewhere = _elsewhere(question, self._path.url(question.url)) if part.on_path else question
        return Person(
            name,
            elsewhere,
            stall_s=self.subject.stall_s,
            seed=self._seed,
            attempts_max=part.attempts_max,
            on_end="reconnect" if self.subject.feed else "complete",
            reports=self.subject.has_sidecar,
            on_message=beginning.note,
        )

    async def _run(self, part: ScenarioPart, people: Callable[[], Awaitable[None]]) -> None:
        await (self._path.run(people) if part.on_path else people())

    async def _weather(self, played: Played, beginning: Beginning, reading: asyncio.Future[None]) -> None:
        """Change the path as planned, until every reader is through."""
        await self._path.set(played.part.weather)
        await _unless(reading, beginning.wait())
        async for done in turns(self._path, played.part.turns, self.subject.stall_s, reading):
            played.happened.append(done)


async def turns(
    path: Path, planned: Sequence[Turn], stall_s: float, reading: asyncio.Future[None]
) -> AsyncIterator[tuple[float, Turn]]:
    """Yield each turn and when it happened, until ``reading`` is done.

    A turn that takes long delays the next one: a fault lasts at least as long as planned.
    """
    loop = asyncio.get_running_loop()
    happened_at_s, planned_at_s = loop.time(), 0.0
    for turn in planned:
        due_at_s = turn.at_s + turn.stalls * stall_s
        wait_s = happened_at_s + due_at_s - planned_at_s - loop.time()
        await _unless(reading, asyncio.sleep(max(0.0, wait_s)))
        if reading.done():
            return
        await _turn(path, turn)
        happened_at_s, planned_at_s = loop.time(), due_at_s
        yield happened_at_s, turn


async def _turn(path: Path, turn: Turn) -> None:
    if isinstance(turn.does, Weather):
        await path.set(turn.does)
    elif turn.does == "cut":
        await path.cut()
    else:
        await path.hand_off()


async def _unless(reading: asyncio.Future[None], other: Awaitable[None]) -> None:
    waiting = asyncio.ensure_future(other)
    await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


class Company:
    """The people of one part, in their own loop."""

    def __init__(self, subject: Subject, part: ScenarioPart, played: Played) -> None:
        self._subject = subject
        self._part = part
        self._played = played

    async def read(self) -> None:
        """Let all users read to the end, within the part's bound."""
        stalls = 1 + sum(turn.stalls for turn in self._part.turns)
        bound_s = self._part.bound_s + 2 * stalls * self._subject.stall_s
        try:
            async with asyncio.timeout(bound_s), asyncio.TaskGroup() as tasks:
                for reader in tuple(self._played.readers):
                    tasks.create_task(self._live(reader))
        except TimeoutError:
            self._played.out_of_time = True

    async def _live(self, reader: VerifyingReader) -> None:
        if self._part.life == "returns":
            await self._return(reader)
        elif self._part.life == "second device":
            await self._two_devices(reader)
        else:
            await self._read(reader, self._leave_after_s())

    async def _read(self, reader: VerifyingReader, leave_after_s: float | None) -> None:
        await reader.person.read(leave_after_s)
        reader.stopped = leave_after_s is not None and reader.person.state is State.CLOSED

    def _leave_after_s(self) -> float | None:
        part, stall_s = self._part, self._subject.stall_s
        if part.leave_after_s is None:
            return FEED_LEAVE_S + 2 * stall_s if self._subject.feed else None
        return part.leave_after_s + (stall_s if part.ends == "silence" else 0.0)

    async def _return(self, reader: VerifyingReader) -> None:
        """Leave in the middle, and come back too late, with the position."""
        reader.person.when(RETURNS_AFTER, reader.person.leave)
        await self._read(reader, self._leave_after_s())
        await asyncio.sleep(AWAY_S)
        events = reader.person.events
        position = events.position if events is not None else ""
        headers = {**reader.person.question.headers, "last-event-id": position}
        back = self._again(reader, "back", UserRequest(url=reader.person.question.url, headers=headers))
        self._played.readers[self._played.readers.index(reader)] = back
        back.after = len(reader.person.handed)
        await back.person.read(self._part.bound_s / 2)

    async def _two_devices(self, reader: VerifyingReader) -> None:
        """Read, and let a user join from the start of a trimmed log."""
        reading = asyncio.ensure_future(self._read(reader, None))
        try:
            await self._until(reader.person, SECOND_AFTER, reading)
            question = reader.person.question
            joining = UserRequest(url=question.url, headers=question.headers, join=reader.person.stream)
            second = self._again(reader, "second", joining)
            self._played.readers.append(second)
            await second.person.read()
            await reading
        finally:
            reading.cancel()

    async def _until(self, person: Person, messages: int, reading: asyncio.Future[None]) -> None:
        """Wait until a person has had so many messages, or has come to an end."""
        enough = asyncio.Event()
        person.when(messages, enough.set)
        waiting = asyncio.ensure_future(enough.wait())
        await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    def _again(self, reader: VerifyingReader, name: str, question: UserRequest) -> VerifyingReader:
        person = Person(
            f"{reader.person.name}/{name}",
            question,
            stall_s=self._subject.stall_s,
            seed=0,
            attempts_max=self._part.attempts_max,
        )
        return VerifyingReader(person, reader.stream, reader.url)


def _elsewhere(question: UserRequest, url: str) -> UserRequest:
    """Return the same request to another address, with its own Host."""
    headers = {"host": urlsplit(question.url).netloc, **question.headers}
    return replace(question, url=url, headers=headers)
