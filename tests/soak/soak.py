"""Play round after round against one stand, and return the results."""

import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter

from tests.soak.measures import MIB, ProcessSample, Slope, slope, warm
from tests.soak.round import RoundOutcome, play, stand_of
from tests.soak.schedule import CHAOS_S, CROWDED_FROM, ROWS, Schedule, SidecarName

SLOPE_MIB_PER_HOUR_MAX = 1.0
SLOPE_JUDGED_FROM_S = 1500.0
"""A shorter run says nothing about an hour: there only JUMP_MIB_MAX is held."""

CROWDED_ROUNDS = 4
"""With which such a long run begins: what it holds at its busiest is then behind it when it is measured."""

JUMP_MIB_MAX = 24.0
"""Between the samples behind the warm-up, in any run."""

FILES_MORE_MAX = 8
TASKS_MORE_MAX = 4
THREADS_MORE_MAX = 4
"""What the last third of the samples may have more than the first third behind the warm-up, at the most."""

SAMPLES_MIN = 6


@dataclass(frozen=True)
class SidecarFigures:
    """What one process held when nothing went on. ``lives``: how often it was begun."""

    lives: int
    samples: list[ProcessSample]
    slope: Slope


@dataclass(frozen=True)
class SoakResult:
    """All that a run has measured; ``broken`` are sentences with their seed and round."""

    command: str
    machine: str
    seconds: float
    seeds: list[int]
    rounds: int
    streams: int
    answers: int
    faults: Mapping[str, int]
    rows: list[int]
    counts: Mapping[str, int]
    recovered_p50_s: float
    recovered_p95_s: float
    recovered_count: int
    broken: list[str]
    sidecars: Mapping[str, SidecarFigures]
    made_at: str = ""


RESULT = TypeAdapter(SoakResult)


@dataclass
class SoakCounts:
    """What is added up while it runs."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    recovered_s: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    samples: dict[SidecarName, list[ProcessSample]] = field(
        default_factory=lambda: {"steady": [], "mortal": []}
    )
    rounds: int = 0

    def add(self, outcome: RoundOutcome) -> None:
        """Add one round."""
        self.rounds += 1
        self.counts += outcome.counts
        self.faults += Counter(fault.kind for fault in outcome.schedule.faults)
        self.recovered_s += outcome.recovered_s
        where = f"seed {outcome.schedule.seed}, round {outcome.schedule.number}"
        self.broken += [f"{where}: [{one.rule}] {one.sentence}" for one in outcome.broken]
        for name, sample in outcome.samples.items():
            self.samples[name].append(sample)


async def soak(
    seeds: Sequence[int],
    minutes: float,
    *,
    command: str = "",
    code: Path | None = None,
    chaos_s: float = CHAOS_S,
    told: Callable[[RoundOutcome], None] = lambda _: None,
    goes_on: bool = False,
) -> tuple[SoakResult, RoundOutcome | None]:
    """Play rounds of each seed for its share of the time, one at least; stop at a broken one or go on.

    Return the result, and the broken round if there is one.
    """
    tally, began_s, last = SoakCounts(), time.monotonic(), None
    with TemporaryDirectory(prefix="nemesis-") as directory:
        async with stand_of(("steady", "mortal"), Path(directory), code) as stand:
            since_s = stand.now_s
            for schedule in schedules(seeds, minutes * 60, chaos_s):
                last = await play(stand, schedule, since_s)
                tally.add(last)
                told(last)
                if last.broken and not goes_on:
                    break
            lives = {name: len(sidecar.lives) for name, sidecar in stand.sidecars.items()}
    result = _result(tally, list(seeds), lives, time.monotonic() - began_s, command)
    return result, last if last and last.broken else None


def schedules(seeds: Sequence[int], seconds: float, chaos_s: float) -> Iterator[Schedule]:
    """Give the rounds of each seed until its share of the time is over; a long run begins crowded."""
    began_s = time.monotonic()
    for number in range(CROWDED_ROUNDS if seconds >= SLOPE_JUDGED_FROM_S else 0):
        yield Schedule.of(seeds[0], CROWDED_FROM + number, chaos_s=chaos_s)
    for place, seed in enumerate(seeds, 1):
        for number in count():
            yield Schedule.of(seed, number, chaos_s=chaos_s)
            if time.monotonic() - began_s >= seconds * place / len(seeds):
                break


async def play_alone(
    schedule: Schedule, code: Path | None = None, directory: Path | None = None
) -> RoundOutcome:
    """Play one round against processes of its own."""
    with TemporaryDirectory(prefix="nemesis-", dir=directory) as own:
        async with stand_of(schedule.sidecars, Path(own), code) as stand:
            return await play(stand, schedule, stand.now_s)


def _result(
    tally: SoakCounts, seeds: list[int], lives: Mapping[SidecarName, int], seconds: float, command: str
) -> SoakResult:
    figures: dict[str, SidecarFigures] = {
        name: SidecarFigures(lives[name], samples, slope(warm(samples)))
        for name, samples in tally.samples.items()
    }
    grown = [sentence for name, one in figures.items() for sentence in growth(name, one, seconds)]
    recovered_s = sorted(tally.recovered_s) or [0.0]
    return SoakResult(
        command=command,
        machine=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        seconds=round(seconds, 1),
        seeds=seeds,
        rounds=tally.rounds,
        streams=tally.counts["streams that began"],
        answers=tally.counts["streams asked for"] + tally.counts["other"],
        faults=dict(sorted(tally.faults.items())),
        rows=sorted({row for kind, rows in ROWS.items() if tally.faults[kind] for row in rows}),
        counts=dict(sorted(tally.counts.items())),
        recovered_p50_s=round(recovered_s[len(recovered_s) // 2], 3),
        recovered_p95_s=round(recovered_s[int(len(recovered_s) * 0.95)], 3),
        recovered_count=len(tally.recovered_s),
        broken=[*tally.broken, *grown],
        sidecars=figures,
        made_at=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def growth(name: str, figures: SidecarFigures, seconds: float) -> Iterator[str]:
    """Give a sentence for everything of which the process that was never ended holds more and more."""
    samples = warm(figures.samples)
    if figures.lives > 1 or len(samples) < SAMPLES_MIN:
        return
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    for what, more_max in (
        ("files", FILES_MORE_MAX),
        ("tasks", TASKS_MORE_MAX),
        ("threads", THREADS_MORE_MAX),
    ):
        before, after = (min(getattr(sample, what) for sample in part) for part in (first, last))
        if after > before + more_max:
            yield f"{name} holds more and more {what}: {before}, later {after}"
    jump_mib = (min(one.rss_bytes for one in last) - min(one.rss_bytes for one in first)) / MIB
    if jump_mib > JUMP_MIB_MAX:
        yield f"{name} has {jump_mib:.1f} MiB more in the end"
    grows = figures.slope.mib_per_hour - figures.slope.confidence > SLOPE_MIB_PER_HOUR_MAX
    if seconds >= SLOPE_JUDGED_FROM_S and grows:
        yield f"{name} grows by {figures.slope.mib_per_hour:.1f} MiB an hour"
