"""The runbooks are what the alerts point at: one for each, whole, and asking only for what there is."""

import re
from pathlib import Path

import pytest

from alerts.rules import alert_names
from tests.kit.runbook import RUNBOOKS, Runbook
from tests.kit.runbook_faults import anchors, defaults, faults, pages, queries

ALERTS = alert_names()
OTHER_PAGES = {"README.md", "TEMPLATE.md", "errors.md"}


def _other_page(name: str) -> str:
    return (RUNBOOKS / name).read_text()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(path.stem for path in pages()) == sorted(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_is_whole_and_asks_only_for_what_there_is(alert: str) -> None:
    assert faults(Runbook.read(alert)) == []


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_asks_prometheus(alert: str) -> None:
    assert len(queries(Runbook.read(alert))) >= 3


def test_the_same_variable_means_the_same_everywhere() -> None:
    lines: dict[str, set[str]] = {}
    for alert in ALERTS:
        for line in Runbook.read(alert).preamble.splitlines():
            lines.setdefault(line.split("=")[0], set()).add(re.sub(r" +#", " #", line))
    assert {name: variants for name, variants in lines.items() if len(variants) > 1} == {}


def test_the_index_names_every_page() -> None:
    index = _other_page("README.md")
    assert [
        path.name for path in RUNBOOKS.glob("*.md") if path.name != "README.md" and path.name not in index
    ] == []


def test_the_links_of_the_other_pages_resolve() -> None:
    broken = [
        f"{page}: {target}"
        for page in sorted(OTHER_PAGES)
        for target in re.findall(r"\]\(([^)\s]+)\)", _other_page(page))
        if not _resolves(RUNBOOKS / page, target)
    ]
    assert broken == []


def _resolves(page: Path, target: str) -> bool:
    if target.startswith(("http://", "https://")):
        return True
    file, _, fragment = target.partition("#")
    found = page.parent / file if file else page
    return found.exists() and (not fragment or fragment in anchors(found.read_text()))


def test_the_template_has_the_form_that_it_asks_for() -> None:
    template = Runbook("TEMPLATE", _other_page("TEMPLATE.md"))
    real = Runbook.read("SSESidecarDown")
    assert list(template.sections) == list(real.sections)
    assert list(template.front) == list(real.front)
    assert [question.name for question in template.questions] == ["D1", "D2"]
    assert list(template.mitigations) == ["M1", "M2"]
    assert set(defaults(template)) >= {"ADMIN", "PROM", "ALERTMANAGER"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("alert: SSESidecarDown", "alert: SSESidecarUp", "front matter: alert is 'SSESidecarUp'"),
        ("severity: critical", "severity: warning", "front matter: severity is 'warning'"),
        ("dashboard: sse-overview", "dashboard: sse-other", "front matter: dashboard is 'sse-other'"),
        (
            "owner: chat platform on-call\n",
            "",
            "front matter: has ['alert', 'severity', 'dashboard', 'drilled']",
        ),
        ("## Impact\n", "## Consequences\n", "sections: ('Summary', 'Consequences',"),
        ("2. Do users get", "Do users get", "First five minutes: needs three checks"),
        ("sse-sidecar evidence", "sse-sidecar tar", "Escalate: does not name the command"),
        ('"$ADMIN/livez"', '"$ADMINISTRATOR/livez"', "$ADMINISTRATOR is used, but never set"),
        ("absent(up{job='$JOB'})", "absent(up{job='$JOB'}", "no PromQL: \"absent(up{job='sse-sidecar'}\""),
        ("min(up{", "min(sse_up{", "sse_up: no metric of the catalogue"),
        ("--duration=1h", "--duration=2h", "a silence longer than an hour"),
        ("](#m1-start-it-again)", "](#m1-start-it)", "D1 leads to M1 #m1-start-it, which is not there"),
        ("2>&1 | grep -o 'curl: (7).*' || true", "2>&1 | ( grep", "no bash: bash: -c:"),
        (
            "**Risk**: none for users",
            "none for users",
            "SSESidecarDown: M3 has ['When', 'Do', 'See', 'Undo']",
        ),
        ("**D2**", "**D9**", "SSESidecarDown: the table asks ['D1', 'D2',"),
    ],
)
def test_a_fault_in_a_runbook_is_found(old: str, new: str, said: str) -> None:
    text = Runbook.read("SSESidecarDown").text
    assert old in text
    found = faults(Runbook("SSESidecarDown", text.replace(old, new)))
    assert [fault for fault in found if fault.startswith(said)], found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "outcome='upstream_error'",
            "outcome='upstream_failed'",
            "sse_streams_finished_total: outcome never is",
        ),
        (
            "outcome='upstream_error'",
            "result='upstream_error'",
            "sse_streams_finished_total: has no label result",
        ),
        (
            "sse_streams_finished_total{job",
            "sse_streams_ended_total{job",
            "sse_streams_ended_total: no metric",
        ),
        ("complete_on: auto", "complete: auto", "M2: 1 faults in its settings"),
        ("(SSESilentFailure.md)", "(SSESilent.md)", "SSESilent.md: no such file"),
        ("(errors.md)", "(errors.md#nothing)", "errors.md#nothing: no such heading"),
        ("drilled:", "drilled: never\nx:", "front matter: has"),
    ],
)
def test_a_question_about_what_is_not_there_is_found(old: str, new: str, said: str) -> None:
    text = Runbook.read("SSECompletionBudgetBurn").text
    assert old in text
    found = faults(Runbook("SSECompletionBudgetBurn", text.replace(old, new)))
    assert [fault for fault in found if fault.startswith(said)], found


def test_a_runbook_that_was_never_drilled_is_found() -> None:
    text = re.sub(
        r"^drilled:.*?^---",
        "drilled: never\n---",
        Runbook.read(ALERTS[0]).text,
        flags=re.MULTILINE | re.DOTALL,
    )
    assert faults(Runbook(ALERTS[0], text)) == [
        "front matter: never drilled; run `python -m tests.monitoring.drills --stamp`"
    ]


def test_a_runbook_of_no_alert_is_found() -> None:
    assert (
        faults(Runbook("SSENothing", Runbook.read(ALERTS[0]).text))[0] == "SSENothing: there is no such alert"
    )
