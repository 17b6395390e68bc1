"""A scripted run of every kind of fault, which counts by itself what a monitor should say afterwards."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sidecar.config.routes import CANARY_ROUTE
from tests.kit.fake_upstream import FakeUpstream, plain, sse
from tests.kit.protocols import OPENAI
from tests.kit.reporting import post, said
from tests.kit.response import Response
from tests.kit.running import STREAM, RunningSidecar

WINDOW_EVENTS = 5
IDLE = {"stall_s": 1, "upstream_idle_s": 5}
ROUTES: list[dict[str, Any]] = [
    {"name": "feed", "path": "/feed", "kind": "live", "log_events_max": WINDOW_EVENTS, "linger_s": 30},
    {"name": "repeat", "path": "/repeat", "kind": "answer"},
    {"name": "again", "path": "/again", "kind": "live", "methods": ["GET"], "upstream_resume": True},
    {
        "name": "silent",
        "path": "/silent",
        "kind": "live",
        "methods": ["GET"],
        "upstream_resume": True,
        **IDLE,
    },
    {"name": "hasty", "path": "/hasty", "linger_s": 0},
    {"name": "chat", "path": "/*", "linger_s": 30, **IDLE},
]
ABSENCES_S = (0.15, 0.15, 0.15, 1.4)
"""How long the readers that are cut stay away: in the middle of the histogram's buckets."""


@dataclass
class FaultRunCounts:
    """What was done and seen, counted by the users and the backend themselves."""

    outcomes: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    duplicates_delivered: int = 0
    duplicates_suppressed: int = 0
    leaked: int = 0
    surfaced: int = 0
    client_reconnects_s: list[float] = field(default_factory=list)
    client_gave_up: int = 0
    upstream_reconnects: int = 0
    stalls_false_alarm: int = 0
    stalls_recovered: int = 0
    stalls_failed: int = 0
    reports: Counter[str] = field(default_factory=Counter)
    missed_by_report: int = 0
    dropped_by_report: int = 0

    @property
    def completion(self) -> float:
        """The share of eligible streams that completed."""
        eligible = self.outcomes.total() - self.outcomes["client_left"] - self.outcomes["client_cancelled"]
        return self.outcomes["completed"] / eligible


