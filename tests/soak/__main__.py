"""Run the nemesis: python -m tests.soak --help. Exit code 1: a promise was broken."""

import asyncio
import random
import sys
import time
from pathlib import Path

import click

from tests.kit.open_files import allow_open_files
from tests.soak.round import RoundOutcome
from tests.soak.schedule import Schedule
from tests.soak.shrink import RUNS_MAX, Spent, shrunk
from tests.soak.soak import RESULT, SoakResult, play_alone, soak
from tests.soak.story import read, story, write

FILES_MIN = 4096
SEEDS_A_MINUTE = 2 / 3
SHRINK_SHARE = 0.3
"""How long a broken schedule is played again to make it shorter, as a share of the run's own time."""


@click.command()
@click.option("--minutes", default=5.0, show_default=True, help="How long, all seeds together.")
@click.option("--seed", type=int, help="The first seed; without one it is drawn, and printed.")
@click.option(
    "--seeds", type=int, help="So many seeds, each with its share; by default twenty in half an hour."
)
@click.option("--round", "number", type=int, help="Play this round of the seed, and nothing else.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True), help="Play a schedule of a file.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Directory for soak.json and broken schedules."
)
@click.option("--code", type=click.Path(path_type=Path, exists=True), help="Run the sidecar package in here.")
@click.option("--shrink", default=RUNS_MAX, show_default=True, help="Plays that shorten a broken schedule.")
@click.option("--go-on", is_flag=True, help="Do not stop at a broken round, and shorten nothing.")
def main(
    *,
    minutes: float,
    seed: int | None,
    seeds: int | None,
    number: int | None,
    replay: Path | None,
    output: Path | None,
    code: Path | None,
    shrink: int,
    go_on: bool,
) -> None:
    """Let misfortunes come over sidecar, backend and clients, and judge what they record."""
    allow_open_files(FILES_MIN)
    first = seed if seed is not None else random.SystemRandom().randrange(1, 10**6)
    click.echo(f"seed {first}")
    if replay or number is not None:
        schedule = read(replay) if replay else Schedule.of(first, number or 0)
        sys.exit(_single(schedule, code))
    many = seeds or max(1, round(minutes * SEEDS_A_MINUTE))
    runs_max = 0 if go_on else shrink
    sys.exit(asyncio.run(_soaked(range(first, first + many), minutes, output, code, runs_max)))


def _single(schedule: Schedule, code: Path | None) -> int:
    outcome = asyncio.run(play_alone(schedule, code))
    _tell(outcome)
    if outcome.broken:
        click.echo(story(outcome, schedule))
    return bool(outcome.broken)


async def _soaked(seeds: range, minutes: float, output: Path | None, code: Path | None, runs_max: int) -> int:
    command = f"python -m tests.soak --minutes {minutes:g} --seed {seeds[0]} --seeds {len(seeds)}"
    result, broken = await soak(seeds, minutes, command=command, code=code, told=_tell, goes_on=not runs_max)
    if output:
        keep(result, output)
    if broken is not None and runs_max:
        until_s = time.monotonic() + minutes * 60 * SHRINK_SHARE
        click.echo(await _shortened(broken, output, code, runs_max, until_s))
    _tell_all(result)
    return bool(result.broken)


def keep(result: SoakResult, output: Path) -> None:
    """Write what was measured."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "soak.json").write_bytes(RESULT.dump_json(result, indent=1))


async def _shortened(
    outcome: RoundOutcome, output: Path | None, code: Path | None, runs_max: int, until_s: float
) -> str:
    """Play a broken round again, ever shorter, and tell its story."""
    click.echo(story(outcome, outcome.schedule))
    rules = {broken.rule for broken in outcome.broken}

    async def still_broken(schedule: Schedule) -> bool:
        if time.monotonic() > until_s:
            raise Spent
        again = await play_alone(schedule, code)
        found = bool(rules & {broken.rule for broken in again.broken})
        words = "still broken" if found else "not broken"
        click.echo(f"  {len(schedule.faults)} faults, {len(schedule.visits)} visits: {words}")
        return found

    shortest = await shrunk(outcome.schedule, still_broken, runs_max=runs_max)
    file = output / f"broken-{shortest.seed}-{shortest.number}.json" if output else None
    if file is not None:
        write(shortest, file)
    return story(outcome, shortest, file)


def _tell(outcome: RoundOutcome) -> None:
    schedule = outcome.schedule
    rss = ", ".join(f"{name} {sample.rss_bytes >> 10} KiB" for name, sample in outcome.samples.items())
    streams = f"{outcome.counts['streams that began']} streams, {len(outcome.broken)} broken"
    what = (
        f"{outcome.seconds:.0f} s (late by {outcome.late_s:.1f} s), {len(schedule.faults)} faults, {streams}"
    )
    click.echo(f"seed {schedule.seed} round {schedule.number}: {what}; {rss}")
    for broken in outcome.broken:
        click.echo(f"  [{broken.rule}] {broken.sentence}")


def _tell_all(result: SoakResult) -> None:
    for sentence in result.broken:
        click.echo(f"BROKEN {sentence}")
    rounds = f"{result.rounds} rounds of {len(result.seeds)} seeds in {result.seconds:.0f} s"
    faults = f"{sum(result.faults.values())} faults of {len(result.faults)} kinds"
    click.echo(f"{rounds}: {result.streams} streams, {faults}, {len(result.broken)} broken promises")
    for name, figures in result.sidecars.items():
        slope = figures.slope
        click.echo(
            f"{name}: {figures.lives} lives, memory {slope.mib_per_hour:+.2f} MiB/h "
            f"(95 %: +-{slope.confidence:.2f}, {slope.samples} samples)"
        )


if __name__ == "__main__":
    main()
