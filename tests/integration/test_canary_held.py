"""The canary's streams that are held: users lose no room to them, and of those that failed one is enough."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar.config.routes import CANARY_ROUTE
from sidecar.sse.event_id import handle
from tests.kit.fake_upstream import FakeUpstream, RecordedRequest, plain, sse
from tests.kit.protocols import OPENAI
from tests.kit.running import RunningSidecar, running
from tests.kit.tampering_proxy import TamperingProxy, untouched

SOON_S = 0.2
"""An interval after which the next canary comes, and in which a test that has waited for one looks at it."""

MISMATCHES = "sse_canary_mismatches_total"
PATH = "/v1/chat"


def spoilt(_piece: bytes) -> bytes:
    return b"?"


def silent(_piece: bytes) -> bytes:
    return b""


@asynccontextmanager
async def beside(
    router: Callable[[RecordedRequest], Any], tampering_proxy: TamperingProxy, **settings: Any
) -> AsyncIterator[tuple[FakeUpstream, RunningSidecar]]:
    """Run a sidecar for users whose canary comes through a proxy; give the users' backend too."""
    async with (
        FakeUpstream(router) as front,
        FakeUpstream() as up,
        running(up.url, {"heartbeat_s": 0}, canary_interval_s=SOON_S, canary_url=front.url, **settings) as sc,
    ):
        tampering_proxy.stand_before(sc.client)
        yield up, sc


def canaries(sc: RunningSidecar) -> list[str]:
    streams = sc.parts.hub.streams.values()
    return [stream.handle for stream in streams if stream.policy.name == CANARY_ROUTE]


async def finished(up: FakeUpstream, sc: RunningSidecar) -> str:
    """Read one answer to its end; return its stream, which is held on for those who come back."""
    up.script(sse(OPENAI.first, OPENAI.terminal))
    async with sc.client.open("POST", PATH) as response:
        await response.read_to_end()
    return response.header("SSE-Stream") or ""


async def left(up: FakeUpstream, sc: RunningSidecar) -> None:
    """Leave an answer that is going on, once its first event was read."""
    hand = up.by_hand()
    async with sc.client.open("POST", PATH) as response:
        await (await hand.connection()).write(OPENAI.first)
        await response.event()
        await response.leave()
    await sc.until(lambda: not sc.metric("sse_subscribers", route="all"))


async def test_it_comes_through_where_users_have_used_up_all_streams_and_takes_none_from_them() -> None:
    async with FakeUpstream() as up, running(up.url, {}, streams_max=1, canary_interval_s=SOON_S) as sc:
        up.script(sse(b"data: 1\n\n"))
        async with sc.client.open() as mine:
            await mine.read_to_end()
        up.by_hand()
        async with sc.client.open():
            held = set(sc.parts.hub.streams)
            again = sc.metric("sse_streams_finished_total", route=CANARY_ROUTE) + 2
            await sc.until(lambda: sc.metric("sse_streams_finished_total", route=CANARY_ROUTE) >= again)
            assert sc.metric(MISMATCHES) == 0
            assert held <= set(sc.parts.hub.streams)


@pytest.mark.parametrize("meddle", [silent, spoilt])
async def test_users_have_every_stream_of_theirs_while_a_canary_is_held(
    meddle: Callable[[bytes], bytes],
) -> None:
    tampering_proxy = TamperingProxy(meddle)
    async with beside(tampering_proxy, tampering_proxy, streams_max=2) as (up, sc):
        find = sc.parts.hub.find
        await sc.until(lambda: canaries(sc) and (meddle is silent or sc.metric(MISMATCHES)))
        (held,) = canaries(sc)
        first = await finished(up, sc)
        await left(up, sc)
        assert find(first) is not None
        assert sc.metric("sse_streams_detached", route="all") == 1
        await left(up, sc)
        assert find(first) is None
        assert sc.metric("sse_streams_detached", route="all") == 2
        await left(up, sc)
        await sc.until(lambda: sc.metric("sse_streams_finished_total", route="all", outcome="client_left"))
        assert sc.metric("sse_streams_detached", route="all") == 2
        assert find(held) is not None


async def test_of_the_canaries_that_failed_the_last_one_is_kept() -> None:
    tampering_proxy = TamperingProxy(spoilt, spoilt, spoilt)
    with capture_logs() as lines:
        async with beside(tampering_proxy, tampering_proxy) as (_, sc):
            await sc.until(lambda: sc.metric(MISMATCHES) == 3)
            failed = [handle(line["stream"]) for line in lines if line["event"] == "canary failed"]
            assert len(set(failed)) == 3
            assert canaries(sc) == failed[-1:]


async def test_one_that_comes_through_leaves_the_one_that_failed() -> None:
    tampering_proxy = TamperingProxy(spoilt, untouched)
    async with beside(tampering_proxy, tampering_proxy) as (_, sc):
        await sc.until(lambda: sc.metric(MISMATCHES))
        failed = canaries(sc)
        await sc.until(lambda: sc.metric("sse_canary_last_pass_timestamp_seconds"))
        assert canaries(sc) == failed
        assert len(failed) == 1


async def test_a_canary_that_got_no_stream_leaves_the_one_that_failed_before_it() -> None:
    tampering_proxy = TamperingProxy(spoilt)
    asked = 0

    def first_only(request: RecordedRequest) -> Any:
        nonlocal asked
        asked += 1
        return tampering_proxy(request) if asked == 1 else plain(503)

    async with beside(first_only, tampering_proxy) as (_, sc):
        await sc.until(lambda: sc.metric(MISMATCHES))
        failed = canaries(sc)
        await sc.until(lambda: sc.metric(MISMATCHES) >= 2)
        assert canaries(sc) == failed
        assert len(failed) == 1
