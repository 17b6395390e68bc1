"""Whole runs of verify: the sidecar keeps all six promises, the plain backend cannot, a seed repeats it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.demo.webapi import create_app, running
from sidecar.faultnet.paths import path_to
from sidecar.observability.errors import ResumeExpired
from sidecar.verify.findings import Findings
from sidecar.verify.judge import judge
from sidecar.verify.person import UserRequest
from sidecar.verify.results import Results, ScenarioResult
from sidecar.verify.results_json import from_json, schema, to_json
from sidecar.verify.run import RunPlan, run
from sidecar.verify.scenarios import HANDOFF, LOSS, SLOW, ScenarioPart, Turn
from sidecar.verify.stage import Stage
from sidecar.verify.subject import READINGS, Subject, subject

ROOT = Path(__file__).parents[3]
SEED = 20
EITHER = {("direct", "slow-3g"): "either"}
"""Without a sidecar a machine that is busy enough loses a slow connection, too."""

NEEDS_SIDECAR = ["stall", "packet-loss", "network-handoff", "rapid-reconnects", "user-experience"]


def silence(_: str) -> None:
    """Say nothing."""


def verdicts(results: Results) -> dict[tuple[str, str], str]:
    return {(each.name, one.name): one.verdict for each in results.targets for one in each.scenarios}


def of(results: Results, target: str, name: str) -> ScenarioResult:
    found = next(each for each in results.targets if each.name == target)
    return next(one for one in found.scenarios if one.name == name)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_sidecar_keeps_all_promises_the_plain_backend_does_not_and_a_seed_repeats_it() -> None:
    plan = RunPlan(specs=["direct", "sidecar"], seed=SEED, users=3, quick=True, path="userspace")
    real_if_possible = replace(plan, path="auto")
    first, second, third = await asyncio.gather(
        *(run(each, silence) for each in (plan, plan, real_if_possible))
    )
    for results in (first, second, third):
        reasons = [one.reasons for one in next(t for t in results.targets if t.name == "sidecar").scenarios]
        assert reasons == [[]] * 6
    failed = [name for (target, name), verdict in verdicts(first).items() if verdict == "failed"]
    assert set(NEEDS_SIDECAR) <= set(failed)
    assert verdicts(first) | EITHER == verdicts(second) | EITHER == verdicts(third) | EITHER
    handoff = of(first, "direct", "network-handoff")
    anew = "After the network handoff the backend began the answer anew"
    assert handoff.reasons == [f"{anew}: {handoff.duplicates} messages twice, 6 generations for 3 answers."]
    assert of(first, "direct", "user-experience").silent == 2
    _assert_told(of(first, "sidecar", "user-experience"))
    _assert_recovered(of(first, "sidecar", "network-handoff"))
    assert from_json(to_json(first)) == first


def _assert_told(experience: ScenarioResult) -> None:
    told = {shown.failure: shown for shown in experience.shown}
    assert len(told) == 11
    assert not any(shown.silent for shown in experience.shown)
    assert told["expired position"].sentence == ResumeExpired.message
    assert "trimmed" in told["gap"].sentence


def _assert_recovered(handoff: ScenarioResult) -> None:
    assert (handoff.completed, handoff.upstream_requests, len(handoff.reconnects_s)) == (3, 3, 3)
    assert 0 < max(handoff.recoveries_s) < 5
    assert len(handoff.timeline.bands) == 1
    kinds = {mark.kind for mark in handoff.timeline.marks}
    assert kinds >= {"asked", "answered", "event", "state", "end"}


@contextmanager
def silent_server() -> Iterator[str]:
    """Let the kernel take connections that nobody ever looks at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


async def test_a_server_that_never_answers_has_failed_and_the_reason_is_told() -> None:
    with silent_server() as url:
        plan = RunPlan(specs=[url], seed=1, path="userspace", answer_s=1, scenarios=[SLOW, LOSS])
        results = await run(plan, silence)
    told = [one.reasons for one in results.targets[0].scenarios]
    assert told == [[f"{url} gave no message within 1 s."]] * 2
    assert (results.verdict, results.path) == ("failed", None)


