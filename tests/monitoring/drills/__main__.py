"""``python -m tests.monitoring.drills``: run the drills, and stamp their times into the runbooks."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.kit.runbook import ROOT, RUNBOOKS
from tests.monitoring.drills.causes import CAUSES, Cause
from tests.monitoring.drills.course import LANES, Result, run_all
from tests.monitoring.drills.drill import Times
from tests.monitoring.drills.stamp import stamped


@click.command()
@click.option("--stamp", is_flag=True, help="Write the times into the runbooks; only if all drills succeed.")
@click.option("--only", default="", help="Only causes whose alert or name has this in it; never stamped.")
@click.option("--lanes", default=LANES, show_default=True, type=click.IntRange(1, 10), help="At once.")
def main(*, stamp: bool, only: str, lanes: int) -> None:
    """Drill every alert with every cause, and print how long each part took, in seconds."""
    if stamp and only:
        raise click.UsageError("--stamp needs all drills")
    commit = _commit()  # of what is drilled, whatever is committed meanwhile
    causes = [cause for cause in CAUSES if only in cause.alert or only in cause.name]
    with TemporaryDirectory(prefix="sse-sidecar-drills-") as name:
        results = asyncio.run(run_all(Path(name), causes, lanes, _tell))
    times = {cause: result for cause, result in results.items() if isinstance(result, Times)}
    if len(times) < len(results):
        sys.exit(1)
    if stamp:
        _stamp(times, commit)


def _tell(cause: Cause, result: Result) -> None:
    said = result.rounded() if isinstance(result, Times) else f"FAILED: {type(result).__name__}: {result}"
    click.echo(f"{cause.alert}: {cause.name}: {said}")


def _stamp(times: dict[Cause, Times], commit: str) -> None:
    for alert in dict.fromkeys(cause.alert for cause in times):
        measured = {cause.name: took.rounded() for cause, took in times.items() if cause.alert == alert}
        speed = next(cause.speed for cause in times if cause.alert == alert)
        page = RUNBOOKS / f"{alert}.md"
        today = datetime.now(UTC).date()
        page.write_text(stamped(page.read_text(), on=today, commit=commit, speed=speed, causes=measured))
        click.echo(f"stamped {page.name}")


def _commit() -> str:
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
