"""``sse-sidecar verify load``: many users, counted independently.

Their own records and Prometheus have to agree.
"""

import asyncio
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from sidecar import __version__
from sidecar.verify.load import load_run
from sidecar.verify.load.load_run import LoadFailed
from sidecar.verify.load.workload import Workload
from sidecar.verify.output import write
from sidecar.verify.own import NotStarted
from sidecar.verify.report.figures import quantity
from sidecar.verify.results import LoadResult, Results
from sidecar.verify.run import environment

USERS_MAX = 5_000
STREAMS_MAX = 1_000_000
SECONDS_MAX = 86_400.0
USERS_DEFAULT, SECONDS_DEFAULT = 100, 60.0
EXIT_FAILED, EXIT_CANNOT = 1, 2
SATURATED = 0.9


@click.command()
@click.option(
    "--users",
    multiple=True,
    type=click.IntRange(1, USERS_MAX),
    default=(USERS_DEFAULT,),
    show_default=True,
    help="How many at once; can be repeated: one load after the other.",
)
@click.option("--streams", type=click.IntRange(1, STREAMS_MAX), help="How many answers are asked for in all.")
@click.option(
    "--seconds",
    type=click.FloatRange(1, SECONDS_MAX),
    help=f"Or for how long they are asked for.  [default: {SECONDS_DEFAULT:g}]",
)
@click.option("--seed", default=1, show_default=True, help="Decides who asks what, and what goes wrong.")
@click.option(
    "--output",
    "folder",
    default="verify-results",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for the results.",
)
def load(users: tuple[int, ...], streams: int | None, seconds: float | None, seed: int, folder: Path) -> None:
    """Let people ask, read, lose the network, come back, cancel and leave.

    All runs on this machine: people with the Python client, a network with faults, a sidecar, a backend
    that fails now and then, and Prometheus where it is installed. Written are sse_test_results.json, .md and
    .html. Exit code 0: every objective held and the counts agree. Exit code 1: not. Exit code 2: no run.
    """
    if streams and seconds:
        raise click.UsageError("--streams or --seconds, not both")
    loads = [
        Workload(users=count, seed=seed, streams=streams or 0, seconds=seconds or SECONDS_DEFAULT)
        for count in users
    ]
    started, began = datetime.now(UTC), time.monotonic()
    found = [_run(each) for each in loads]
    results = Results(
        version=__version__,
        command=shlex.join(["sse-sidecar", *sys.argv[1:]]),
        started=started.isoformat(timespec="seconds"),
        took_s=round(time.monotonic() - began, 3),
        seed=seed,
        quick=False,
        path=None,
        environment=environment(),
        loads=found,
    )
    for path in write(results, folder):
        click.echo(f"wrote {path}")
    if results.verdict == "failed":
        sys.exit(EXIT_FAILED)


def _run(each: Workload) -> LoadResult:
    click.echo(f"{each.users} people, an event every {each.pace.interval_s:.2f} s in each answer")
    try:
        found = asyncio.run(load_run.run(each, click.echo))
    except (LoadFailed, NotStarted, OSError) as error:
        click.echo(f"cannot run: {error}", err=True)
        sys.exit(EXIT_CANNOT)
    click.echo(_told(found))
    return found


def _told(found: LoadResult) -> str:
    """Say how it went, in lines."""
    streams = f"{found.streams} streams, {found.eligible} eligible, {found.completed} completed"
    lines = [f"{streams}; {len(found.reconnects_s)} reconnects; counted by people and by {found.counted_by}"]
    for each in found.objectives:
        own, theirs = (quantity(each.name, value) for value in (each.by_clients, each.by_prometheus))
        held = "held" if each.held else "NOT HELD"
        lines.append(f"  {each.name:<22} {each.asks:>8}   people {own:>9}   counted {theirs:>9}   {held}")
    lines += [f"  differs: {sentence}" for sentence in found.differences]
    busy = found.metrics.get("machine_busy_ratio", 0.0)
    if busy > SATURATED:
        lines.append(f"  The machine was saturated ({busy:.0%} busy): times are not the sidecar's alone.")
    return "\n".join([*lines, f"{found.users} people: {found.verdict}"])
