"""Render the reference tables of the docs from the program: `python -m sidecar.reference --write`."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from sidecar.catalogue import CATALOGUE, KEY_METRICS, SLO_OBJECTIVES, Metric
from sidecar.settings_table import ROUTE_SETTINGS, SETTINGS, Row

DOCS = Path(__file__).parent.parent / "docs"
FILES = ("configuration.md", "metrics.md")
MARKED = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

SLO_SENTENCES = {
    "completion": "Of the streams that nobody stopped on purpose, this share reaches its proper end.",
    "reconnect": "This share of reconnects is back within 5 s.",
    "loss": "No message is lost.",
    "duplicates": "No message is delivered twice.",
    "silent": "No stream fails without its client being told.",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def settings_table() -> str:
    """Return the settings of the process."""
    rows = ([_code(r.name), _code(r.env), _default(r), _allowed(r), r.help] for r in SETTINGS)
    return table(("Setting", "Environment", "Default", "Allowed", "What it does"), rows)


def route_settings_table() -> str:
    """Return the settings of one route."""
    rows = ([_code(row.name), _default(row), _allowed(row), row.help] for row in ROUTE_SETTINGS)
    return table(("Setting", "Default", "Allowed", "What it does"), rows)


def key_metrics_table() -> str:
    """Return the six key metrics."""
    rows = ([str(m.key), _code(m.name), m.kind, _labels(m), m.help] for m in KEY_METRICS)
    return table(("#", "Name", "Type", "Labels", "What is counted"), rows)


def supporting_metrics_table() -> str:
    """Return all other metrics."""
    rows = ([_code(m.name), m.kind, _labels(m), m.help] for m in CATALOGUE if m.key is None)
    return table(("Name", "Type", "Labels", "What is counted"), rows)


def label_values_table() -> str:
    """Return the closed value set of every label."""
    rows = [
        [_code(metric.name), _code(label), ", ".join(_code(value) for value in values)]
        for metric in CATALOGUE
        for label, values in metric.label_values.items()
    ]
    return table(("Metric", "Label", "Values"), rows)


def buckets_table() -> str:
    """Return the upper bounds of every histogram."""
    rows = ([_code(m.name), ", ".join(f"{b:g}" for b in m.buckets)] for m in CATALOGUE if m.buckets)
    return table(("Histogram", "Buckets, in seconds"), rows)


def objectives_table() -> str:
    """Return the service level objectives."""
    rows = ([_code(name), f"{SLO_OBJECTIVES[name]:g}", text] for name, text in SLO_SENTENCES.items())
    return table(("slo", "Objective", "Meaning"), rows)


TABLES = {
    "settings": settings_table,
    "route-settings": route_settings_table,
    "key-metrics": key_metrics_table,
    "supporting-metrics": supporting_metrics_table,
    "label-values": label_values_table,
    "buckets": buckets_table,
    "objectives": objectives_table,
}


def render(page: str) -> str:
    """Return a page with every marked table made anew; KeyError for a table that does not exist."""
    return MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[4]}", page)


def _code(text: str) -> str:
    return f"`{text}`" if text else "-"


def _default(row: Row) -> str:
    return _code(row.default)


def _allowed(row: Row) -> str:
    return row.allowed.replace("<", "&lt;").replace("*", "\\*")


def _labels(metric: Metric) -> str:
    return ", ".join(_code(label) for label in metric.labels) or "-"


@click.command()
@click.option("--check", "mode", flag_value="check", help="Fail if a page is stale.")
@click.option("--write", "mode", flag_value="write", help="Bring every page up to date.")
@click.option("--docs", type=click.Path(path_type=Path, exists=True, file_okay=False), default=DOCS)
def main(mode: str | None, docs: Path) -> None:
    """Check or write the generated tables of the documentation."""
    if mode is None:
        raise click.UsageError("say --check or --write")
    pages = {docs / name: (docs / name).read_text() for name in FILES}
    stale = {path: render(page) for path, page in pages.items() if render(page) != page}
    if mode == "check" and stale:
        names = ", ".join(path.name for path in stale)
        raise click.ClickException(f"stale: {names}; run `python -m sidecar.reference --write`")
    for path, page in stale.items():
        path.write_text(page)
        click.echo(f"wrote {path.name}")


if __name__ == "__main__":
    main()
