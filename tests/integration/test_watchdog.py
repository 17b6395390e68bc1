"""The watchdog says when it last looked, and says so only if it did look."""

import asyncio
import time
from collections.abc import Iterator
from typing import cast

from structlog.testing import capture_logs

from sidecar.server.watchdog import OVERDUE_S, PASS_S, Watchdog
from sidecar.streams.hub import Hub
from sidecar.streams.stream import Stream
from tests.kit.fake_upstream import FakeUpstream
from tests.kit.running import RunningSidecar, running

NOBODY = "http://127.0.0.1:1"
LAST_PASS = "sse_watchdog_last_pass_timestamp_seconds"
LAG = "sse_event_loop_lag_seconds"
BLOCKED_S = 1.6
IDLE_S = 30.0


class BrokenHub:
    """A hub that cannot be looked at, until it can."""

    def __init__(self) -> None:
        self.broken = True

    @property
    def streams(self) -> dict[str, Stream]:
        if self.broken:
            raise RuntimeError("nobody can look")
        return {}


def last_pass(sc: RunningSidecar) -> float:
    return sc.metric(LAST_PASS)


async def passes_over(sc: RunningSidecar) -> None:
    """Wait longer than two passes take."""
    end = asyncio.get_running_loop().time() + 2.5 * PASS_S
    await sc.until(lambda: asyncio.get_running_loop().time() > end)


async def test_the_timestamp_is_the_time_of_day_and_goes_on() -> None:
    async with running(NOBODY) as sc:
        first = last_pass(sc)
        assert abs(first - time.time()) < 2 * PASS_S
        await sc.until(lambda: last_pass(sc) > first, 3 * PASS_S)
        assert abs(last_pass(sc) - time.time()) < 2 * PASS_S


async def test_a_stopped_watchdogs_timestamp_stands_still() -> None:
    async with running(NOBODY) as sc:
        stop_the_sidecars_own(sc)
        stood = last_pass(sc)
        assert stood > 0
        await passes_over(sc)
        assert last_pass(sc) == stood


def stop_the_sidecars_own(sc: RunningSidecar) -> None:
    """Cancel the task, as a defect would end it."""
    (task,) = (task for task in asyncio.all_tasks() if "Watchdog._run" in repr(task.get_coro()))
    task.cancel()


async def test_a_watchdog_that_cannot_look_does_not_say_it_did_and_looks_again() -> None:
    hub = BrokenHub()
    with capture_logs() as lines:
        async with running(NOBODY) as sc:
            stop_the_sidecars_own(sc)
            stood = last_pass(sc)
            async with Watchdog(sc.parts.metrics, cast("Hub", hub)):
                await passes_over(sc)
                assert last_pass(sc) == stood
                hub.broken = False
                await sc.until(lambda: last_pass(sc) > stood, 3 * PASS_S)
    assert {line["where"] for line in lines if line["event"] == "task failed"} == {"watchdog"}


async def test_it_looks_at_every_stream_and_counts_each_that_hangs_unnoticed_once() -> None:
    route = {"upstream_idle_s": IDLE_S, "stall_s": 0, "linger_s": 60}
    async with FakeUpstream() as up, running(up.url, route) as sc:
        for _ in range(3):
            hand = up.by_hand()
            async with sc.client.open() as response:
                await (await hand.connection()).write(b"data: 1\n\n")
                await response.take(1)
        watchdog = Watchdog(sc.parts.metrics, sc.parts.hub)
        now = asyncio.get_running_loop().time()
        assert watchdog._look(now + IDLE_S + OVERDUE_S - 1, set()) == set()
        hung = watchdog._look(now + IDLE_S + OVERDUE_S + 10, set())
        assert hung == set(sc.parts.hub.streams)
        assert watchdog._look(now + IDLE_S + OVERDUE_S + 11, hung) == hung
        assert leaked(sc) == 3
        assert all(
            len([n for n in notes(s) if n.startswith("hung: ")]) == 1 for s in sc.parts.hub.streams.values()
        )


def leaked(sc: RunningSidecar) -> float:
    return sc.metric("sse_silent_failures_total", kind="hung", disposition="leaked")


def notes(stream: Stream) -> Iterator[str]:
    return (what for _, what in stream.timeline)


async def test_a_loop_that_was_blocked_shows_as_lag() -> None:
    async with running(NOBODY) as sc:
        calm = sc.metric(f"{LAG}_bucket", le="+Inf") - sc.metric(f"{LAG}_bucket", le="0.5")
        time.sleep(BLOCKED_S)  # noqa: ASYNC251 - blocking the loop is what is tested
        await sc.until(
            lambda: sc.metric(f"{LAG}_bucket", le="+Inf") - sc.metric(f"{LAG}_bucket", le="0.5") > calm,
            3 * PASS_S,
        )
        assert sc.metric(f"{LAG}_sum") >= BLOCKED_S - PASS_S
