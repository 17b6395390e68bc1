"""A run of the whole stack with an incident in it, and what Prometheus answers to every panel afterwards."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from compose.stack import stack
from dashboards.asked import Asked, queries_of
from dashboards.frame import encode
from dashboards.rendered import boards
from sidecar.verify.prometheus_api import PrometheusApi

SPEED = 15.0
"""Of the rules: alerts fire within the run. At this speed Prometheus scrapes once a second."""

STEP_S = 4.0
RATE_INTERVAL = "20s"
USERS = 16
SEED = 7

STORY: tuple[tuple[float, str], ...] = (
    (0.25, ""),
    (0.03, "slow_reconnect"),
    (0.2, ""),
    (0.012, "stall"),
    (0.15, ""),
    (0.008, "repeat"),
    (0.15, ""),
    (0.012, "vanish"),
    (0.108, ""),
    (0.015, "reset"),
    (0.065, ""),
)
"""What share of the run goes well, or with which of the stack's faults."""

Json = dict[str, Any]


async def record(run_s: float, say: Callable[[str], None]) -> Json:
    """Run the stack for ``run_s`` seconds; return the dashboards with all answers, as JSON."""
    async with stack(SPEED, users=USERS, seed=SEED) as s:
        started = time.time()
        for share, fault in STORY:
            say(f"{fault or 'healthy'} for {share * run_s:.0f} s")
            await (s.inject(fault) if fault else s.clear())
            await asyncio.sleep(share * run_s)
        ended = time.time()
        return await _answers(s.prometheus, started, ended)


async def _answers(prometheus: PrometheusApi, started: float, ended: float) -> Json:
    texts = [encode(board) for board in boards()]
    asked = [each for text in texts for each in queries_of(text, RATE_INTERVAL)]
    found: Json = {}
    exemplars: Json = {}
    for each in asked:
        if each.panel:
            key = f"{each.panel}/{each.ref_id}"
            found[key] = await _answer(prometheus, each, started, ended)
            if each.exemplars:
                exemplars[key] = await prometheus.exemplars(each.expr, started, ended)
    return {
        "boards": texts,
        "answers": found,
        "exemplars": exemplars,
        "annotations": {
            each.where: await _answer(prometheus, each, started, ended)
            for each in asked
            if each.kind == "range" and not each.panel
        },
        "from": started,
        "to": ended,
    }


async def _answer(prometheus: PrometheusApi, each: Asked, started: float, ended: float) -> list[Json]:
    """Return the series of an answer, each with its labels and points."""
    if each.kind == "instant":
        data = await prometheus.get("query", query=each.expr, time=str(ended))
        if data["resultType"] == "scalar":
            return [{"metric": {}, "values": [data["result"]]}]
        return [{"metric": one["metric"], "values": [one["value"]]} for one in data["result"]]
    times = {"start": str(started), "end": str(ended), "step": str(STEP_S)}
    data = await prometheus.get("query_range", query=each.expr, **times)
    series: list[Json] = data["result"]
    return series
