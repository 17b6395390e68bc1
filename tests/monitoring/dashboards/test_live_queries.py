"""Every query of every dashboard and rule, asked of a real Prometheus that scrapes live sidecars under load.

USERS_SEED=<seed> sets who does what; a failure names the seed.
"""

import os
import time
from collections.abc import Iterator
from math import isnan
from pathlib import Path

import pytest

from alerts.rules import alert_names, expressions
from dashboards.asked import Asked, queries_of
from dashboards.frame import encode
from dashboards.promql import selectors
from dashboards.rendered import boards
from sidecar.verify.prometheus_api import QueryFailed
from tests.kit.lively import RATE_INTERVAL, SCRAPE_S, lively, seed_of
from tests.kit.prometheus import Prometheus, needs_prometheus

EVALUATED_S = 20.0
"""Some evaluations of the rules, on a busy machine."""

STREAM_ID = 16


def asked() -> list[Asked]:
    return [each for board in boards() for each in queries_of(encode(board), RATE_INTERVAL)]


async def values(prom: Prometheus, each: Asked, since: float) -> list[float]:
    """Everything that a query is answered; the label values that a variable gets count as numbers."""
    if each.kind == "label values":
        return [1.0 for _ in await prom.api.label_values(each.label, each.expr)]
    if each.kind == "instant":
        return [sample.value for sample in await prom.query(each.expr)]
    series = await prom.api.query_range(each.expr, since, time.time(), SCRAPE_S)
    return [value for one in series for _, value in one.points]


def what_is_wrong(answer: list[float]) -> str:
    if not answer:
        return "no answer"
    return "only NaN" if all(map(isnan, answer)) else ""


async def unanswered(prom: Prometheus, queries: list[Asked], since: float) -> dict[str, str]:
    """The queries that fail, have no answer, or none but NaN; with what is wrong."""
    found = {}
    for each in queries:
        try:
            wrong = what_is_wrong(await values(prom, each, since))
        except QueryFailed as error:
            wrong = str(error)
        if wrong:
            found[f"{each.board}: {each.where} {each.ref_id}: {each.expr}"] = wrong
    return found


def rule_queries() -> Iterator[Asked]:
    """What a healthy system answers of the rules: all recordings, and of the alerts what they look at."""
    for name, expression in expressions().items():
        if name not in alert_names():
            yield Asked("rules", name, "instant", expression)
        for selector, _ in selectors(expression):
            yield Asked("rules", name, "instant", f"{selector.name}{selector.matchers}")


@pytest.mark.slow
@pytest.mark.prometheus
@needs_prometheus
@pytest.mark.timeout(180)
async def test_every_query_of_dashboards_and_rules_has_an_answer(tmp_path: Path) -> None:
    seed = seed_of(os.environ.get("USERS_SEED"))
    try:
        async with lively(tmp_path, seed) as live:
            prom, since = live.prometheus, time.time()
            await live.everything_goes_wrong()
            await prom.until_evaluated(EVALUATED_S)
            await prom.until("job_instance:sse_alerts:firing", EVALUATED_S)
            assert await unanswered(prom, asked(), since) == {}
            assert await unanswered(prom, list(rule_queries()), since) == {}
            for name in alert_names():
                await prom.query(expressions()[name])
            await prom.assert_rules_work()
            dots = await prom.api.exemplars("sse_reconnect_duration_seconds_bucket", since, time.time())
            assert all(len(dot["labels"]["stream_id"]) >= STREAM_ID for dot in dots)
            assert dots
    except BaseException as error:
        error.add_note(f"again with USERS_SEED={seed}")
        raise