async def test_a_server_that_goes_silent_is_waited_for_as_long_as_the_part_says_and_no_longer() -> None:
    part = ScenarioPart(name="hung", messages=1, bound_s=0.5)
    with silent_server() as url:
        hung = Subject("hung", url, UserRequest(url=url), stall_s=0.25)
        async with path_to(url, "userspace", 1) as path:
            played = await Stage(hung, path, users=2, quick=True, seed=1).play("test", part)
        result = judge(Findings(LOSS, hung, [played], []), 1, 1.0)
    assert result.verdict == "failed"
    assert result.reasons[0].startswith("hung: ")


async def test_an_answer_that_is_over_before_anything_happens_proves_nothing() -> None:
    part = ScenarioPart(name="short", users=1, turns=(Turn(at_s=30, does="cut", what="cut"),))
    async with running(create_app()) as base:
        url = f"{base}/api/chat?n=3&interval_ms=1&seed=1"
        async with subject(url, stall_s=3) as short, path_to(url, "userspace", 1) as path:
            played = await Stage(short, path, users=1, quick=True, seed=1).play("test", part)
            result = judge(Findings(LOSS, short, [played], []), 1, 1.0)
    assert result.verdict == "failed"
    assert "before anything happened to them" in result.reasons[0]


@asynccontextmanager
async def saying(words: Callable[[int], str]) -> AsyncIterator[tuple[int, list[str]]]:
    """Serve at a port whose nth answer, from 0, is one message with ``words(n)``; and the requests' heads."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        message = f"data: {words(len(asked) - 1)}\n\n"
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        writer.write((head + message).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked


@pytest.mark.parametrize("alike", range(1, READINGS))
async def test_answers_that_differ_from_one_time_to_the_next_are_not_judged_by_their_bytes(
    alike: int,
) -> None:
    async with saying(lambda nth: "Sure!" if nth < alike else f"Of course, {nth}!") as (port, _):
        specs = [f"http://127.0.0.1:{port}/"]
        results = await run(
            RunPlan(specs=specs, seed=1, users=1, path="userspace", scenarios=[SLOW]), silence
        )
    result = results.targets[0].scenarios[0]
    assert (result.verdict, result.reasons) == ("passed", [])
    assert "bytes" in result.not_checked[0]


async def test_a_server_that_goes_by_its_name_finds_it_in_what_people_ask_on_a_path() -> None:
    async with saying(lambda _: "") as (port, asked):
        place = f"localhost:{port}"
        plan = RunPlan(specs=[f"http://{place}/"], seed=1, users=1, path="userspace", scenarios=[SLOW])
        results = await run(plan, silence)
    assert (results.verdict, results.targets[0].scenarios[0].reasons) == ("passed", [])
    assert [f"\r\nhost: {place}\r\n" in head for head in asked] == [True] * (READINGS + 1)


@pytest.mark.slow
async def test_a_feed_without_an_end_is_left_after_a_while_and_has_to_have_gone_on() -> None:
    part = ScenarioPart(
        name="feed", users=1, turns=(Turn(at_s=0.5, does="cut", what="cut"),), leave_after_s=4
    )
    async with running(create_app()) as base:
        url = f"{base}/notifications?interval_ms=50"
        async with subject(url, stall_s=3, answer_s=1) as feed, path_to(url, "userspace", 1) as path:
            played = await Stage(feed, path, users=1, quick=True, seed=1).play("test", part)
            result = judge(Findings(HANDOFF, feed, [played], []), 1, 1.0)
    assert feed.feed
    assert (result.verdict, result.completed, len(result.reconnects_s)) == ("passed", 1, 1), result.reasons


def test_the_published_schema_is_that_of_the_results() -> None:
    assert (ROOT / "docs" / "sse_test_results.schema.json").read_text() == schema()
