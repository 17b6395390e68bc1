"""A client cut off at any byte comes back and ends up with every message once, unchanged, and one ending.

A failed run names its seed; CUT_SEED=<seed> does that one again, CUT_RUNS=<n> says how many to do.
"""

import asyncio
import os
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tests.kit.answers import OWN_RETRY_MS_MAX, ScriptedBody, random_answer
from tests.kit.client import Response, SSEClient
from tests.kit.fake_upstream import Ending, FakeUpstream, RecordedRequest, Script, UpstreamConnection, sse
from tests.kit.recorder import Recorder, is_terminal
from tests.kit.relayed import relayed
from tests.kit.served import served

RUNS = int(os.environ.get("CUT_RUNS", "1000"))
AT_ONCE_MAX = 32
LONG_S = 60.0
"""A wait inside one run: it shares the event loop with all the others."""

USERS = 20
STAMP_BYTES = 60
SHOWN_MAX = 5
SIDECARS_RETRY = re.compile(rb"\Aretry: (\d{4,})\n")

Way = Literal["header", "last_event_id", "lastEventId", "join", "join at a position"]
Backend = Literal["waits", "goes on", "has finished"]
"""What the backend does between a cut and the return."""


@dataclass(frozen=True)
class Cut:
    """Where a connection breaks and how the client comes back."""

    at: float
    """As a share of what the backend has sent by then."""

    pieces: int
    """How many pieces the backend sends before it waits for this cut."""

    cleanly: bool
    backend: Backend
    way: Way
    method: str


@dataclass
class CutRun:
    """One answer, one client, and every connection between them; all of it follows from the seed."""

    seed: int
    answer: ScriptedBody
    method: str
    stamped: bool
    then: Ending
    cuts: tuple[Cut, ...]
    gates: list[asyncio.Event] = field(default_factory=list)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[RecordedRequest] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    stream: str = ""
    position: int = 0

    @property
    def target(self) -> str:
        return f"/v1/run/{self.seed}?model=a%2Fb"

    @property
    def user(self) -> str:
        return f"Bearer {self.seed % USERS}"

    @property
    def name(self) -> str:
        return f"CUT_SEED={self.seed}"


def planned(seed: int) -> CutRun:
    chance = random.Random(seed)
    answer = random_answer(chance)
    marks = sorted(chance.randint(0, len(answer.pieces)) for _ in range(chance.randint(1, 4)))
    stamped = chance.random() < 0.9
    run = CutRun(
        seed,
        answer,
        chance.choice(("GET", "POST")),
        stamped,
        chance.choice(("end", "end", "end", "reset", "fin")),
        tuple(_cut(chance, mark, stamped=stamped) for mark in marks),
    )
    run.gates = [asyncio.Event() for _ in run.cuts]
    return run


def _cut(chance: random.Random, pieces: int, *, stamped: bool) -> Cut:
    ways: tuple[Way, ...] = ("header", "last_event_id", "lastEventId", "join", "join at a position")
    return Cut(
        chance.uniform(0, 1.2),
        pieces,
        chance.random() < 0.5,
        chance.choice(("waits", "goes on", "has finished")),
        chance.choice(ways) if stamped else "join at a position",
        chance.choice(("GET", "POST")),
    )


def script_of(run: CutRun) -> Script:
    blocks: list[bytes | asyncio.Event] = []
    sent = 0
    for cut, gate in zip(run.cuts, run.gates, strict=True):
        blocks += [*run.answer.pieces[sent : cut.pieces], gate]
        sent = cut.pieces
    answer = sse(*blocks, *run.answer.pieces[sent:], then=run.then)

    async def script(connection: UpstreamConnection) -> None:
        run.requests.append(connection.request)
        await answer(connection)
        run.finished.set()

    return script


@asynccontextmanager
async def first(run: CutRun, client: SSEClient) -> AsyncIterator[Response]:
    body = b'{"messages": []}' if run.method == "POST" else b""
    async with client.open(run.method, run.target, _fields(run), body, accept=_accept(run)) as response:
        run.stream = response.header("SSE-Stream") or ""
        yield response


@asynccontextmanager
async def again(run: CutRun, cut: Cut, client: SSEClient) -> AsyncIterator[Response]:
    """Come back; what the first connection asked for is of no matter, the position says it all."""
    position = f"{run.stream}.{run.position}"
    join = f"/_sse/streams/{run.stream}"
    target, fields = {
        "header": (run.target, [("Last-Event-ID", position)]),
        "last_event_id": (f"{run.target}&last_event_id={position}", []),
        "lastEventId": (f"/elsewhere?lastEventId={position}", []),
        "join": (join, [("Last-Event-ID", position)] if run.position else []),
        "join at a position": (f"{join}?last_event_id={position}", []),
    }[cut.way]
    method = "GET" if cut.way.startswith("join") else cut.method
    body = b"{}" if method == "POST" else b""
    fields = [*_fields(run), *fields]
    async with client.open(method, target, fields, body, accept=_accept(run)) as response:
        yield response


def _fields(run: CutRun) -> list[tuple[str, str]]:
    return [("Authorization", run.user)]


def _accept(run: CutRun) -> str | None:
    return "text/event-stream" if run.stamped else None


