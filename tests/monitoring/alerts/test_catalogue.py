"""Rules ask only for what exists: metrics and labels of the catalogue, links to pages that are there."""

import re
from pathlib import Path

import pytest
import yaml

import sidecar
from alerts import links, rules
from tests.kit.catalogued import unknown

ROOT = Path(__file__).parents[3]
RUNBOOKS = ROOT / "runbooks"
OF_THE_PROCESS = ("sse_watchdog_last_pass_timestamp_seconds", "sse_canary_mismatches_total")
NAMES_ALERT = re.compile(r"SSE\w+")


@pytest.mark.parametrize("name", rules.expressions())
def test_a_rule_asks_only_for_series_and_labels_that_exist(name: str) -> None:
    assert unknown(rules.expressions()[name]) == []


def test_what_users_cause_is_asked_for_without_the_canary_and_without_other_jobs() -> None:
    asked = [
        found for expr in rules.expressions().values() for found in re.findall(r"\b(sse_\w+){(.*?)}", expr)
    ]
    assert len(asked) > len(rules.expressions())
    for metric, matchers in asked:
        assert matchers.startswith('job="sse-sidecar"')
        assert ('route!="__canary__"' in matchers) == (metric not in OF_THE_PROCESS)


def test_a_metric_that_was_renamed_would_be_noticed() -> None:
    expr = rules.expressions()["SSESilentFailure"].replace("sse_silent_failures_total", "sse_leaks_total")
    assert set(unknown(expr)) == {"sse_leaks_total"}


def test_a_label_that_was_dropped_would_be_noticed() -> None:
    expr = rules.expressions()["SSESilentFailure"].replace("disposition=", "told=")
    assert set(unknown(expr)) == {"sse_silent_failures_total{told}"}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md") if NAMES_ALERT.fullmatch(page.stem)}
    assert pages == set(rules.alert_names())


def test_runbooks_are_those_of_the_running_release() -> None:
    assert links.runbook("SSESidecarDown").endswith(
        f"/blob/v{sidecar.__version__}/runbooks/SSESidecarDown.md"
    )


def test_every_alert_has_all_four_annotations() -> None:
    alerts = [rule for rule in yaml.safe_load(rules.render())["groups"][0]["rules"] if "alert" in rule]
    for alert in alerts:
        assert list(alert["annotations"]) == ["summary", "description", "runbook_url", "dashboard_url"]
        assert alert["annotations"]["runbook_url"] == links.runbook(alert["alert"])


def test_every_alert_leads_to_a_dashboard_that_is_there() -> None:
    there = {page.stem for page in (ROOT / "dashboards" / "generated").glob("*.json")}
    uids = re.findall(rf"{re.escape(links.DASHBOARDS)}/([\w-]+)\?", rules.render())
    assert len(uids) == len(rules.alert_names())
    assert set(uids) <= there
