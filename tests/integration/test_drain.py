"""Asked to stop, the process lets finish what can, sends the rest away gently, and is gone in time."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.proxy.resume import SHED_RETRY_MS
from tests.kit.client import Response, SSEClient
from tests.kit.deadline import within
from tests.kit.fake_upstream import FakeUpstream, RecordedRequest, Script, UpstreamConnection, plain, sse
from tests.kit.served import Served, served

DRAIN_S = 10.0
LATE_S = 2.0
"""What a busy machine may add to a promise of the length of the drain."""

AT_ONCE_S = 3.0
"""Without a wait of any kind, the way out takes a small part of this."""

SHORT, LONG = 60, 140
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@dataclass
class SlowBackend:
    """``/short`` ends when the gate opens, ``/long`` never; ``/plain`` is no stream."""

    up: FakeUpstream
    gate: asyncio.Event

    def script(self, request: RecordedRequest) -> Script:
        if request.target.startswith("/short"):
            return sse(b"data: 1\n\n", self.gate, b"data: 2\n\n")
        if request.target.startswith("/long"):
            return sse(b"data: 1\n\n", then="stall")
        return plain(200, body=b"ok")


@asynccontextmanager
async def backend() -> AsyncIterator[SlowBackend]:
    async with FakeUpstream() as up:
        behind = SlowBackend(up, asyncio.Event())
        up.route(behind.script)
        yield behind


async def live(client: SSEClient, holding: AsyncExitStack, kind: str, count: int) -> list[Response]:
    """Open streams of all sorts of clients, and read the first event of each."""
    accepts = ("text/event-stream", "text/event-stream", "application/json")
    opening = [
        client.open(("GET", "POST")[n % 2], f"/{kind}/{n}", accept=accepts[n % 3]) for n in range(count)
    ]
    responses = [await holding.enter_async_context(each) for each in opening]
    for response in responses:
        await response.event()
    return responses


async def not_ready(sc: Served) -> None:
    """Wait until the process has noticed the signal."""
    async with within(AT_ONCE_S, lambda: "still ready"):
        while True:
            answer = await sc.admin.fetch("GET", "/readyz")
            if answer.status == 503:
                return


@pytest.mark.slow
async def test_short_answers_finish_and_the_rest_are_sent_away_one_by_one(tmp_path: Path) -> None:
    async with backend() as behind, served(behind.up.url, tmp_path, {}, drain_s=DRAIN_S) as sc:
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as holding:
            short = await live(sc.client, holding, "short", SHORT)
            long = await live(sc.client, holding, "long", LONG)
            assert (await sc.admin.fetch("GET", "/readyz")).status == 200
            sc.signal(signal.SIGTERM)
            asked_at = loop.time()
            await not_ready(sc)
            closing = [asyncio.create_task(_closed_at(response)) for response in long]
            await _newcomers_are_sent_away(sc, long[0])
            behind.gate.set()
            await asyncio.gather(*(response.read_to_end() for response in short))
            closed_at = [at - asked_at for at in await asyncio.gather(*closing)]
        assert await sc.exited(DRAIN_S + LATE_S) == 0
        # By its own log: on a busy machine the end of a Python process takes seconds.
        assert sc.logged_s("draining", "stopped") < DRAIN_S + LATE_S
    assert {(r.ended, *(event.data for event in r.seen)) for r in short} == {("clean", "1", "2")}
    assert {(r.ended, *(event.data for event in r.seen)) for r in long} == {("aborted", "1")}
    assert {r.retry_ms for r in long if r.last_event_id} == {1000}
    assert max(closed_at) < DRAIN_S + LATE_S
    in_one_tenth = Counter(int(at / (DRAIN_S / 10)) for at in closed_at)
    assert max(in_one_tenth.values()) < 0.75 * LONG
    assert sc.ended_streams()["completed"] == SHORT
    assert sc.defects == []


async def _closed_at(response: Response) -> float:
    await response.read_to_end(DRAIN_S + LATE_S)
    return asyncio.get_running_loop().time()


async def _newcomers_are_sent_away(sc: Served, known: Response) -> None:
    """An EventSource gives up for good on any status but 200; everybody else knows what 503 means."""
    mine = [("Last-Event-ID", f"{known.header('SSE-Stream')}.1")]
    for fields in ([], mine):
        async with sc.client.open("GET", "/long/new", fields) as shed:
            await shed.read_to_end()
        assert (shed.status, shed.header("Content-Type")) == (200, "text/event-stream")
        assert (shed.retry_ms, shed.seen, shed.ended) == (2000, [], "aborted")
        async with sc.client.open("POST", "/long/new", fields, b"{}") as refused:
            await refused.read_to_end()
        assert (refused.status, refused.json()["code"]) == (503, "err-sidecar-draining")
        assert int(refused.header("Retry-After") or 0) > 0
    assert (await sc.client.fetch("GET", "/plain")).raw == b"ok"


@pytest.mark.parametrize("second", SIGNALS)
@pytest.mark.parametrize("first", SIGNALS)
async def test_a_second_signal_ends_it_within_a_second(
    first: signal.Signals, second: signal.Signals, tmp_path: Path
) -> None:
    async with backend() as behind, served(behind.up.url, tmp_path, {}, drain_s=600) as sc:
        async with AsyncExitStack() as holding:
            long = await live(sc.client, holding, "long", 50)
            sc.signal(first)
            await not_ready(sc)
            sc.signal(second)
            assert await sc.exited(1.0 + LATE_S) == 0
            for response in long:
                await response.read_to_end()
                assert response.ended == "aborted"
        assert sc.defects == []


@pytest.mark.parametrize("number", SIGNALS)
async def test_idle_connections_do_not_delay_the_exit(number: signal.Signals, tmp_path: Path) -> None:
    async with backend() as behind, served(behind.up.url, tmp_path, {}, drain_s=600) as sc:
        async with AsyncExitStack() as holding:
            idle = [await holding.enter_async_context(sc.client.connect()) for _ in range(50)]
            for connection in idle[:25]:  # the others never say a word
                response = await sc.client.request(connection, "GET", "/plain")
                await response.read_to_end()
            sc.signal(number)
            assert await sc.exited(AT_ONCE_S) == 0
            assert {await connection.read_to_close() for connection in idle} == {b""}
        assert sc.defects == []


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_slow_upload_and_a_slow_download_are_finished(number: signal.Signals, tmp_path: Path) -> None:
    async with FakeUpstream() as up, served(up.url, tmp_path, {}, drain_s=600) as sc:
        gate = asyncio.Event()
        up.script(_download(gate), plain(200, body=b"got it"))
        async with sc.client.open("GET", "/file", accept=None) as download, sc.client.connect() as sending:
            await download.read_until(b"half ")
            head = sc.client.request_bytes("POST", "/file", [("Content-Length", "9")])
            await sending.send(head + b"half ")
            await up.request(1)
            sc.signal(number)
            await not_ready(sc)
            gate.set()
            assert (await download.read_to_end(), download.ended) == (b"half done", "clean")
            await sending.send(b"done")
            upload = await sending.read_to_close()
        assert upload.startswith(b"HTTP/1.1 200 OK\r\n")
        assert upload.endswith(b"got it")
        assert up.requests[1].body == b"half done"
        assert await sc.exited(AT_ONCE_S) == 0
        assert sc.defects == []


async def test_what_does_not_finish_in_time_is_aborted_and_delays_nothing(tmp_path: Path) -> None:
    async with FakeUpstream() as up, served(up.url, tmp_path, {}, drain_s=1) as sc:
        up.script(_download(asyncio.Event()))
        async with sc.client.open("GET", "/file", accept=None) as download:
            await download.read_until(b"half ")
            sc.signal(signal.SIGTERM)
            assert await sc.exited(1 + LATE_S) == 0
            assert (await download.read_to_end(), download.ended) == (b"half ", "aborted")
        assert sc.defects == []


@pytest.mark.parametrize("sent_away_before", [0, 1])
async def test_a_stream_that_begins_during_the_drain_is_sent_away_too(
    sent_away_before: int, tmp_path: Path
) -> None:
    """A client that does not say that it wants a stream is known as one by the answer it gets."""
    async with backend() as behind, served(behind.up.url, tmp_path, {"stamp": "always"}, drain_s=4) as sc:
        async with AsyncExitStack() as holding:
            long = await live(sc.client, holding, "long", 2)
            sc.signal(signal.SIGTERM)
            await not_ready(sc)
            if sent_away_before:
                closing = [asyncio.create_task(response.read_to_end()) for response in long]
                await asyncio.wait(closing, return_when=asyncio.FIRST_COMPLETED)
            async with sc.client.open("POST", "/long/late", accept="application/json") as late:
                await late.read_to_end()
            assert [event.data for event in late.seen] == ["1"]
            assert (late.retry_ms, late.ended) == (1000, "aborted")
            assert await sc.exited(4 + LATE_S) == 0
        assert sc.defects == []


@pytest.mark.parametrize("kind", ["answer", "live"])
async def test_what_is_gone_during_the_drain_is_asked_for_elsewhere_and_not_given_up(
    kind: str, tmp_path: Path
) -> None:
    """At its end nothing is held any more; an instance that goes cannot say that nobody has it."""
    options = {"stamp": "always", "kind": kind, "linger_s": 0, "retain_s": 0, "complete_on": "eof"}
    async with backend() as behind, served(behind.up.url, tmp_path, options, drain_s=4) as sc:
        behind.gate.set()
        over = await sc.client.fetch("GET", "/short/1", [("Accept", "text/event-stream")])
        stream = over.header("SSE-Stream")
        await sc.until(lambda now: not now.metric("sse_log_messages"))
        async with AsyncExitStack() as holding:
            await live(sc.client, holding, "long", 1)
            asked = len(behind.up.requests)
            sc.signal(signal.SIGTERM)
            await not_ready(sc)
            for target in ("/short/1", f"/_sse/streams/{stream}"):
                position = ("Last-Event-ID", f"{stream}.1")
                native = await sc.client.fetch("GET", target, [position, ("Accept", "text/event-stream")])
                assert (native.status, native.retry_ms, native.ended) == (200, SHED_RETRY_MS, "aborted")
                plainly = await sc.client.fetch("GET", target, [position, ("Accept", "application/json")])
                assert (plainly.status, plainly.header("Retry-After")) == (503, "1")
            assert len(behind.up.requests) == asked
            assert await sc.exited(4 + LATE_S) == 0
        assert sc.defects == []


def _download(gate: asyncio.Event) -> Script:
    async def script(connection: UpstreamConnection) -> None:
        await connection.send_head(200, [("Content-Length", "9")])
        await connection.write(b"half ")
        await connection.wait(gate)
        await connection.write(b"done")
        await connection.end()

    return script
