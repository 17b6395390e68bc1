"""A sidecar that gets too little: no descriptors for new connections, a fifth of a processor."""

import asyncio
import resource
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil
import pytest

from tests.kit.client import SSEClient
from tests.kit.client_connection import RawConnection
from tests.kit.deadline import within
from tests.kit.fake_upstream import FakeUpstream, plain, sse
from tests.kit.protocols import OPENAI
from tests.kit.served import Served, served

pytestmark = pytest.mark.slow

WAIT_S = 30.0
SPARE_FILES = 16
VISITORS = 60
POLL_S = 0.05
LATE_S = 10.0
"""What a busy machine may add to a promise of time."""


async def test_without_descriptors_only_new_connections_are_shed(
    tmp_path: Path,
) -> None:
    async with FakeUpstream() as up, served(up.url, tmp_path, {"heartbeat_s": 0.2}) as sc:
        up.route(lambda _: plain(200, body=b"fine"))
        hand = up.by_hand()
        async with sc.client.open("POST", "/v1/chat") as live:
            upstream = await hand.connection()
            await upstream.write(OPENAI.first)
            await live.event()
            _allow_files(sc, sc.files + SPARE_FILES)
            visitors = [await RawConnection.connect("127.0.0.1", sc.client.port) for _ in range(VISITORS)]
            await _until(lambda: "connection shed" in _events(sc), "nobody is shed")
            for visitor in visitors[SPARE_FILES:]:
                assert (await visitor.read_to_close(), bool(visitor.closed_with)) == (b"", True)
            assert sc.files < _allowed_files(sc)
            assert (await sc.admin.fetch("GET", "/livez")).status == 200
            before_s, since = _cpu_s(sc), time.monotonic()
            heard = len(live.comments)
            await live.read_until(lambda response: len(response.comments) >= heard + 10, WAIT_S)
            await upstream.write(OPENAI.first)
            await live.event()
            assert (_cpu_s(sc) - before_s) / (time.monotonic() - since) < 0.5
            for visitor in visitors:
                await visitor.leave()
            await _until(lambda: sc.files < _allowed_files(sc) - 4, "it does not give descriptors back")
            assert (await _patiently(sc.client)) == b"fine"
            await upstream.write(OPENAI.terminal)
            await upstream.end()
            await live.read_to_end()
            assert live.ended == "clean"
        await sc.until(lambda now: now.outcomes().get("completed") == 1)
        assert sc.defects == []


def _events(sc: Served) -> list[object]:
    return [line.get("event") for line in sc.lines if isinstance(line, dict)]


async def _patiently(client: SSEClient) -> bytes:
    """Ask until it is answered: who waited in the kernel's queue comes before."""
    async with within(WAIT_S, lambda: "it never serves again"):
        while True:
            with suppress(AssertionError, OSError):
                response = await client.fetch("GET", "/plain")
                if response.status == 200:
                    return response.raw
            await asyncio.sleep(POLL_S)


async def _until(true: object, what: str) -> None:
    assert callable(true)
    async with within(WAIT_S, lambda: what):
        while not true():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(POLL_S)


def _allow_files(sc: Served, count: int) -> None:
    _, most = resource.prlimit(sc.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(sc.process.pid, resource.RLIMIT_NOFILE, (count, most))


def _allowed_files(sc: Served) -> int:
    return resource.prlimit(sc.process.pid, resource.RLIMIT_NOFILE)[0]


def _cpu_s(sc: Served) -> float:
    times = psutil.Process(sc.process.pid).cpu_times()
    return times.user + times.system


async def test_heartbeats_keep_pace_with_a_fifth_of_a_processor(
    tmp_path: Path,
) -> None:
    readers, beat_s = 20, 1.0
    async with FakeUpstream() as up, served(up.url, tmp_path, {"heartbeat_s": beat_s}) as sc:
        up.route(lambda _: sse(OPENAI.first, go_on, *[OPENAI.first] * 50, OPENAI.terminal))
        go_on = asyncio.Event()
        everybody = asyncio.Barrier(readers + 1)

        async def read() -> list[float]:
            async with sc.client.open("POST", "/v1/chat") as response:
                await response.event()
                await everybody.wait()
                beats = []
                for _ in range(5):
                    heard = len(response.comments)
                    await response.read_until(lambda r, n=heard: len(r.comments) > n, WAIT_S)  # type: ignore[misc]
                    beats.append(time.monotonic())
                await everybody.wait()
                go_on.set()
                await response.read_to_end(WAIT_S)
                assert (response.ended, len(response.seen)) == ("clean", 52)
                return beats

        reading = [asyncio.ensure_future(read()) for _ in range(readers)]
        async with within(WAIT_S, lambda: "not all came"):
            await everybody.wait()
        async with _starved(sc):
            await everybody.wait()
            everyones = await asyncio.gather(*reading)
        waits_s = [late - early for beats in everyones for early, late in pairwise(beats)]
        assert median(waits_s) <= 2 * beat_s
        assert max(waits_s) <= 2 * beat_s + LATE_S
        await sc.until(lambda now: now.outcomes() == {"completed": readers}, WAIT_S)
        assert len(up.requests) == readers
        assert sc.defects == []


@asynccontextmanager
async def _starved(sc: Served) -> AsyncIterator[None]:
    """Stop the process for 80 of every 100 ms, as a quota of a fifth of a processor would if it were busy."""

    async def starve() -> None:
        try:
            while True:
                sc.signal(signal.SIGSTOP)
                await asyncio.sleep(0.08)
                sc.signal(signal.SIGCONT)
                await asyncio.sleep(0.02)
        finally:
            sc.signal(signal.SIGCONT)

    starving = asyncio.ensure_future(starve())
    try:
        yield
    finally:
        starving.cancel()
        with suppress(asyncio.CancelledError):
            await starving
