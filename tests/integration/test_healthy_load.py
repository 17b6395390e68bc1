"""Ordinary users leave, cancel, lose the network and come back: that is no reason to wake anybody.

HEALTHY_LOAD_S=<seconds> sets how long they are watched. CI takes ten minutes, beside the other tests; by
default it is less than one, since the whole time would be too long for who waits for the result.
"""

import asyncio
import os
import random
from pathlib import Path

import pytest

from alerts import rules
from compose.stack import Stack, stack
from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability.slo import SLO
from tests.kit.prometheus import Prometheus, needs_prometheus, prometheus

HEALTHY_LOAD_S = float(os.environ.get("HEALTHY_LOAD_S", "40"))
SPEED = 10.0
"""Six hours become 36 minutes: within CI's ten, all windows of the real rules but the longest are filled."""

STARTED_PER_S_MIN = 1.0


async def fired(prom: Prometheus) -> list[dict[str, str]]:
    """Return the labels of every alert that fired while the load ran."""
    window = f"{int(HEALTHY_LOAD_S)}s"
    samples = await prom.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{window}])')
    return [sample.labels for sample in samples]


async def endings(prom: Prometheus) -> dict[str, int]:
    """Return how many streams of users ended in each way, by route and outcome."""
    samples = await prom.query(f'sse_streams_finished_total{{route!="{CANARY_ROUTE}"}} > 0')
    return {f"{each.labels['route']} {each.labels['outcome']}": int(each.value) for each in samples}


async def check(s: Stack, real: Prometheus, fast: Prometheus) -> dict[str, int]:
    seen = await endings(real)
    assert await fired(real) == [], seen
    assert await fired(fast) == [], seen
    assert [*s.sink.notifications] == []
    for prom in (real, fast):
        await prom.assert_rules_work()
    return seen


@pytest.mark.prometheus
@pytest.mark.slow
@pytest.mark.timeout(HEALTHY_LOAD_S + 120)
@needs_prometheus
async def test_no_alert_fires_while_ordinary_users_come_and_go(tmp_path: Path) -> None:
    seed = int(os.environ.get("USERS_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    try:
        async with (
            stack(SPEED, seed=seed) as s,
            prometheus(tmp_path, [s.admin.removeprefix("http://")], rules.render(SLO)) as real,
        ):
            await asyncio.sleep(HEALTHY_LOAD_S)
            seen = await check(s, real, Prometheus(s.prometheus, 1))
            assert {"chat completed", "chat client_cancelled", "openai completed"} <= set(seen)
            assert sum(seen.values()) > HEALTHY_LOAD_S * STARTED_PER_S_MIN
            assert await real.value('sum(sse_reconnect_duration_seconds_count{outcome="resumed"})') > 0
            assert all(s.users.did[habit] for habit in ("reads", "loses_the_network", "cancels", "leaves"))
            assert not s.users.did["refused"]
            print(seen)  # noqa: T201 - how far from an alert it was, for who runs it with -s
    except BaseException as error:
        error.add_note(f"again with USERS_SEED={seed}")
        raise
