"""Honest clients, cut off, reloaded, stopped: every report agrees, and all that was delivered is confirmed.

A failed run names its seed; REPORTS_SEED=<seed> does that one again, REPORTS_RUNS=<n> says how many to do.
"""

import asyncio
import os
import random
from dataclasses import dataclass
from typing import Literal

import pytest

from tests.kit.client import SSEClient
from tests.kit.fake_upstream import Ending, FakeUpstream, RecordedRequest, Script, sse
from tests.kit.honest import Honest
from tests.kit.relayed import relayed

RUNS = int(os.environ.get("REPORTS_RUNS", "300"))
AT_ONCE_MAX = 8
LONG_S = 60.0
"""A wait inside one run: it shares the event loop with all the others."""

Break = Literal["cut", "leave", "reload from the start", "reload at the position"]
BREAKS: tuple[Break, ...] = ("cut", "cut", "leave", "reload from the start", "reload at the position")


@dataclass
class ReportedRun:
    """One answer, and what happens to who reads it; all of it follows from the seed."""

    seed: int

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        self.events = [b"data: %d of %d\n\n" % (n, self.seed) for n in range(chance.randint(1, 40))]
        self.then: Ending = chance.choice(("end", "end", "fin", "reset"))
        marks = sorted(chance.randint(0, len(self.events)) for _ in range(chance.randint(0, 4)))
        self.breaks = [(mark, chance.choice(BREAKS)) for mark in marks]
        self.stopped = chance.random() < 0.2
        self.gates = [asyncio.Event() for _ in range(len(marks) + 1)]

    @property
    def target(self) -> str:
        return f"/v1/run/{self.seed}"

    def script(self) -> Script:
        """Send up to each mark, and wait there until its break has come."""
        blocks: list[bytes | asyncio.Event] = []
        sent = 0
        for gate, mark in zip(
            self.gates, [*(mark for mark, _ in self.breaks), len(self.events)], strict=True
        ):
            blocks += [*self.events[sent:mark], gate]
            sent = mark
        return sse(*blocks, then="stall" if self.stopped else self.then)


async def live(run: ReportedRun, client: SSEClient) -> int:
    """Read it all, whatever breaks; return how many reports were made."""
    asked = [("Accept", "text/event-stream; sse-events=1")]
    honest: Honest | None = None
    reports = 0
    for (mark, how), gate in zip(run.breaks, run.gates, strict=False):
        position = f"?last_event_id={honest.stream}.{honest.last_seq}" if honest and honest.last_seq else ""
        target = f"/_sse/streams/{honest.stream}{position}" if honest else run.target
        async with client.open("GET", target, asked) as response:
            honest = honest or Honest(client, response.header("SSE-Stream") or "")
            await response.take(mark - honest.last_seq, LONG_S)
            await (response.leave() if how == "leave" else response.cut())
            honest.take(response)
        honest.reconnects.append(0.5)
        reloads = how.startswith("reload")
        await honest.report("pagehide" if reloads else "recovery", "open")
        if reloads:
            reports += honest.reports
            honest = Honest(client, honest.stream, honest.last_seq if how.endswith("position") else 0)
        gate.set()
    return reports + await read_to_end(run, client, asked, honest)


async def read_to_end(
    run: ReportedRun, client: SSEClient, asked: list[tuple[str, str]], honest: Honest | None
) -> int:
    """Read what is left, over a last connection, and report the end."""
    position = f"?last_event_id={honest.stream}.{honest.last_seq}" if honest and honest.last_seq else ""
    target = f"/_sse/streams/{honest.stream}{position}" if honest else run.target
    async with client.open("GET", target, asked) as response:
        honest = honest or Honest(client, response.header("SSE-Stream") or "")
        if run.stopped:
            await client.fetch("DELETE", f"/_sse/streams/{honest.stream}", within_s=LONG_S)
        run.gates[-1].set()
        await response.read_to_end(LONG_S)
        honest.take(response)
    state = "closed" if run.stopped else "failed" if honest.failed else "completed"
    assert response.ended == ("clean" if state == "completed" else "aborted")
    await honest.report("end", state)
    return honest.reports


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_of_honest_clients_every_report_agrees_and_confirms_all_that_was_delivered() -> None:
    base = int(os.environ.get("REPORTS_SEED", "0"))
    seeds = [base] if base else random.SystemRandom().sample(range(1, 10**9), RUNS)
    limit = asyncio.Semaphore(AT_ONCE_MAX)
    async with relayed({"heartbeat_s": 0}) as (up, sc):
        runs = _answered(up, seeds)

        async def one(run: ReportedRun) -> int:
            async with limit:
                try:
                    return await live(run, sc.client)
                except Exception as error:
                    error.add_note(f"again with REPORTS_SEED={run.seed}")
                    raise

        reports = await asyncio.gather(*(one(run) for run in runs.values()))
        verdicts = {
            sample.labels["verdict"]: sample.value
            for sample in sc.scrape().samples
            if sample.name == "sse_client_reports_total" and sample.value
        }
        assert verdicts == {"agree": sum(reports)}, f"seeds {seeds}"
        confirmed, acknowledged, delivered = sc.proof()
        assert delivered > 0
        assert (confirmed / delivered, acknowledged / delivered) == (1.0, 1.0), f"seeds {seeds}"
        assert sc.metric("sse_client_missed_messages_total") == 0
        assert sc.metric("sse_messages_duplicated_total") == 0


def _answered(up: FakeUpstream, seeds: list[int]) -> dict[str, ReportedRun]:
    runs = {run.target: run for run in map(ReportedRun, seeds)}

    def route(request: RecordedRequest) -> Script:
        return runs[request.target].script()

    up.route(route)
    return runs
