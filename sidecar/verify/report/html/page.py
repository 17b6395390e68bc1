"""The report as one HTML file, without scripts and requests."""

from collections.abc import Iterator, Sequence
from importlib.resources import files

from sidecar.observability.slo import SLO
from sidecar.verify.report.comparison import Comparison
from sidecar.verify.report.html.loads import loads_section
from sidecar.verify.report.html.markup import Markup, element
from sidecar.verify.report.html.parts import badge, bullets, figure, legend, pairs, table
from sidecar.verify.report.html.scenarios import scenario_section
from sidecar.verify.report.html.verdicts import verdicts
from sidecar.verify.report.markdown import TITLE
from sidecar.verify.report.measures import facts, pieces
from sidecar.verify.report.plots.completion import completion_plot
from sidecar.verify.report.plots.reconnects import reconnects_plot
from sidecar.verify.results import Results

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The page could not fetch anything even if a result smuggled it in."""

DIRECT = (
    "direct is the plain backend without the sidecar, with the same people on the same network. "
    "What it fails is what the sidecar is for; it decides nothing."
)


def page(results: Sequence[Results]) -> str:
    """Return the report of one run or several, side by side."""
    comparison = Comparison(results)
    body = element("body", _header(comparison), element("main", *_sections(comparison)))
    return f"<!doctype html>\n{element('html', _head(), body, lang='en')}\n"


def _head() -> Markup:
    style = Markup(files("sidecar.verify.report").joinpath("page.css").read_text(encoding="utf-8"))
    return element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        element("title", TITLE),
        element("style", style),
    )


def _header(comparison: Comparison) -> Markup:
    verdict = "passed" if comparison.passed else "failed"
    made = (f"{run.started}, sse-sidecar {run.version}" for run in comparison.runs)
    return element(
        "header",
        element("h1", f"{TITLE} ", badge(verdict)),
        element("p", "; ".join(dict.fromkeys(made)), class_="quiet"),
        bullets(comparison.sentences, class_="sentences"),
    )


def _sections(comparison: Comparison) -> Iterator[Markup]:
    yield verdicts(comparison)
    if not all(column.decides for column in comparison.columns):
        yield element("p", DIRECT, class_="quiet")
    if comparison.loads:
        yield loads_section(comparison.loads)
    if comparison.rows or comparison.loads:
        yield element("section", element("h2", "In pictures"), *_plots(comparison))
    yield from (scenario_section(comparison, row) for row in comparison.rows)
    yield element("section", element("h2", "How it was made"), *map(_run, comparison.runs))


def _plots(comparison: Comparison) -> Iterator[Markup]:
    if comparison.rows:
        note = "Of the streams that nobody stopped on purpose, the share that reached its proper end."
        keys = legend(comparison, ("promise", "promised"))
        yield figure("Completion", note, keys, completion_plot(comparison))
    note = (
        "From the loss of a connection to the first byte of the next, of each that came back. "
        f"The line is the objective: {SLO.reconnect_s:g} s. A network that keeps breaking keeps people "
        "waiting, and that is in it. The highest bar of each row fills it."
    )
    keys = legend(comparison, ("late", f"above {SLO.reconnect_s:g} s"))
    yield figure("Time to reconnect", note, keys, reconnects_plot(comparison))


def _run(run: Results) -> Markup:
    made = table(("Impairment", "Made by"), pieces(run)) if pieces(run) else None
    return element(
        "div",
        element("p", "To repeat it:"),
        element("pre", run.command, tabindex="0"),
        pairs(facts(run)),
        made,
        class_="run",
    )
