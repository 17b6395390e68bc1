"""Seeded runs of the Python client through a network that is cut at random, in every family's protocol."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.client import EventSource, Recovery, State
from sidecar.demo.words import tokens
from sidecar.faultnet.network import FaultyNetwork
from tests.kit.deadline import within
from tests.kit.demo_backend import QUESTIONS, demo_backend
from tests.kit.running import RunningSidecar, running

TOKENS = 60
CUTS = 5
LONG_S = 50.0


@asynccontextmanager
async def demo() -> AsyncIterator[RunningSidecar]:
    async with demo_backend() as backend, running(f"http://127.0.0.1:{backend.port}") as sc:
        yield sc


class DemoRun:
    """One reader behind a network of its own, which is cut at messages that ``chance`` chooses."""

    def __init__(self, path: str, chance: random.Random) -> None:
        self.body = QUESTIONS[path]
        self.target = f"{path}?n={TOKENS}&interval_ms=10&seed=s{chance.random()}"
        self.cuts = set(chance.sample(range(2, TOKENS), CUTS))
        self.seen: list[tuple[str, str]] = []
        self.recovered: list[Recovery] = []
        self.stream = ""

    async def read(self, sc: RunningSidecar) -> None:
        async with FaultyNetwork("127.0.0.1", sc.port) as network:
            events = EventSource(
                f"http://127.0.0.1:{network.port}{self.target}",
                method="POST" if self.body else "GET",
                body=self.body,
                headers={"Content-Type": "application/json"} if self.body else None,
                on_state=lambda state, _: events.retry_now() if state is State.RECONNECTING else None,
                on_recovered=self.recovered.append,
            )
            async with events:
                async for event in events:
                    self.seen.append((event.type, event.data))
                    if len(self.seen) in self.cuts:
                        network.cut()
                assert (events.state, events.duplicates, events.gaps) == (State.COMPLETED, 0, ())
            self.stream = events.stream

    async def again(self, sc: RunningSidecar) -> list[tuple[str, str]]:
        """Read the same stream from its start, undisturbed."""
        async with EventSource(f"http://127.0.0.1:{sc.port}/", join=self.stream) as events:
            return [(event.type, event.data) async for event in events]


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_whatever_is_cut_every_reader_sees_the_whole_answer_once() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    runs = [DemoRun(path, chance) for path in QUESTIONS for _ in range(4)]
    async with demo() as sc, within(LONG_S, lambda: f"seed {seed}: not all were read"):
        await asyncio.gather(*(run.read(sc) for run in runs))
        for run in runs:
            assert run.seen == await run.again(sc)
        assert sum(len(run.recovered) for run in runs) >= 1
        await sc.until(lambda: sc.metric("sse_client_reports_total", verdict="agree") >= 2 * len(runs))
        for verdict in ("lost", "duplicated", "unfinished", "rejected"):
            assert sc.metric("sse_client_reports_total", verdict=verdict) == 0
        assert sc.metric("sse_messages_lost_total") == 0


async def test_the_text_is_the_backend_s() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    run = DemoRun("/api/chat", random.Random(seed))
    async with demo() as sc:
        await run.read(sc)
    said = [json.loads(data)["text"] for kind, data in run.seen if kind == "message"]
    assert said == list(tokens(run.target.partition("seed=")[2], TOKENS))
