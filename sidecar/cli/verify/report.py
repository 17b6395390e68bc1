"""``sse-sidecar verify report``: one report on several runs."""

from pathlib import Path

import click
from pydantic import ValidationError

from sidecar.verify.report.html.page import page
from sidecar.verify.report.markdown import markdown
from sidecar.verify.results import SCHEMA, Results
from sidecar.verify.results_json import from_json

NAME = "sse_test_report"


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    metavar="FILE...",
)
@click.option(
    "--output",
    "folder",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False, writable=True),
    help="Folder for the report.",
)
@click.option("--name", default=NAME, show_default=True, help="Name of the files, without their ending.")
def report(files: tuple[Path, ...], folder: Path, name: str) -> None:
    """Write one report over results of several runs, side by side.

    FILE is an sse_test_results.json of `sse-sidecar verify` or of `sse-sidecar verify load`. Written are
    a Markdown and an HTML file.
    """
    runs = [read(file) for file in files]
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in ((".md", markdown(runs)), (".html", page(runs))):
        written = folder / f"{name}{suffix}"
        written.write_text(text, encoding="utf-8")
        click.echo(f"wrote {written}")


def read(file: Path) -> Results:
    """Return the results in a file; raise click.UsageError if invalid."""
    try:
        results = from_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise click.UsageError(f"{file}: no results of verify: {place}: {first['msg']}") from error
    if results.schema != SCHEMA:
        raise click.UsageError(f"{file}: its schema is {results.schema!r}, this program reads {SCHEMA!r}")
    return results
