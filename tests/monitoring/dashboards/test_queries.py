"""What the dashboards ask exists, and is asked the way Grafana's linter wants it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dashboards import rendered
from dashboards.asked import Asked, queries_of
from dashboards.frame import encode
from dashboards.lint import lint
from tests.kit.catalogued import unknown

BOARDS = {str(board.uid): encode(board) for board in rendered.boards()}
ASKED = [asked for text in BOARDS.values() for asked in queries_of(text, "1m")]

Json = dict[str, Any]


def overview() -> Json:
    found: Json = json.loads(BOARDS["sse-overview"])
    return found


@pytest.mark.parametrize("uid", BOARDS)
def test_grafanas_linter_finds_nothing(uid: str) -> None:
    assert lint(json.loads(BOARDS[uid])) == []


def panel(board: Json, title: str = "Do streams complete?") -> Json:
    (found,) = (panel for panel in board["panels"] if panel["title"] == title)
    assert isinstance(found, dict)
    return found


def variable(board: Json, name: str) -> Json:
    (found,) = (v for v in board["templating"]["list"] if v["name"] == name)
    assert isinstance(found, dict)
    return found


def asks(expression: str) -> Callable[[Json], None]:
    def change(board: Json) -> None:
        panel(board)["targets"][0]["expr"] = expression

    return change


MATCHED = 'job=~"$job", instance=~"$instance"'
WRONG: dict[str, list[Callable[[Json], None]]] = {
    "template-datasource-rule": [lambda b: variable(b, "datasource").update(label="Source")],
    "template-job-rule": [lambda b: variable(b, "job").update(allValue=".*")],
    "template-instance-rule": [
        lambda b: variable(b, "instance").update(multi=False),
        lambda b: variable(b, "instance")["datasource"].update(uid="mine"),
    ],
    "template-label-promql-rule": [lambda b: variable(b, "route").update(query="label_values(a{, b)")],
    "template-on-time-change-reload-rule": [lambda b: variable(b, "route").update(refresh=1)],
    "uneditable-dashboard": [lambda b: b.update(editable=True)],
    "panel-datasource-rule": [lambda b: panel(b)["datasource"].update(uid="mine")],
    "panel-title-description-rule": [lambda b: panel(b).update(description="")],
    "panel-units-rule": [lambda b: panel(b)["fieldConfig"]["defaults"].update(unit="streams")],
    "panel-no-targets-rule": [lambda b: panel(b).update(targets=[])],
    "target-promql-rule": [asks("sum(")],
    "target-rate-interval-rule": [asks(f"rate(up{{{MATCHED}}}[5m])")],
    "target-job-rule": [asks('up{instance=~"$instance"}'), asks('up{job="$job", instance=~"$instance"}')],
    "target-instance-rule": [asks('up{job=~"$job"}'), asks('max(up{job=~"$job", instance=~"a|$instance"})')],
    "target-counter-agg-rule": [
        asks(f"sum(a_total{{{MATCHED}}})"),
        asks(f"max_over_time(a_total{{{MATCHED}}}[1h])"),
    ],
}


@pytest.mark.parametrize("rule", WRONG)
def test_the_linter_finds_what_breaks_a_rule(rule: str) -> None:
    for change in WRONG[rule]:
        board = overview()
        change(board)
        assert [name for name, _ in lint(board)] == [rule]


def test_the_linter_lets_a_rate_over_the_rate_interval_pass() -> None:
    board = overview()
    asks(f"rate(a_total{{{MATCHED}}}[$__rate_interval]) / increase(a_total{{{MATCHED}}}[1d])")(board)
    assert lint(board) == []


def id_of(asked: Asked) -> str:
    return f"{asked.board} {asked.where} {asked.ref_id}"


@pytest.mark.parametrize("asked", ASKED, ids=id_of)
def test_everything_asked_for_is_exported_with_the_labels_asked_for(asked: Asked) -> None:
    assert unknown(asked.expr) == []


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("sum(sse_streams_ended_total)", ["sse_streams_ended_total"]),
        ('sse_subscribers{kind="x"}', ["sse_subscribers{kind}"]),
        ("sum by (route) (sse_resumes_total)", ["sse_resumes_total{route}"]),
        ("sum by (le) (sse_stall_detection_seconds_sum)", ["sse_stall_detection_seconds_sum{le}"]),
        ("sse_build_info / on (route) sse_build_info", ["sse_build_info{route}"] * 2),
        ("histogram_quantile(0.5, sum by (le, route) (rate(sse_message_gap_seconds_bucket[5m])))", []),
    ],
)
def test_a_renamed_metric_and_a_dropped_label_are_noticed(expression: str, found: list[str]) -> None:
    assert unknown(expression) == found


def test_all_that_grafana_asks_is_listed_with_its_variables_replaced() -> None:
    assert {asked.where for asked in ASKED} >= {"$job", "$instance", "$route", "Firing alerts", "Restarts"}
    for asked in ASKED:
        assert "$" not in asked.expr
    (one,) = (asked for asked in ASKED if asked.where == "How much is silence?")
    assert one.expr == (
        'sum(rate(sse_heartbeats_total{job=~".+", instance=~".+", route=~".+", route!="__canary__"}[1m]))'
    )
    assert (one.board, one.kind, one.ref_id) == ("sse-resources", "range", "A")


def test_a_choice_of_the_reader_is_put_into_the_queries() -> None:
    (route,) = (
        asked
        for asked in queries_of(BOARDS["sse-resources"], "1m", {"instance": "a:1", "route": "chat"})
        if asked.where == "How much is silence?"
    )
    assert 'instance=~"a:1", route=~"chat"' in route.expr
