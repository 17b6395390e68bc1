"""Clients whose application reconnects: httpx-sse, httpx with a parser."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from httpx_sse import aconnect_sse

from tests.clients.sdk.cut import beaten, cut, delivered
from tests.kit.eventsource import DispatchedEvent, Parser
from tests.kit.fake_upstream import sse
from tests.kit.relayed import relayed

pytestmark = pytest.mark.sdk

ROUTE = {"heartbeat_s": 0.05, "linger_s": 5}
EVENTS = 9

Read = Callable[[str, str], AsyncIterator[DispatchedEvent]]


async def by_httpx_sse(url: str, last_event_id: str) -> AsyncIterator[DispatchedEvent]:
    """Read one connection to its end."""
    position = {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with (
        httpx.AsyncClient() as client,
        aconnect_sse(client, "GET", url, headers=position) as source,
    ):
        if source.response.status_code == httpx.codes.NO_CONTENT:
            return
        async for event in source.aiter_sse():
            yield DispatchedEvent(event.event, event.data, event.id)


async def by_httpx(url: str, last_event_id: str) -> AsyncIterator[DispatchedEvent]:
    """Read one connection to its end."""
    position = {"Last-Event-ID": last_event_id} if last_event_id else {}
    headers = {"Accept": "text/event-stream", **position}
    parser = Parser()
    async with httpx.AsyncClient() as client, client.stream("GET", url, headers=headers) as response:
        async for piece in response.aiter_bytes():
            for event in parser.feed(piece):
                yield event


async def read_all(read: Read, url: str, seen: list[DispatchedEvent]) -> int:
    """Read until a connection ends cleanly, coming back after every other end; return how many it took."""
    connections = 0
    while True:
        connections += 1
        try:
            async for event in read(url, seen[-1].last_event_id if seen else ""):
                seen.append(event)  # noqa: PERF401 - what came before an error counts
        except httpx.TransportError:
            continue
        return connections


def _events(first: int, last: int) -> bytes:
    return b"".join(b"data: %d\n\n" % number for number in range(first, last + 1))


@pytest.mark.parametrize("read", [by_httpx_sse, by_httpx])
async def test_application_with_last_event_id_reads_each_event_once(
    read: Read,
) -> None:
    async with relayed(ROUTE) as (up, sc):
        gates = [asyncio.Event(), asyncio.Event()]
        up.script(sse(_events(1, 3), gates[0], _events(4, 6), gates[1], _events(7, EVENTS)))
        seen: list[DispatchedEvent] = []
        reading = asyncio.create_task(read_all(read, f"http://127.0.0.1:{sc.port}/", seen))
        for events, gate in zip((3, 6), gates, strict=True):
            stream = await delivered(sc, events)
            await beaten(sc)
            await cut(sc, stream)
            await beaten(sc)
            gate.set()
        assert await reading == 3
        assert seen == [DispatchedEvent("message", str(n), f"{stream.id}.{n}") for n in range(1, EVENTS + 1)]
        assert [event async for event in read(f"http://127.0.0.1:{sc.port}/", seen[-1].last_event_id)] == []
        assert len(up.requests) == 1
        assert sc.outcomes() == {"completed": 1}
