"""Describe a failed round: faults, times and the command to replay it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.soak.round import RoundOutcome
from tests.soak.schedule import ROWS, SCHEDULE, Schedule, ScheduledFault, ScheduledVisit
from tests.soak.testimony import BrokenPromise

SHOWN_MAX = 12


def story(outcome: RoundOutcome, shortest: Schedule, file: Path | None = None) -> str:
    """Tell it; ``file`` has the shortened schedule."""
    whole = outcome.schedule
    lines = [
        f"Seed {whole.seed}, round {whole.number}: {len(outcome.broken)} broken promises.",
        *_broken(outcome.broken),
        "",
        _shortened(whole, shortest),
        *_happenings(shortest),
        "",
        "To play it again:",
        f"  python -m tests.soak --seed {whole.seed} --round {whole.number}",
    ]
    return "\n".join([*lines, *([f"  python -m tests.soak --replay {file}"] if file else [])])


def _shortened(whole: Schedule, shortest: Schedule) -> str:
    if shortest == whole:
        return "All that happened in it:"
    faults = f"{len(shortest.faults)} of {len(whole.faults)} faults"
    return f"It still breaks with {faults} and {len(shortest.visits)} of {len(whole.visits)} visits:"


def _broken(broken: Sequence[BrokenPromise]) -> Iterator[str]:
    for one in broken[:SHOWN_MAX]:
        yield f"  [{one.rule}] {one.sentence}"
    if len(broken) > SHOWN_MAX:
        yield f"  ... and {len(broken) - SHOWN_MAX} more"


def _happenings(schedule: Schedule) -> Iterator[str]:
    """Give what happens in its order, one line each."""
    happenings: list[ScheduledFault | ScheduledVisit] = sorted(
        (*schedule.faults, *schedule.visits), key=lambda happening: happening.at_s
    )
    shown = happenings if len(happenings) <= 3 * SHOWN_MAX else [*schedule.faults]
    for happening in shown:
        yield f"  {happening.at_s:6.2f} s  {_told(happening)}"
    if len(shown) < len(happenings):
        yield f"  and {len(schedule.visits)} visits"


def _told(happening: ScheduledFault | ScheduledVisit) -> str:
    if isinstance(happening, ScheduledFault):
        rows = ", ".join(map(str, ROWS[happening.kind]))
        lasts = f" for {happening.for_s:g} s" if happening.for_s else ""
        return f"{happening.target}: {happening.kind}{lasts} (row {rows})"
    who = f"person {happening.person} ({happening.client} client)"
    what = f"{happening.method} {happening.path}, {happening.deed}, answer {happening.seed}"
    return f"{who} at {happening.sidecar}: question {happening.number}, {what}"


def write(schedule: Schedule, file: Path) -> None:
    """Write a schedule for ``--replay``."""
    file.write_bytes(SCHEDULE.dump_json(schedule, indent=1))


def read(file: Path) -> Schedule:
    """Read one; raises ValueError if it is none."""
    return SCHEDULE.validate_json(file.read_bytes())
