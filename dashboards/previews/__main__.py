"""Record a run of the stack and draw the dashboards: `python -m dashboards.previews`."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

import click

from dashboards.previews import drawing
from dashboards.previews.recording import record
from sidecar.verify.program import ProgramMissing as MissingProgram

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
RUN_S = 600.0
CONTENTS = "dashboards.json"
"""Which panels the pictures show: when a dashboard has others, it is time to draw it anew."""


@click.command()
@click.option("--seconds", default=RUN_S, show_default=True, help="How long the stack runs.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=IMAGES, show_default=True)
@click.option(
    "--recording",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the answers are kept; if the file is there, it is drawn and nothing is run.",
)
def main(seconds: float, into: Path, recording: Path | None) -> None:
    """Draw docs/images/sse-*.png with the answers of a real Prometheus."""
    try:
        drawing.check()
        recorded = _recorded(seconds, recording)
        into.mkdir(parents=True, exist_ok=True)
        for path in asyncio.run(drawing.draw(recorded, into)):
            click.echo(f"drew {path}")
        (into / CONTENTS).write_text(contents(recorded["boards"]))
    except (drawing.ToolMissing, MissingProgram) as missing:
        raise click.ClickException(str(missing)) from None


def contents(texts: Iterable[str]) -> str:
    """Return the titles of the panels by dashboard, as JSON."""
    boards = map(json.loads, texts)
    titles = {board["uid"]: [panel["title"] for panel in board["panels"]] for board in boards}
    return json.dumps(titles, indent=2) + "\n"


def _recorded(seconds: float, kept: Path | None) -> drawing.Json:
    if kept and kept.exists():
        found: drawing.Json = json.loads(kept.read_text())
        return found
    made = asyncio.run(record(seconds, click.echo))
    if kept:
        kept.write_text(json.dumps(made))
    return made


if __name__ == "__main__":
    main()
