"""The browser client with the sidecar, the demo backend and a network."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from sidecar.demo.webapi import create_app
from sidecar.demo.webapi import running as running_backend
from sidecar.demo.words import tokens
from sidecar.faultnet.network import FaultyNetwork
from sidecar.observability.errors import UpstreamRefused, UpstreamReset
from tests.clients.js.reader import LONG_S, reading
from tests.kit.deadline import within
from tests.kit.fake_upstream import FakeUpstream, plain, sse
from tests.kit.relayed import assert_conserved
from tests.kit.running import RunningSidecar, running

pytestmark = [pytest.mark.needs("node"), pytest.mark.timeout(150)]

TOKENS = 40
TEXT = "".join(tokens("live", TOKENS))
RECOVERED_S_MAX = 5.0
ROUTE = {"name": "all", "path": "/*", "linger_s": 20, "heartbeat_s": 0.2}
CHAT = {**ROUTE, "name": "chat", "path": "/api/chat", "complete_on": "done"}
POST = {
    "method": "POST",
    "headers": {"Content-Type": "application/json", "Authorization": "Bearer me"},
    "body": '{"messages": [{"role": "user", "content": "Hi"}], "stream": true}',
}


class NodeScene(NamedTuple):
    """The sidecar, the network in front of it, and where to ask."""

    sc: RunningSidecar
    network: FaultyNetwork

    def url(self, path: str, **course: object) -> str:
        """Return the address of an answer with such a course."""
        query = urlencode({"n": TOKENS, "seed": "live", "interval_ms": 20, **course})
        return f"http://127.0.0.1:{self.network.port}{path}?{query}"

    async def reports(self, **verdicts: int) -> None:
        """Wait for these verdicts; no others may have come."""
        await self.sc.until(lambda: sum(verdicts.values()) <= sum(self.verdicts().values()), LONG_S)
        assert self.verdicts() == verdicts

    def verdicts(self) -> dict[str, int]:
        """Return how many reports came to which verdict."""
        names = ("agree", "lost", "duplicated", "unfinished", "rejected")
        counts = {name: int(self.sc.metric("sse_client_reports_total", verdict=name)) for name in names}
        return {name: count for name, count in counts.items() if count}


@asynccontextmanager
async def scene(upstream: str) -> AsyncIterator[NodeScene]:
    """Run the sidecar and the network, and check the counters at the end."""
    async with (
        running(upstream, routes=[CHAT, ROUTE]) as sc,
        FaultyNetwork("127.0.0.1", sc.port) as network,
        within(LONG_S * 4, lambda: "the scene did not end"),
    ):
        yield NodeScene(sc, network)
        assert_conserved(sc)


@asynccontextmanager
async def demo() -> AsyncIterator[NodeScene]:
    """Run the demo backend behind it."""
    async with running_backend(create_app()) as url, scene(url) as at:
        yield at


def _text(data: list[str]) -> str:
    """Return the text that a page would show of a chat's messages."""
    return "".join(json.loads(one).get("text", "") for one in data)


async def test_stream_is_read_to_its_end_and_reported() -> None:
    async with demo() as at, reading(at.url("/api/chat", interval_ms=0), "done") as reader:
        done = await reader.done()
        assert (done["state"], done["received"], done["duplicates"]) == ("completed", TOKENS + 1, 0)
        assert _text(reader.data) == TEXT
        assert [said["state"] for said in reader.states] == ["open", "completed"]
        await at.reports(agree=1)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_lost_connections_lose_no_message(method: str) -> None:
    parts = [[f"{part}.{number}" for number in range(10)] for part in range(4)]
    cuts = [asyncio.Event() for _ in parts[1:]]
    first, *others = [b"".join(b"data: %s\n\n" % text.encode() for text in part) for part in parts]
    async with FakeUpstream() as up, scene(up.url) as at:
        rest = [step for cut, part in zip(cuts, others, strict=True) for step in (cut, part)]
        up.script(sse(first, *rest))
        options = {} if method == "GET" else POST
        async with reading(at.url("/api/other"), **options) as reader:
            for number, cut in enumerate(cuts, start=1):
                await reader.messages(10 * number)
                at.network.cut()
                cut.set()
            done = await reader.done()
        assert (done["state"], done["duplicates"]) == ("completed", 0)
        assert reader.data == list(chain.from_iterable(parts))
        assert done["lastEventId"] == f"{done['stream']}.{done['received']}" == f"{done['stream']}.40"
        assert len(reader.recoveries) == len(cuts)
        assert at.sc.metric("sse_streams_started_total") == 1
        # A cut may hit the report of a recovery too, but nothing is cut after the last part.
        await at.sc.until(at.verdicts, LONG_S)
        assert at.verdicts().keys() == {"agree"}


