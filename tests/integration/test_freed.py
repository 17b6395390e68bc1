"""What a stream held is given back when it is let go, not when the garbage is collected next."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from tests.kit.client import SSEClient
from tests.kit.fake_upstream import sse
from tests.kit.relayed import relayed

EVENT = b"data: " + b"a" * 8192 + b"\n\n"
"""Enough of them are still on their way to the client when its answer is complete."""


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """A collector that ran by itself would hide what only it could free."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def read_whole(client: SSEClient) -> None:
    async with client.open("POST", "/", [("Connection", "close")], b"{}") as response:
        await response.read_to_end()


async def leave(client: SSEClient) -> None:
    async with client.open("POST", "/", body=b"{}") as response:
        await response.event()
        await response.leave()


async def cut_and_come_back(client: SSEClient) -> None:
    async with client.open("POST", "/", body=b"{}") as response:
        await response.event()
        await response.cut()
    async with client.resume(response.last_event_id) as again:
        await again.read_to_end()


@pytest.mark.parametrize("visit", [read_whole, leave, cut_and_come_back])
async def test_a_stream_and_its_log_are_freed_as_soon_as_they_are_let_go(visit: object) -> None:
    assert callable(visit)
    async with relayed({"retain_s": 1, "linger_s": 1}) as (up, sc):
        held = []
        for _ in range(5):
            up.script(sse(*[EVENT] * 64))
            visiting = asyncio.ensure_future(visit(sc.client))
            await sc.until(lambda: sc.parts.hub.streams)
            held += [weakref.ref(stream) for stream in sc.parts.hub.streams.values()]
            await visiting
            del visiting
        await sc.until(lambda: not sc.parts.hub.streams)
        await sc.until(lambda: not any(stream() for stream in held))
        assert len(held) >= 5
