"""A thousand readers that stop reading cost what the budgets say, are closed in time, and lose nothing."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.http1.protocol import WRITE_BUFFER_BYTES_MAX
from sidecar.streams.replay_log import READ_BYTES_MAX
from tests.kit.client import Response, SSEClient
from tests.kit.fake_upstream import SSE_HEADERS, FakeUpstream, Script, UpstreamConnection
from tests.kit.open_files import allow_open_files
from tests.kit.served import Served, served

READERS = 1000
HEALTHY = 20
AT_ONCE = 50
FILES_MIN = 8192

KIB, MIB = 1024, 1024 * 1024
EVENTS = 192
EVENT = b"data: %0*d\n\n"
EVENT_DIGITS = KIB - len(b"data: \n\n")
EVENTS_PER_WRITE = 8
WRITE_EVERY_S = 0.3

LOG_BYTES_TOTAL_MAX = 96 * MIB
STREAM_BYTES = 64 * KIB
"""Allowed to a stream and its two connections beside what they carry: sockets, parsers, a task."""

PROCESS_BYTES = 16 * MIB
"""Allowed to the process for whatever grows once: pools, caches, the allocator's own waste."""

SEND_TIMEOUT_S = 4.0
OPENED_S = 60.0
CLOSED_LATE_S = 5.0
LATE_S = 20.0
"""What a busy machine may add to anything else."""

STAMP = re.compile(rb"(?:retry: \d+\n)?data: (\d+)\nid: [\w-]+\.(\d+)")


@dataclass
class Slow:
    """A client that has stopped reading: what it has taken so far is all that is known to have arrived."""

    response: Response
    body: bytes = b""

    @property
    def stream(self) -> str:
        return self.response.header("SSE-Stream") or ""


def paced(begin: asyncio.Event) -> Script:
    """Answer with EVENTS events, some at a time, once told to begin."""

    async def script(connection: UpstreamConnection) -> None:
        await connection.body()
        await connection.send_head(200, SSE_HEADERS)
        await connection.wait(begin, OPENED_S)
        for first in range(1, EVENTS + 1, EVENTS_PER_WRITE):
            numbers = range(first, first + EVENTS_PER_WRITE)
            await connection.chunk(b"".join(EVENT % (EVENT_DIGITS, n) for n in numbers))
            await asyncio.sleep(WRITE_EVERY_S)
        await connection.end()

    return script


async def opened(client: SSEClient, count: int, holding: AsyncExitStack) -> list[Slow]:
    slow: list[Slow] = []
    for first in range(0, count, AT_ONCE):
        opening = [client.open("POST", f"/answer/{n}", body=b"{}") for n in range(first, first + AT_ONCE)]
        responses = await asyncio.gather(*(holding.enter_async_context(each) for each in opening))
        slow += [Slow(response) for response in responses]
    return slow


async def read_whole(client: SSEClient, target: str) -> bytes:
    async with client.open("POST", target, body=b"{}") as response:
        body = await response.read_to_end(LATE_S)
        assert response.ended == "clean"
    return body


async def come_back(client: SSEClient, slow: Slow, limit: asyncio.Semaphore) -> None:
    """Take what the network still had, then ask for the rest."""
    async with limit:
        slow.body = _whole_events(await slow.response.read_to_end(LATE_S))
        assert slow.response.ended == "aborted"
        seen = slow.body.count(b"\n\n")
        async with client.resume(f"{slow.stream}.{seen}", "POST", "/answer") as rest:
            slow.body += await rest.read_to_end(LATE_S)
            assert rest.ended == "clean"


def _whole_events(body: bytes) -> bytes:
    return body[: body.rfind(b"\n\n") + 2] if b"\n\n" in body else b""


def assert_whole(body: bytes) -> None:
    """Check that a body is every event once, in order, with nothing between them."""
    blocks = [STAMP.fullmatch(block) for block in body.removesuffix(b"\n\n").split(b"\n\n")]
    found = [(len(block[1]), int(block[1]), int(block[2])) for block in blocks if block]
    wrong = [(n, each) for n, each in enumerate(found, 1) if each != (EVENT_DIGITS, n, n)]
    assert (wrong[:3], len(found), len(blocks)) == ([], EVENTS, EVENTS)


@asynccontextmanager
async def slowly_read(directory: Path) -> AsyncIterator[tuple[FakeUpstream, Served, asyncio.Event]]:
    allow_open_files(FILES_MIN)
    begin = asyncio.Event()
    route = {"send_timeout_s": SEND_TIMEOUT_S, "heartbeat_s": 0}
    async with FakeUpstream(lambda _: paced(begin)) as up:
        limits = {"log_bytes_total_max": LOG_BYTES_TOTAL_MAX, "streams_per_principal_max": 2 * READERS}
        async with served(up.url, directory, route, **limits) as sc:
            yield up, sc, begin


@pytest.mark.alone  # a process that gets no processor reads more at once, and needs more memory for it
@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_readers_that_stop_reading_stay_within_the_budgets_and_get_everything_later(
    tmp_path: Path,
) -> None:
    async with slowly_read(tmp_path) as (up, sc, begin), AsyncExitStack() as holding:
        stuck = SSEClient(sc.client.host, sc.client.port, rcvbuf_bytes=4096)
        before = sc.rss_bytes
        slow = await opened(stuck, READERS, holding)
        begin.set()
        healthy = await asyncio.gather(*(read_whole(sc.client, f"/healthy/{n}") for n in range(HEALTHY)))
        await sc.until(lambda now: now.metric("sse_subscribers") == 0, SEND_TIMEOUT_S + CLOSED_LATE_S)
        grown = sc.rss_bytes_max - before
        await _all_come_back(sc, slow)
        for body in [*healthy, *(each.body for each in slow)]:
            assert_whole(body)
        assert grown < _budget()
        now = await sc.scrape()
        assert now.outcomes() == {"completed": READERS + HEALTHY}
        assert now.conservation() == {"streams": 0.0, "messages": 0.0}
        assert now.metric("sse_messages_lost_total") == 0
        assert len(up.requests) == READERS + HEALTHY
        assert sc.defects == []


async def _all_come_back(sc: Served, slow: Sequence[Slow]) -> None:
    limit = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(come_back(sc.client, each, limit) for each in slow))


def _budget() -> int:
    of_a_reader = WRITE_BUFFER_BYTES_MAX + READ_BYTES_MAX
    return LOG_BYTES_TOTAL_MAX + (READERS + HEALTHY) * (of_a_reader + STREAM_BYTES) + PROCESS_BYTES