async def test_stall_recovers_in_less_than_five_seconds() -> None:
    go_on = asyncio.Event()
    async with FakeUpstream() as up, scene(up.url) as at:
        up.script(sse(b"data: 1\n\n", go_on, b"data: 2\n\n"))
        async with reading(at.url("/api/other"), stallSeconds=2) as reader:
            await reader.messages(1)
            at.network.stall()
            stalled = await reader.until(lambda said: said.get("state") == "stalled")
            assert stalled["reason"] == "Nothing has arrived for 2 seconds."
            at.network.heal()
            recovered = await reader.until(lambda said: said["kind"] == "recovered")
            assert recovered["seconds"] < RECOVERED_S_MAX
            go_on.set()
            assert (await reader.done())["state"] == "completed"
        assert reader.data == ["1", "2"]
        await at.reports(agree=2)


async def test_silent_backend_is_not_a_stall() -> None:
    think = asyncio.Event()
    async with FakeUpstream() as up, scene(up.url) as at:
        up.script(sse(b"data: 1\n\n", think, b"data: 2\n\n"))
        async with reading(at.url("/api/other"), stallSeconds=10) as reader:
            await reader.until(lambda said: said["kind"] == "heartbeat" and said["idle"] >= 2)
            think.set()
            assert (await reader.done())["state"] == "completed"
            assert [said["state"] for said in reader.states] == ["open", "completed"]


@pytest.mark.parametrize(
    ("path", "options"), [("/api/chat", {}), ("/v1/chat/completions", POST), ("/v1/messages", POST)]
)
async def test_backend_failure_fails_with_its_code(path: str, options: dict[str, object]) -> None:
    async with demo() as at, reading(at.url(path, fault="reset", at=10, interval_ms=0), **options) as reader:
        done = await reader.done()
        last = reader.states[-1]
        assert (done["state"], last["code"]) == ("failed", UpstreamReset.code)
        assert last["reason"].startswith(UpstreamReset.message)
        await at.reports(agree=1)


async def test_cancel_stops_the_stream_and_confirms_delivery() -> None:
    async with demo() as at:
        async with reading(at.url("/v1/chat/completions", n=500, interval_ms=100), **POST) as reader:
            await reader.messages(5)
            await reader.send("cancel")
            answer = await reader.until(lambda said: said["kind"] == "answer")
            done = await reader.done()
        assert (answer["value"], done["state"]) == (True, "closed")
        assert reader.states[-1]["reason"] == "You stopped this."
        await at.sc.until(lambda: at.sc.outcomes() == {"client_cancelled": 1})
        await at.reports(agree=1)


async def test_second_device_reads_the_same_stream() -> None:
    async with demo() as at, reading(at.url("/v1/chat/completions", interval_ms=60), **POST) as first:
        message = (await first.messages(3))[0]
        stream = message["id"].partition(".")[0]
        joined = {"join": stream, "headers": {"Authorization": "Bearer me"}}
        async with reading(at.url("/v1/chat/completions"), **joined) as second:
            assert (await first.done())["state"] == (await second.done())["state"] == "completed"
        assert first.data == second.data
        assert at.sc.metric("sse_streams_started_total") == 1


async def test_another_user_cannot_join() -> None:
    async with demo() as at, reading(at.url("/v1/chat/completions", interval_ms=60), **POST) as first:
        stream = (await first.messages(1))[0]["id"].partition(".")[0]
        async with reading(at.url("/"), join=stream) as second:
            done = await second.done()
        assert (done["state"], second.states[-1]["code"]) == ("failed", "err-sidecar-stream-not-found")
        assert (await first.done())["state"] == "completed"


async def test_backend_that_is_down_briefly_is_retried() -> None:
    async with FakeUpstream() as up, scene(up.url) as at:
        up.refuse()
        async with reading(at.url("/api/other"), **POST) as reader:
            lost = await reader.until(lambda said: said["kind"] == "state" and said["state"] != "connecting")
            await reader.send("close")
            await reader.done()
        # 502: the sidecar says so itself, so that it is known to keep the key of the question
        assert (lost["state"], lost["reason"]) == ("reconnecting", UpstreamRefused.message)


async def test_plain_server_is_read_as_by_eventsource() -> None:
    async with FakeUpstream() as up:
        up.script(sse(b"retry: 10\nid: a\ndata: 1\n\n", then="reset"), sse(b"id: b\ndata: 2\n\n"), plain(204))
        async with reading(f"{up.url}/feed") as reader:
            done = await reader.done()
        assert (done["state"], reader.data, done["stream"]) == ("completed", ["1", "2"], "")
        assert [request.header("last-event-id") for request in up.requests] == [None, "a", "b"]
        assert {request.target for request in up.requests} == {"/feed"}, "a plain server gets no report"
