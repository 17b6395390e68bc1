"""What is wrong with a runbook, found without running it: one sentence for each fault."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import promql_parser
from pydantic import ValidationError

from alerts.alerting import alerts
from alerts.recordings import recordings
from sidecar.config.settings import Settings
from sidecar.observability.catalogue import CATALOGUE, Metric
from sidecar.observability.slo import SLO
from tests.kit.runbook import RUNBOOKS, SECTIONS, NotInForm, Runbook

SEVERITIES = {
    "SSECompletionBudgetBurn": "critical or warning",
    "SSEReconnectTooSlow": "warning",
    "SSEMessageIntegrityViolation": "critical or warning",
    "SSESilentFailure": "critical",
    "SSESidecarDown": "critical",
}
FRONT = ("alert", "severity", "owner", "dashboard", "drilled")
TIMES = ("fires_s", "diagnosis_s", "mitigation_s", "resolves_s")
SILENCE_S_MAX = 3600
OTHERS = frozenset({"up", "ALERTS", "process_start_time_seconds"})
"""Series that Prometheus, or its client library, makes."""

FREE_LABELS = frozenset({"job", "instance", "route", "version", "le", "alertname", "alertstate"})
SUFFIXES = ("_bucket", "_count", "_sum")

_query = re.compile(r'promtool query instant "\$PROM" (?:\\\n)?\s*"(.*?)"', re.DOTALL)
_assignment = re.compile(r'export (\w+)="\$\{(\w+):-(.*?)\}"  +# \S.*')
_link = re.compile(r"\]\(([^)\s]+)\)")


def faults(book: Runbook, *, links: bool = True) -> list[str]:
    """Return everything that is wrong with a runbook; ``links``: check those to other files too."""
    try:
        found = [
            *_front(book),
            *_sections(book),
            *_variables(book),
            *_commands(book),
            *_queries(book),
            *_settings(book),
            *_ways(book),
            *_silences(book),
            *(_links(book) if links else ()),
        ]
    except NotInForm as error:
        found = [str(error)]
    return found


def queries(book: Runbook) -> list[str]:
    """Return every PromQL expression: the blocks, and what promtool is asked, with the default variables."""
    asked = [query for command in book.commands for query in _query.findall(command)]
    return [*book.promql, *(_filled(query, defaults(book)) for query in asked)]


def defaults(book: Runbook) -> dict[str, str]:
    """Return the variables of the preamble with their defaults."""
    rows = [_assignment.fullmatch(line) for line in book.preamble.splitlines()]
    return {row[1]: row[3] for row in rows if row}


def _front(book: Runbook) -> Iterator[str]:
    front = book.front
    alert = next((alert for alert in alerts(SLO) if alert.name == book.name), None)
    if alert is None:
        yield f"{book.name}: there is no such alert"
        return
    if tuple(front) != FRONT:
        yield f"front matter: has {list(front)}, not {list(FRONT)}"
        return
    wanted = {"alert": book.name, "severity": SEVERITIES[book.name], "dashboard": alert.dashboard}
    for name, value in wanted.items():
        if front[name] != value:
            yield f"front matter: {name} is {front[name]!r}, not {value!r}"
    if not front["owner"]:
        yield "front matter: nobody owns it"
    yield from _drilled(front["drilled"])


def _drilled(drilled: Any) -> Iterator[str]:
    """Check that the stamp of a drill is whole; only a drill writes it."""
    if not isinstance(drilled, dict) or list(drilled) != ["date", "commit", "speed", "causes"]:
        yield "front matter: never drilled; run `python -m tests.monitoring.drills --stamp`"
        return
    if not isinstance(drilled["date"], date):
        yield f"front matter: {drilled['date']!r} is no date"
    if not re.fullmatch(r"[0-9a-f]{7,40}", str(drilled["commit"])):
        yield f"front matter: {drilled['commit']!r} is no commit"
    for cause, times in drilled["causes"].items():
        if tuple(times) != TIMES or not all(isinstance(times[name], float) for name in TIMES):
            yield f"front matter: the drill of {cause!r} has not been measured"


def _sections(book: Runbook) -> Iterator[str]:
    found = tuple(book.sections)[1:]
    if found != SECTIONS:
        yield f"sections: {found}"
        return
    yield from (f"{name}: empty" for name in SECTIONS if not book.sections[name].strip())
    if "<summary>Full context</summary>" not in book.sections["Afterwards"]:
        yield "no folded full context at the end"
    checks = re.findall(r"^\d\. ", book.sections["First five minutes"], re.MULTILINE)
    if len(checks) != 3 or "Always safe" not in book.sections["First five minutes"]:
        yield "First five minutes: needs three checks and one mitigation that is always safe"
    if "sse-sidecar evidence" not in book.sections["Escalate"]:
        yield "Escalate: does not name the command that bundles the evidence"


def _variables(book: Runbook) -> Iterator[str]:
    """Check that whatever is used was set before, and the reverse."""
    lines = book.preamble.splitlines()
    yield from (
        f"preamble: {line!r} has no default, or no reason"
        for line in lines
        if not _assignment.fullmatch(line)
    )
    known = defaults(book)
    used = {name for command in book.commands for name in re.findall(r"\$\{?([A-Z_]+)", command)}
    used |= {"SSE_SIDECAR_ADMIN_TOKEN"} & set(known)  # `sse-sidecar` reads it from the environment
    assigned = {
        name for command in book.commands for name in re.findall(r"^([A-Z_]+)=", command, re.MULTILINE)
    }
    yield from (f"${name} is used, but never set" for name in sorted(used - set(known) - assigned))
    yield from (f"${name} is set, but never used" for name in sorted(set(known) - used))


def _commands(book: Runbook) -> Iterator[str]:
    for command in (book.preamble, *book.commands):
        checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
        if checked.returncode:
            yield f"no bash: {checked.stderr.strip()}"
        if "promtool query" in command and not _query.search(command):
            yield f"a query that no test can find: {command!r}"


def _queries(book: Runbook) -> Iterator[str]:
    for query in queries(book):
        try:
            tree = promql_parser.parse(query)
        except ValueError as error:
            yield f"no PromQL: {query!r}: {error}"
            continue
        for selector in _selectors(tree):
            yield from _selector_faults(selector)


def _selectors(tree: promql_parser.Expr) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: object) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(tree, visit)
    return found


def _selector_faults(selector: promql_parser.VectorSelector) -> Iterator[str]:
    name = selector.name or ""
    if name in {rule.record for rule in recordings(SLO)} | OTHERS:
        return
    metric = _metric(name)
    if metric is None:
        yield f"{name}: no metric of the catalogue"
        return
    for matcher in selector.matchers.matchers:
        values = metric.label_values.get(matcher.name)
        if values is None and matcher.name not in FREE_LABELS:
            yield f"{name}: has no label {matcher.name}"
        strays = set(matcher.value.split("|")) - set(values or matcher.value.split("|"))
        yield from (f"{name}: {matcher.name} never is {stray!r}" for stray in sorted(strays))


def _metric(name: str) -> Metric | None:
    return next((m for m in CATALOGUE if name in _sample_names(m)), None)


def _sample_names(metric: Metric) -> set[str]:
    return {metric.name + suffix for suffix in SUFFIXES} if metric.kind == "histogram" else {metric.name}


def _settings(book: Runbook) -> Iterator[str]:
    for way in book.mitigations.values():
        if way.setting is None or "scrape_configs" in way.setting:  # Prometheus', which promtool checks
            continue
        try:
            Settings.model_validate({"upstream": "http://127.0.0.1:8000", **way.setting})
        except ValidationError as error:
            yield f"{way.name}: {error.error_count()} faults in its settings"


def _ways(book: Runbook) -> Iterator[str]:
    ways = book.mitigations
    for question in book.questions:
        way = ways.get(question.mitigation)
        if way is None or question.anchor != f"#{anchor(f'{way.name}: {way.title}')}":
            yield f"{question.name} leads to {question.mitigation} {question.anchor}, which is not there"
    mentioned = {name for text in book.sections.values() for name in re.findall(r"\[(M\d+)\]", text)}
    yield from (f"{name}: nothing leads to it" for name in ways if name not in mentioned)


def _silences(book: Runbook) -> Iterator[str]:
    silences = [command for command in book.commands if "silence add" in command]
    if len(silences) != 1:
        yield f"{len(silences)} commands that silence, not one"
    for command in silences:
        match = re.search(r"--duration=(\d+)(h|m)\b", command)
        if not match or int(match[1]) * {"h": 3600, "m": 60}[match[2]] > SILENCE_S_MAX:
            yield "a silence longer than an hour"
        if f"alertname={book.name}" not in command:
            yield "a silence of another alert"


def _links(book: Runbook) -> Iterator[str]:
    for target in _link.findall(book.text):
        file, _, fragment = target.partition("#")
        page = RUNBOOKS / file if file else None
        if target.startswith(("http://", "https://")):
            continue
        if page is not None and not page.exists():
            yield f"{target}: no such file"
        elif fragment and unquote(fragment) not in anchors(page.read_text() if page else book.text):
            yield f"{target}: no such heading"


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of the headings of a page."""
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def anchor(heading: str) -> str:
    """Return the anchor of one heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _filled(query: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: variables.get(match[1], match[0]), query)


def pages() -> list[Path]:
    """Return the files of runbooks/ that belong to an alert."""
    return sorted(path for path in RUNBOOKS.glob("*.md") if path.stem not in {"README", "TEMPLATE", "errors"})