async def live(run: CutRun, client: SSEClient, record: Recorder) -> None:
    """Cut and come back as planned, then read to the end, and ask whether that was all."""
    async with AsyncExitStack() as connections:
        response = await connections.enter_async_context(first(run, client))
        for cut, gate in zip(run.cuts, run.gates, strict=True):
            await _break_off(run, cut, response)
            _note(run, response, record)
            await _meanwhile(run, cut, gate)
            response = await connections.enter_async_context(again(run, cut, client))
            gate.set()
            if response.status == 204:
                break
        for gate in run.gates:
            gate.set()
        await response.read_to_end(LONG_S)
        _note(run, response, record)
        await run.finished.wait()
    record.upstream(run.name, run.requests[0], principal=run.user, whole=run.then == "end")
    for request in run.requests[1:]:
        record.upstream(run.name, request, principal=run.user)
    await _assert_all_of_it(run, client)


async def _break_off(run: CutRun, cut: Cut, response: Response) -> None:
    """Cut at a byte; where the backend waits for the cut, that is at the latest when all it sent is here."""
    sent, here = run.answer.events(cut.pieces), run.position
    likely = sum(len(event.data.encode()) + STAMP_BYTES for event in sent[here:])
    await response.cut_after(
        int(cut.at * likely),
        LONG_S,
        or_when=lambda so_far: here + len(so_far.seen) >= len(sent) or so_far.ended != "open",
        cleanly=cut.cleanly,
    )


async def _meanwhile(run: CutRun, cut: Cut, gate: asyncio.Event) -> None:
    if cut.backend == "goes on":
        gate.set()
    elif cut.backend == "has finished":
        for each in run.gates:
            each.set()
        await run.finished.wait()


def _note(run: CutRun, response: Response, record: Recorder) -> None:
    """Keep what one connection brought, as a client does: whole events only."""
    record.client("client", run.name, response, principal=run.user, after=run.position, stamped=run.stamped)
    run.parts.append(_whole_events(response.raw))
    run.position += len(response.seen)
    if run.stamped and response.seen:
        assert response.last_event_id == f"{run.stream}.{run.position}"


def _whole_events(raw: bytes) -> bytes:
    """Cut off an event that is not whole, and what the sidecar says to a client that keeps coming back."""
    asked = SIDECARS_RETRY.match(raw)
    assert asked is None or int(asked[1]) > OWN_RETRY_MS_MAX
    return raw[asked.end() if asked else 0 : raw.rfind(b"\n\n") + 2 if b"\n\n" in raw else 0]


async def _assert_all_of_it(run: CutRun, client: SSEClient) -> None:
    """Whoever reads it all at once gets the very same bytes; whoever has it all gets 204."""
    target = f"/_sse/streams/{run.stream}"
    async with client.open("GET", target, _fields(run), accept=_accept(run)) as whole:
        await whole.read_to_end(LONG_S)
    assert _whole_events(whole.raw) == b"".join(run.parts)
    terminals = [event for event in whole.seen if is_terminal(event)]
    assert len(terminals) == (run.then != "end")
    assert whole.ended == ("clean" if run.then == "end" else "aborted")
    position = f"{run.stream}.{len(whole.seen)}"
    async with client.open("GET", target, [*_fields(run), ("Last-Event-ID", position)]) as none:
        assert none.status == 204


async def run_them(up: FakeUpstream, client: SSEClient) -> dict[str, int]:
    """Do all runs against one sidecar, many at a time; return the outcomes that it has to count.

    Raises the failures, each named by its seed.
    """
    base = int(os.environ.get("CUT_SEED", "0"))
    seeds = [base] if base else random.SystemRandom().sample(range(1, 10**9), RUNS)
    runs = {run.target: run for run in map(planned, seeds)}
    up.route(lambda request: script_of(runs[request.target]))
    limit = asyncio.Semaphore(AT_ONCE_MAX)
    results = await asyncio.gather(
        *(_one(run, client, limit) for run in runs.values()), return_exceptions=True
    )
    failures = [result for result in results if isinstance(result, Exception)]
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(runs)} runs", failures[:SHOWN_MAX])
    assert len(up.requests) == len(runs)
    return Counter("completed" if run.then == "end" else "upstream_truncated" for run in runs.values())


async def _one(run: CutRun, client: SSEClient, limit: asyncio.Semaphore) -> None:
    record = Recorder()
    async with limit:
        try:
            await live(run, client, record)
            record.assert_sound()
        except Exception as error:
            error.add_note(f"again with {run.name}")
            raise


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_client_cut_off_anywhere_comes_back_to_every_message_once_and_one_ending() -> None:
    async with relayed({"heartbeat_s": 0}) as (up, sc):
        outcomes = await run_them(up, sc.client)
        assert sc.outcomes() == outcomes


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_and_so_it_is_with_the_process_that_is_shipped(tmp_path: Path) -> None:
    async with FakeUpstream() as up, served(up.url, tmp_path, {"heartbeat_s": 0}) as sc:
        outcomes = await run_them(up, sc.client)
        now = await sc.scrape()
        assert now.outcomes() == outcomes
        assert now.conservation() == {"streams": 0.0, "messages": 0.0}
        assert now.metric("sse_silent_failures_total", disposition="leaked") == 0
        assert sc.defects == []