class FaultRun:
    """The users and the backend of one run; each method is one kind of fault."""

    def __init__(self, up: FakeUpstream, sc: RunningSidecar) -> None:
        self.up = up
        self.sc = sc
        self.ledger = FaultRunCounts()

    async def all(self) -> FaultRunCounts:
        """Do everything once, one after the other, since the backend answers in order."""
        for _ in range(5):
            await self.whole()
        for absence_s in ABSENCES_S:
            await self.cut_and_back(absence_s)
        await self.truncated()
        await self.truncated()
        await self.reset()
        await self.error_event()
        await self.left()
        await self.gave_up()
        await self.cancelled()
        await self.lost_by_a_small_log()
        await self.duplicates_delivered()
        await self.duplicate_suppressed()
        await self.stall_that_ends()
        await self.stall_that_a_reconnect_ends()
        await self.stall_for_ever()
        await self.page_instead_of_a_stream()
        await self.client_that_misses_messages()
        await self.client_that_takes_a_broken_answer_for_whole()
        await self.client_that_writes_nonsense()
        await self.sc.until(lambda: self.users("sse_streams_finished_total") == self.ledger.outcomes.total())
        return self.ledger

    def users(self, name: str, **labels: str) -> float:
        """Return what the metrics say of users' streams: all but the canary's."""
        return self.sc.metric(name, **labels) - self.sc.metric(name, route=CANARY_ROUTE, **labels)

    async def whole(self) -> None:
        self.up.script(sse(OPENAI.first, OPENAI.terminal))
        answer = await self.sc.client.fetch("POST", "/v1/chat", STREAM)
        assert answer.ended == "clean"
        await self._report(answer, "agree", duplicates=1)
        self.ledger.dropped_by_report += 1
        self.ledger.outcomes["completed"] += 1

    async def cut_and_back(self, absence_s: float) -> None:
        gate = asyncio.Event()
        self.up.script(sse(OPENAI.first, OPENAI.first, gate, OPENAI.first, OPENAI.terminal))
        first = await self._read_and_cut("POST", "/v1/chat", 2)
        cut_at = asyncio.get_running_loop().time()
        gate.set()
        await asyncio.sleep(absence_s)  # the absence itself, not a wait for something
        await self._come_back(first, cut_at, "POST", "/v1/chat")
        self.ledger.outcomes["completed"] += 1

    async def truncated(self) -> None:
        self.up.script(sse(OPENAI.first))
        answer = await self.sc.client.fetch("POST", "/v1/chat", STREAM)
        assert answer.ended == "aborted"
        self.ledger.outcomes["upstream_truncated"] += 1
        self.ledger.surfaced += 1

    async def reset(self) -> None:
        self.up.script(sse(OPENAI.first, then="reset"))
        assert (await self.sc.client.fetch("POST", "/v1/chat", STREAM)).ended == "aborted"
        self.ledger.outcomes["upstream_truncated"] += 1

    async def error_event(self) -> None:
        self.up.script(sse(OPENAI.first, b'data: {"error": {"message": "overloaded"}}\n\n'))
        await self.sc.client.fetch("POST", "/v1/chat", STREAM)
        self.ledger.outcomes["upstream_error"] += 1

    async def left(self) -> None:
        self.up.script(sse(b"data: 1\n\n", then="stall"))
        async with self.sc.client.open("GET", "/hasty") as answer:
            await answer.take(1)
            await answer.leave()
        self.ledger.outcomes["client_left"] += 1

    async def gave_up(self) -> None:
        self.up.script(sse(b"data: 1\n\n", then="stall"))
        async with self.sc.client.open("GET", "/hasty") as answer:
            await answer.take(1)
            await answer.cut()
        self.ledger.outcomes["client_abandoned"] += 1
        self.ledger.client_gave_up += 1

    async def cancelled(self) -> None:
        self.up.script(sse(OPENAI.first, then="stall"))
        async with self.sc.client.open("POST", "/v1/chat") as answer:
            await answer.take(1)
            stopped = await self.sc.client.fetch("DELETE", f"/_sse/streams/{answer.header('SSE-Stream')}")
        assert stopped.status == 204
        self.ledger.outcomes["client_cancelled"] += 1

    async def lost_by_a_small_log(self) -> None:
        gate, last = asyncio.Event(), asyncio.Event()
        behind = [b"data: %d\n\n" % number for number in range(4, 16)]
        self.up.script(sse(b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n", gate, *behind, last))
        first = await self._read_and_cut("GET", "/feed", 3)
        cut_at = asyncio.get_running_loop().time()
        before = self.sc.metric("sse_messages_received_total", route="feed")
        gate.set()
        await self.sc.until(
            lambda: self.sc.metric("sse_messages_received_total", route="feed") == before + len(behind)
        )
        last.set()
        rest = await self._come_back(first, cut_at, "GET", "/feed")
        seen = [event for event in rest.seen if event.type == "message"]
        self.ledger.lost += len(behind) - len(seen)
        self.ledger.outcomes["completed"] += 1

    async def duplicates_delivered(self) -> None:
        block = b"id: %d\ndata: %d\n\n"
        self.up.script(sse(*(block % (number, number) for number in (1, 2, 2, 3, 1))))
        answer = await self.sc.client.fetch("GET", "/repeat", STREAM)
        seen = [event.data for event in answer.seen]
        self.ledger.duplicates_delivered += len(seen) - len(set(seen))
        self.ledger.outcomes["completed"] += 1

    async def duplicate_suppressed(self) -> None:
        block = b"id: %d\ndata: %d\n\n"
        broken = sse(block % (1, 1), block % (2, 2), then="reset")
        self.up.script(broken, sse(block % (2, 2), block % (3, 3)), plain(204))
        answer = await self.sc.client.fetch("GET", "/again", STREAM)
        assert [event.data for event in answer.seen] == ["1", "2", "3"]
        self.ledger.duplicates_suppressed += 1
        self.ledger.upstream_reconnects += 1
        self.ledger.outcomes["completed"] += 1

    async def stall_that_ends(self) -> None:
        gate = asyncio.Event()
        self.up.script(sse(OPENAI.first, gate, OPENAI.terminal))
        async with self.sc.client.open("POST", "/v1/chat") as answer:
            await answer.take(1)
            await self.sc.until(lambda: self.users("sse_stall_detection_seconds_count"))
            gate.set()
            await answer.read_to_end()
        self.ledger.stalls_false_alarm += 1
        self.ledger.outcomes["completed"] += 1

    async def stall_that_a_reconnect_ends(self) -> None:
        self.up.script(sse(b"id: 1\ndata: 1\n\n", then="stall"), sse(b"id: 2\ndata: 2\n\n"), plain(204))
        answer = await self.sc.client.fetch("GET", "/silent", STREAM)
        assert [event.data for event in answer.seen] == ["1", "2"]
        self.ledger.stalls_recovered += 1
        self.ledger.upstream_reconnects += 1
        self.ledger.outcomes["completed"] += 1

    async def stall_for_ever(self) -> None:
        self.up.script(sse(OPENAI.first, then="stall"))
        answer = await self.sc.client.fetch("POST", "/v1/chat", STREAM)
        assert answer.ended == "aborted"
        self.ledger.stalls_failed += 1
        self.ledger.surfaced += 1
        self.ledger.outcomes["stall_unrecovered"] += 1

    async def page_instead_of_a_stream(self) -> None:
        self.up.script(plain(200, [("Content-Type", "text/html")], b"<p>Sign in</p>"))
        answer = await self.sc.client.fetch("GET", "/v1/chat", STREAM)
        assert (answer.status, answer.ended, answer.seen) == (200, "clean", [])
        self.ledger.leaked += 1

    async def client_that_misses_messages(self) -> None:
        self.up.script(sse(OPENAI.first, OPENAI.first, OPENAI.terminal))
        answer = await self.sc.client.fetch("POST", "/v1/chat", STREAM)
        await self._report(answer, "lost", received=1)
        await self._report(answer, "duplicated", received=4)
        self.ledger.missed_by_report += len(answer.seen) - 1
        self.ledger.outcomes["completed"] += 1

    async def client_that_takes_a_broken_answer_for_whole(self) -> None:
        self.up.script(sse(OPENAI.first, then="reset"))
        answer = await self.sc.client.fetch("POST", "/v1/chat", STREAM)
        await self._report(answer, "unfinished", received=1)
        self.ledger.outcomes["upstream_truncated"] += 1

    async def client_that_writes_nonsense(self) -> None:
        await post(self.sc.client, b'{"received": NaN}')
        self.ledger.reports["rejected"] += 1

    async def _report(self, answer: Response, verdict: str, **said_too: int) -> None:
        """Say of a whole answer that all of it came, but for what is said too."""
        all_of_it = {"received": len(answer.seen), "last_seq": len(answer.seen), **said_too}
        await post(self.sc.client, said(stream=answer.header("SSE-Stream"), **all_of_it))
        self.ledger.reports[verdict] += 1

    async def _read_and_cut(self, method: str, target: str, count: int) -> Response:
        async with self.sc.client.open(method, target) as answer:
            await answer.take(count)
            await answer.cut()
        await self.sc.until(lambda: self.users("sse_streams_detached") == 1)
        return answer

    async def _come_back(self, first: Response, cut_at: float, method: str, target: str) -> Response:
        async with self.sc.client.resume(first.last_event_id, method, target) as rest:
            await rest.event()
            self.ledger.client_reconnects_s.append(asyncio.get_running_loop().time() - cut_at)
            await rest.read_to_end()
        return rest
