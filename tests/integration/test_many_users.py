"""Two hundred people for a minute: what the metrics say is what happened, and nothing is left behind.

CROWD_S=<seconds> sets how long, CROWD_SEED=<seed> who does what; a failure names the seed.
"""

import asyncio
import contextlib
import itertools
import os
import random
import signal
from pathlib import Path

import pytest

from tests.kit.behaviours import BEHAVIOURS, LINGER_S, RETAIN_S
from tests.kit.crowd import PATIENCE_S, RoutingBackend, User
from tests.kit.deadline import Overdue
from tests.kit.fake_upstream import FakeUpstream
from tests.kit.open_files import allow_open_files
from tests.kit.scrape import Scrape
from tests.kit.served import Served, served

USERS = 200
CROWD_S = float(os.environ.get("CROWD_S", "60"))
WARM_UP_S, WARM_UP_VISITS_MIN = 12.0, 8
"""Without pauses, so that whatever grows with the load has grown before the baseline is taken."""

PAUSE_S_MAX = 4.0
BACK_S = 60.0
"""How soon memory and descriptors are back where they were (with RSS_RATIO of slack)."""

RSS_RATIO = 1.05
PHASES_MAX = 2
"""A leak grows in each phase; the allocator's high mark, on a busy machine, in the first only."""

CANARY_S = 1.0
FILES_MIN = 4096
HELD = ("sse_streams_active", "sse_streams_detached", "sse_subscribers", "sse_log_bytes", "sse_log_messages")

STREAM_OPTIONS = {"linger_s": LINGER_S, "retain_s": RETAIN_S, "heartbeat_s": 0.5}
ROUTES = [
    {"name": "chat", "path": "/v1/chat", **STREAM_OPTIONS},
    {"name": "feed", "path": "/feed", "methods": ["GET"], **STREAM_OPTIONS},
]


async def visits(user: User, seconds: float, pause_s_max: float, at_least: int) -> None:
    """Do one thing after the other until the time is over and enough is done, and finish the last."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    for number in itertools.count():
        if number >= at_least and loop.time() >= end:
            return
        (behaviour,) = user.chance.choices([*BEHAVIOURS], [*BEHAVIOURS.values()])
        user.crowd.visits[behaviour.__name__] += 1
        try:
            await behaviour(user)
        except BaseException as error:
            error.add_note(f"user {user.number}, who {behaviour.__name__}")
            raise
        await asyncio.sleep(user.chance.uniform(0, pause_s_max))


async def quiet(sc: Served) -> Scrape:
    """Wait until nobody reads, nothing runs and nothing is kept."""
    return await sc.until(lambda now: not any(map(now.of_users.metric, HELD)), PATIENCE_S)


async def crowd_for(users: list[User], seconds: float, pause_s_max: float, at_least: int = 0) -> None:
    async with asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(visits(user, seconds, pause_s_max, at_least))


@pytest.mark.slow
@pytest.mark.timeout(2 * CROWD_S + 400)
async def test_two_hundred_people_are_all_accounted_for_and_leave_nothing_behind(tmp_path: Path) -> None:
    seed = int(os.environ.get("CROWD_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    allow_open_files(FILES_MIN)
    crowd = RoutingBackend()
    try:
        async with (
            FakeUpstream(crowd.route) as up,
            served(up.url, tmp_path, routes=ROUTES, canary_interval_s=CANARY_S) as sc,
        ):
            users = [User(n, sc.client, crowd, random.Random(seed + n)) for n in range(USERS)]
            await crowd_for(users, WARM_UP_S, 0, WARM_UP_VISITS_MIN)
            await quiet(sc)
            for phase in range(1, PHASES_MAX + 1):
                files, rss_bytes = sc.files, sc.rss_bytes
                await crowd_for(users, CROWD_S, PAUSE_S_MAX)
                now = await quiet(sc)
                if await _back(sc, files, rss_bytes, last=phase == PHASES_MAX):
                    break
            assert crowd.residuals(now.of_users) == {}
            confirmed, acknowledged, delivered = now.of_users.proof()
            assert confirmed > 0
            assert acknowledged > delivered / 2
            assert now.metric("sse_canary_mismatches_total") == 0
            for route in ("chat", "feed"):
                assert now.conservation(route=route) == {"streams": 0.0, "messages": 0.0}
            sc.signal(signal.SIGTERM)
            assert await sc.exited() == 0
            assert sc.defects == []
    except BaseException as error:
        error.add_note(f"again with CROWD_SEED={seed}")
        raise


async def _back(sc: Served, files: int, rss_bytes: int, *, last: bool) -> bool:
    """Return whether the process holds as much as before; fail if not, after the ``last`` phase.

    The canary opens files each second, so each least number counts, of whatever moment.
    """
    rss_bytes_max = int(rss_bytes * RSS_RATIO)
    files_least, rss_bytes_least = sc.files, sc.rss_bytes

    def back(_: Scrape) -> bool:
        nonlocal files_least, rss_bytes_least
        files_least, rss_bytes_least = min(files_least, sc.files), min(rss_bytes_least, sc.rss_bytes)
        return files_least <= files and rss_bytes_least <= rss_bytes_max

    with contextlib.suppress(Overdue):
        await sc.until(back, BACK_S)
        return True
    if not last:
        return False
    assert files_least <= files
    assert rss_bytes_least <= rss_bytes_max
    return True
