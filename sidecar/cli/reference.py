"""Render the reference pages: ``python -m sidecar.cli.reference``.

``--write`` writes them.
"""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from pathlib import Path

import click

from sidecar.cli.verify.scenarios import verify
from sidecar.config.table import ROUTE_SETTINGS, SETTINGS, SettingRow
from sidecar.observability.catalogue import CATALOGUE, KEY_METRICS, Metric
from sidecar.observability.errors import RequestError, SidecarError, UpstreamError, every_error
from sidecar.observability.slo import SLO, SLO_OBJECTIVES
from sidecar.verify.report import documented

ROOT = Path(__file__).parents[2]
FILES = ("docs/configuration.md", "docs/metrics.md", "docs/verify.md", "runbooks/errors.md")
MARKED = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

SLO_SENTENCES = {
    "completion": "Of the streams that nobody stopped on purpose, this share reaches its proper end.",
    "reconnect": f"This share of reconnects is back within {SLO.reconnect_s:g} s.",
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


def errors_of_sidecar() -> str:
    """Return the errors that come from no other party."""
    return _sections(e for e in every_error() if not issubclass(e, RequestError | UpstreamError))


def errors_of_request() -> str:
    """Return the errors that the client can avoid."""
    return _sections(e for e in every_error() if issubclass(e, RequestError))


def errors_of_upstream() -> str:
    """Return the errors of the backend, or of the way to it."""
    return _sections(e for e in every_error() if issubclass(e, UpstreamError))


def scenarios_table() -> str:
    """Return the scenarios of verify."""
    return table(documented.SCENARIO_HEAD, documented.scenario_rows())


def verify_options_table() -> str:
    """Return the options of verify."""
    return table(documented.OPTION_HEAD, documented.option_rows(verify))


def paths_table() -> str:
    """Return what makes each impairment of verify."""
    return table(documented.PATH_HEAD, documented.path_rows())


TABLES = {
    "settings": settings_table,
    "route-settings": route_settings_table,
    "key-metrics": key_metrics_table,
    "supporting-metrics": supporting_metrics_table,
    "label-values": label_values_table,
    "buckets": buckets_table,
    "objectives": objectives_table,
    "scenarios": scenarios_table,
    "verify-options": verify_options_table,
    "paths": paths_table,
    "errors-of-the-sidecar": errors_of_sidecar,
    "errors-of-the-request": errors_of_request,
    "errors-of-the-backend": errors_of_upstream,
}


def render(page: str) -> str:
    """Return a page with every marked part rendered.

    Raises KeyError for an unknown part.
    """
    return MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[4]}", page)


def _sections(errors: Iterable[type[SidecarError]]) -> str:
    """Return one section per error, so that a link can name it by its code."""
    return "\n".join(map(_section, errors))


def _section(error: type[SidecarError]) -> str:
    status = f"`{error.status}` {HTTPStatus(error.status).phrase}"
    proxy = f", Proxy-Status `error={error.proxy_error}`" if error.proxy_error else ""
    again = "worth trying again" if error.retryable else "not worth trying again as it is"
    return (
        f"### {error.code}\n\n{status}{proxy}; {again}.\n\n"
        f'* The client reads: "{error.message}"\n* Cause: {error.cause}\n* Remedy: {error.remedy}\n'
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else "-"


def _default(row: SettingRow) -> str:
    return _code(row.default)


def _allowed(row: SettingRow) -> str:
    return row.allowed.replace("<", "&lt;").replace("*", "\\*")


def _labels(metric: Metric) -> str:
    return ", ".join(_code(label) for label in metric.labels) or "-"


@click.command()
@click.option("--check", "mode", flag_value="check", help="Fail if a page is stale.")
@click.option("--write", "mode", flag_value="write", help="Bring every page up to date.")
@click.option("--root", type=click.Path(path_type=Path, exists=True, file_okay=False), default=ROOT)
def main(mode: str | None, root: Path) -> None:
    """Check or write the generated parts of the documentation."""
    if mode is None:
        raise click.UsageError("say --check or --write")
    pages = {name: (root / name).read_text() for name in FILES}
    stale = {name: made for name, page in pages.items() if (made := render(page)) != page}
    if mode == "check" and stale:
        raise click.ClickException(
            f"stale: {', '.join(stale)}; run `python -m sidecar.cli.reference --write`"
        )
    for name, page in stale.items():
        (root / name).write_text(page)
        click.echo(f"wrote {name}")


if __name__ == "__main__":
    main()
