"""300 streams in Chromium under faults, reloads and cancels.

The seed is printed; ``SSE_RUNS_SEED=<seed>`` plays the same plans again, ``SSE_RUNS=<number>`` so many.
"""

import asyncio
import os
import random
import time
from collections import Counter

import pytest

from sidecar.demo.words import tokens
from sidecar.observability.labels import ReportVerdict
from tests.kit.chromium import needs_chromium
from tests.kit.runs import MISFORTUNES, DevicePlan, DeviceRun, Field, field_of_runs

pytestmark = [pytest.mark.browser, needs_chromium]

RUNS = int(os.environ.get("SSE_RUNS", "300"))
AT_ONCE = 30
OTHER_VERDICTS = set(ReportVerdict) - {ReportVerdict.AGREE}


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_page_shows_every_stream_and_its_end() -> None:
    seed = int(os.environ.get("SSE_RUNS_SEED", random.randrange(10**6)))
    print(f"SSE_RUNS_SEED={seed}")  # noqa: T201 - shown when it fails
    async with field_of_runs() as field:
        began = time.monotonic()
        runs = await _all(field, [DevicePlan.of(seed, number) for number in range(RUNS)])
        print(f"{RUNS} runs in {time.monotonic() - began:.1f} s")  # noqa: T201 - shown when it fails
        wrong = [fault for run in runs for fault in _faults(field, run)]
        assert not wrong, f"SSE_RUNS_SEED={seed}: {wrong[:5]}"
        hit = Counter(kind for run in runs for kind in run.hit)
        print(dict(hit), Counter(result["kind"] for run in runs for result in run.results))  # noqa: T201 - shown when it fails
        assert set(hit) == set(MISFORTUNES[:RUNS])
        await _until_all_is_confirmed(field, {run.stream for run in runs if "cancel" in run.hit})
        assert [verdict for verdict in OTHER_VERDICTS if _reports(field, verdict)] == []
        assert _reports(field, ReportVerdict.AGREE) >= sum(len(run.results) for run in runs)


def _reports(field: Field, verdict: ReportVerdict) -> float:
    return field.sc.metric("sse_client_reports_total", verdict=verdict)


async def _until_all_is_confirmed(field: Field, stopped: set[str]) -> None:
    """Wait until the reports confirm every delivered message.

    A client that cancels waits two seconds for the remaining events, not for a lost network.
    """
    try:
        await field.sc.until(lambda: not _unconfirmed(field, stopped))
    except AssertionError:
        assert _unconfirmed(field, stopped) == []


def _unconfirmed(field: Field, stopped: set[str]) -> list[str]:
    """Return the streams of which more was delivered than is confirmed."""
    found = []
    for stream in field.sc.parts.hub.streams.values():
        delivered = stream.ledger._without_terminal(stream.ledger.delivered_seq)
        confirmed = stream.ledger.proof.confirmed_seq
        if confirmed < delivered and stream.id not in stopped:
            found.append(f"{stream.handle}: {stream.ending}, {confirmed} of {delivered} confirmed")
    return found


async def _all(field: Field, plans: list[DevicePlan]) -> list[DeviceRun]:
    free = asyncio.Semaphore(AT_ONCE)

    async def one(plan: DevicePlan) -> DeviceRun:
        async with free:
            return await field.run(plan)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(plan)) for plan in plans]
    return [task.result() for task in tasks]


def _faults(field: Field, run: DeviceRun) -> list[str]:
    """Return what is wrong with a run, in words."""
    truth = "".join(tokens(run.plan.seed, run.plan.tokens))
    stopped = "cancel" in run.hit
    found = [] if len(field.generations(run.plan)) == 1 else ["the backend was asked twice"]
    for at, result in enumerate(run.results):
        whole = result["text"] == truth
        may_lack = stopped and result["kind"] != "completed"
        if not (truth.startswith(result["text"]) if may_lack else whole):
            found.append(f"device {at} shows another text: {result['text']!r} for {truth!r}")
        if result["shown"] != list(range(1, len(result["shown"]) + 1)):
            found.append(f"device {at} shows {result['shown']}")
        if not _is_told(result, stopped=stopped, first=at == 0):
            found.append(f"device {at} is told {result['kind']}: {result['said']!r}")
    return [f"{run.plan}: {fault}" for fault in found]


def _is_told(result: dict[str, str], *, stopped: bool, first: bool) -> bool:
    kind, said = result["kind"], result["said"]
    if kind == "completed" or not stopped:
        return (kind, said) == ("completed", "Complete")
    return kind == "closed" and said.startswith("You stopped") if first else "stopped" in said
