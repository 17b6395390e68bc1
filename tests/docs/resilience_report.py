"""Makes docs/resilience-report.md and .html: ``python -m tests.docs.resilience_report``, as root.

All scenarios over both paths, then people by the hundred, then thousands of streams: a quarter of an hour.
The results are kept beside the report, which is made of them alone.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sidecar.verify.report.html.page import page
from sidecar.verify.report.markdown import markdown
from sidecar.verify.results import Results
from sidecar.verify.results_json import from_json

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
KEPT = DOCS / "resilience"
NAME = "resilience-report"
OUTPUT = "verify-results"
FAILED = 1

RUNS = {
    "real": ("verify", "--path", "real", "--seed", "7"),
    "userspace": ("verify", "--path", "userspace", "--seed", "7"),
    "load": ("verify", "load", "--users", "100", "--users", "500", "--users", "2000", "--seed", "7"),
    "streams": ("verify", "load", "--users", "200", "--streams", "5200", "--seed", "7"),
}


def kept() -> list[Results]:
    """Return the results that are committed, in the order of RUNS."""
    return [
        from_json((KEPT / f"{name}.json").read_bytes()) for name in RUNS if (KEPT / f"{name}.json").exists()
    ]


def reports(runs: Sequence[Results]) -> dict[Path, str]:
    """Return the report's files."""
    return {DOCS / f"{NAME}.md": markdown(runs), DOCS / f"{NAME}.html": page(runs)}


def make(name: str, more: Sequence[str]) -> None:
    """Run one of RUNS and keep its results; a verdict of failed is a result too."""
    command = [*RUNS[name], *more, "--output", f"{OUTPUT}/{name}"]
    click.echo(f"sse-sidecar {' '.join(command)}")
    code = subprocess.run([sys.executable, "-m", "sidecar", *command], cwd=ROOT, check=False).returncode
    if code > FAILED:
        raise click.ClickException(f"{name}: exit code {code}")
    KEPT.mkdir(exist_ok=True)
    shutil.copy(ROOT / OUTPUT / name / "sse_test_results.json", KEPT / f"{name}.json")


@click.command()
@click.option(
    "--only", "names", multiple=True, type=click.Choice([*RUNS]), help="Only these runs; none: all."
)
@click.option("--write-only", is_flag=True, help="Run nothing, write the report of what is kept.")
@click.argument("more", nargs=-1)
def main(names: tuple[str, ...], more: tuple[str, ...], *, write_only: bool) -> None:
    """Run, keep the results, write the report. What follows `--` goes to each run, such as --quick."""
    for name in () if write_only else names or RUNS:
        make(name, more)
    for file, text in reports(kept()).items():
        file.write_text(text, encoding="utf-8")
        click.echo(f"wrote {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
