"""Play one round: clients and faults, then recovery and the checks."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sidecar.faultnet.network import FaultyNetwork
from tests.kit.deadline import Overdue
from tests.kit.scrape import Scrape
from tests.soak.backend import SoakBackend
from tests.soak.blows import strike
from tests.soak.deeds import visits
from tests.soak.measures import ProcessSample
from tests.soak.process import SidecarProcess, running
from tests.soak.reader import SoakReader
from tests.soak.schedule import CELLS, Schedule, ScheduledVisit, SidecarName
from tests.soak.stand import Stand
from tests.soak.testimony import BrokenPromise, Testimony

QUIET_S = 180.0
"""How long something may be held for people who have gone: linger and retention, and more."""

HELD = ("sse_streams_active", "sse_streams_detached", "sse_subscribers", "sse_log_bytes", "sse_log_messages")
CALM_VISITS = 3
CALM_S = 120.0
CALM_NUMBER = 10**6
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """What became of a round; ``samples`` by sidecar, of a process whose life was not ended in it."""

    schedule: Schedule
    seconds: float
    broken: tuple[BrokenPromise, ...]
    counts: Counter[str]
    recovered_s: tuple[float, ...] = ()
    samples: dict[SidecarName, ProcessSample] = field(default_factory=dict)
    late_s: float = 0.0
    """How late the process that played it was at worst."""


@asynccontextmanager
async def stand_of(
    names: Iterable[SidecarName], directory: Path, code: Path | None = None
) -> AsyncIterator[Stand]:
    """Run a backend, sidecars by these names and the networks before them for the length of the block."""
    backend = SoakBackend()
    async with AsyncExitStack() as holding:
        await holding.enter_async_context(backend.up)
        sidecars = {name: SidecarProcess(name, backend.up.url, directory, code) for name in names}
        for sidecar in sidecars.values():
            await holding.enter_async_context(running(sidecar))
        networks = {
            name: [
                await holding.enter_async_context(FaultyNetwork("127.0.0.1", sidecar.port, seed=cell))
                for cell in range(CELLS)
            ]
            for name, sidecar in sidecars.items()
        }
        yield Stand(backend, sidecars, networks)


async def play(stand: Stand, schedule: Schedule, since_s: float = 0.0) -> RoundOutcome:
    """Play one round; ``since_s``: when the run began, on the event loop's clock."""
    began_s = stand.now_s
    stand.testimony, stand.late_s_max = Testimony(), 0.0
    stand.backend.forget()
    samples = await _played(stand, schedule, since_s)
    testimony = stand.testimony
    broken = testimony.verdict(stand.backend, stand.late_s_max)
    for sidecar in stand.sidecars.values():
        sidecar.note_defects()
        broken += [BrokenPromise("log", line) for line in sidecar.defects]
        sidecar.defects.clear()
    broken += _failures(stand)
    testimony.counts["streams that began"] += sum(one.began for one in stand.backend.generations)
    testimony.counts["faults"] += len(schedule.faults)
    return RoundOutcome(
        schedule,
        stand.now_s - began_s,
        tuple(broken),
        testimony.counts,
        tuple(testimony.recovered_s),
        samples,
        stand.late_s_max,
    )


def _failures(stand: Stand) -> list[BrokenPromise]:
    """Return what made the backend fail, and forget it; what only took it long is no broken promise."""
    failures = [one for one in stand.backend.up.failures if not isinstance(one, Overdue)]
    stand.backend.up.failures.clear()
    return [BrokenPromise("backend", f"What the backend got made it fail: {one!r}") for one in failures]


async def _played(stand: Stand, schedule: Schedule, since_s: float) -> dict[SidecarName, ProcessSample]:
    """Let everything happen; return what the processes held after it."""
    watching = asyncio.create_task(stand.watch())
    try:
        await _chaos(stand, schedule)
    finally:
        watching.cancel()
    if stand.testimony.verdict(stand.backend, stand.late_s_max):
        return {}  # it is known enough, and those who shorten it wait for it
    await _calm(stand)
    return await _leftovers(stand, since_s)


async def _chaos(stand: Stand, schedule: Schedule) -> None:
    async with asyncio.TaskGroup() as tasks:
        for fault in schedule.faults:
            tasks.create_task(_at(fault.at_s, partial(strike, stand, fault)))
        for visit in schedule.visits:
            tasks.create_task(_at(visit.at_s, partial(visits, stand, visit)))


async def _at(seconds: float, deed: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(seconds)
    await deed()


async def _calm(stand: Stand) -> None:
    """Now that nothing is wrong, everybody gets an answer at once, and all of it."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(CALM_VISITS * CELLS):
            for name in stand.sidecars:
                tasks.create_task(_calm_visit(stand, number, name))


async def _calm_visit(stand: Stand, number: int, name: SidecarName) -> None:
    visit = ScheduledVisit(CALM_NUMBER + number, 0, number, name, "raw", "reads", "/feed", "GET", number + 1)
    reader = SoakReader(stand, visit, f"calm reader {number} at {name}", random.Random(number), "Bearer calm")
    try:
        async with asyncio.timeout(CALM_S):
            await reader.see_through()
    except TimeoutError:
        stand.testimony.blame("untold", f"{reader.name} has no answer, and nothing is wrong any more.")


async def _leftovers(stand: Stand, since_s: float) -> dict[SidecarName, ProcessSample]:
    """Wait until nothing is held for anybody, check the books, and measure what each process holds."""
    samples = {}
    for name, sidecar in stand.sidecars.items():
        try:
            now = await sidecar.served.until(_is_quiet, QUIET_S)
        except Overdue as overdue:
            stand.testimony.blame("leftovers", f"{name} still holds something: {overdue}")
            continue
        for sentence in _books(now):
            stand.testimony.blame("books", f"{name}: {sentence}")
        samples[name] = await sidecar.sample(stand.now_s - since_s)
    talking = [generation.name for generation in stand.backend.talking]
    if talking:
        stand.testimony.blame("leftovers", f"The backend still talks to the sidecar: {talking[:5]}")
    return samples


def _is_quiet(now: Scrape) -> bool:
    return not any(map(now.metric, HELD))


def _books(now: Scrape) -> Iterable[str]:
    """Give what is wrong in the metrics of a sidecar that holds nothing."""
    for law, left in now.conservation().items():
        if left:
            yield f"conservation of {law} leaves {left:g}"
    if now.metric("sse_silent_failures_total", disposition="leaked"):
        yield "silent failures leaked"
    confirmed, acknowledged, delivered = now.proof()
    if not confirmed <= acknowledged <= delivered:
        yield f"confirmed {confirmed:g}, acknowledged {acknowledged:g}, delivered {delivered:g}"
