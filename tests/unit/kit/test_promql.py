"""The alerting rules evaluated in Python: quiet where a rule is changed so that it must not fire."""

from collections.abc import Callable

import pytest
import yaml

from alerts.rules import render
from dashboards.promql import selectors
from tests.kit.mutants import alone
from tests.kit.promql import Samples, could_select, expected, firing
from tests.streaming.test_sse_production import SENTENCES

ALERTS = {sentence.alert: sentence for sentence in SENTENCES}


def changed(alert: str, key: str, change: Callable[[str], str]) -> str:
    """Return the rules that an alert needs, with one of their fields changed in each that has it."""
    file = yaml.safe_load(alone(render(), alert))
    for rule in file["groups"][0]["rules"]:
        if key in rule:
            rule[key] = change(rule[key])
    return yaml.safe_dump(file)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_rule_that_asks_for_another_job_does_not_fire(alert: str) -> None:
    sentence = ALERTS[alert]
    other = changed(alert, "expr", lambda expr: expr.replace('job="sse-sidecar"', 'job="other"'))
    assert firing(sentence, alone(render(), alert)) == expected(sentence)
    assert firing(sentence, other) != expected(sentence)


@pytest.mark.parametrize("alert", ["SSECompletionBudgetBurn", "SSEReconnectTooSlow", "SSESidecarDown"])
def test_an_alert_that_waits_longer_does_not_fire_yet(alert: str) -> None:
    assert not any(firing(ALERTS[alert], changed(alert, "for", lambda _: "6h")).values())


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("increase(a[10m])", 20.0),
        ("rate(a[10m]) * 60", 2.0),
        ("a offset 5m", 10.0),
        ("a - on (x) b", 13.0),
        ("max(a or b)", 20.0),
        ("a unless on (x) b", None),
        ("a and on (x) b > 9", None),
        ('absent(c{x="1"})', 1.0),
        ('label_replace(b, "y", "z", "", "")', 7.0),
        ("time()", 600.0),
    ],
)
def test_expressions_have_the_value_that_prometheus_gives(expression: str, value: float | None) -> None:
    samples = Samples({'a{x="1"}': "0+2x20", 'b{x="1"}': "7x20"}, step_s=60)
    found = samples.evaluate(expression, 600)
    if isinstance(found, dict):
        assert list(found.values()) == ([] if value is None else [pytest.approx(value)])
    else:
        assert found == value


def test_a_function_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="round"):
        Samples({"a": "0x5"}, step_s=60).evaluate("round(a)", 300)


@pytest.mark.parametrize(
    ("query", "selects"),
    [
        ('sse_x_total{route="chat"}', True),
        ('sse_x_total{route="chat", job="$job", instance=~"$instance"}', True),
        ('sse_x_total{route=~"$route"}', True),
        ('sse_x_total{route="feed"}', False),
        ('sse_x_total{rout="chat"}', False),
        ('sse_x_total{route!~"ch.*"}', False),
    ],
)
def test_a_selector_takes_a_series_by_its_labels(query: str, *, selects: bool) -> None:
    ((selector, _),) = selectors(query)
    assert could_select(selector, {"route": "chat"}) == selects
