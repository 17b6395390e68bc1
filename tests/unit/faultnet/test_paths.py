"""Both kinds of paths do to real connections what the weather says, and nothing else."""

import asyncio

import pytest

from sidecar.faultnet.path import FINE, PathKind, Weather
from sidecar.faultnet.paths import path_to
from sidecar.faultnet.target import ListenAddress, PathError
from tests.kit.remote_server import (
    BOTH_KINDS,
    WAIT_S,
    RemoteConnection,
    RemoteServer,
    content,
    quickest,
    remote_server,
)

QUIET_S = 0.5
"""So long nothing may be heard where nothing shall pass."""

pytestmark = pytest.mark.parametrize("kind", BOTH_KINDS)


async def test_in_fine_weather_every_byte_passes_at_once(kind: PathKind) -> None:
    async with remote_server(kind) as far:

        async def people() -> bytes:
            return await (await far.line()).ask(1_000_000)

        assert await far.run(people) == content(1_000_000)
        assert await far.run(far.round_trip_s) < 0.3
        assert far.path.kind == kind


async def test_a_delay_is_half_of_the_round_trip_and_ends_with_it(kind: PathKind) -> None:
    async with remote_server(kind) as far:
        await far.path.set(Weather(delay_s=0.2))
        took_s = await quickest(lambda: far.run(far.round_trip_s), 0.44)
        assert took_s == pytest.approx(0.4, rel=0.1)
        await far.path.set(FINE)
        assert await far.run(far.round_trip_s) < 0.3


async def test_a_rate_is_that_of_all_connections_together(kind: PathKind) -> None:
    async with remote_server(kind) as far:
        await far.path.set(Weather(rate_bytes=50_000))

        async def people() -> float:
            loop = asyncio.get_running_loop()
            lines = [await far.line() for _ in range(3)]
            began = loop.time()
            answers = await asyncio.gather(*(line.ask(50_000) for line in lines))
            assert answers == [content(50_000)] * 3
            return loop.time() - began

        assert await quickest(lambda: far.run(people), 3.3) == pytest.approx(3.0, rel=0.1)


async def test_with_a_tenth_of_the_packets_lost_every_byte_arrives_and_some_of_them_late(
    kind: PathKind,
) -> None:
    async with remote_server(kind) as far:

        async def people() -> None:
            loop, line, late_s = asyncio.get_running_loop(), await far.line(), 0.0
            await far.here(far.path.set(Weather(loss=0.1)))
            async with asyncio.timeout(WAIT_S):
                while late_s < 0.19:
                    began = loop.time()
                    assert await line.ask(8) == b"0000000 "
                    late_s = loop.time() - began

        await far.run(people)


async def test_in_silence_nothing_passes_and_afterwards_all_of_it(kind: PathKind) -> None:
    async with remote_server(kind) as far:

        async def people() -> bytes:
            line = await far.line()
            await line.ask(1)
            await far.here(far.path.set(Weather(silent=True)))
            line.writer.write(b"100\n")
            assert await line.hears(QUIET_S) is None
            await far.here(far.path.set(FINE))
            async with asyncio.timeout(WAIT_S):
                return await line.reader.readexactly(100)

        assert await far.run(people) == content(100)


async def test_a_cut_ends_every_open_connection_at_both_ends_and_new_ones_pass(kind: PathKind) -> None:
    async with remote_server(kind) as far:

        async def people() -> None:
            lines = [await far.line() for _ in range(3)]
            for line in lines:
                await line.ask(1)
            await far.here(far.path.cut())
            for line in lines:
                assert await line.ends() in {ConnectionResetError, ConnectionAbortedError}
            await (await far.line()).ask(1)

        await far.run(people)
        async with asyncio.timeout(WAIT_S):
            assert [await far.gone.get() for _ in range(3)] == [ConnectionResetError] * 3


async def test_after_a_hand_off_the_old_connection_is_dark_and_a_new_one_passes(kind: PathKind) -> None:
    async with remote_server(kind) as far:
        old, new = await far.run(lambda: _hand_off(far))
        assert (old.address == new.address) == (kind == "userspace")


async def _hand_off(far: RemoteServer) -> tuple[RemoteConnection, RemoteConnection]:
    old = await far.line()
    await old.ask(1)
    await far.here(far.path.hand_off())
    old.writer.write(b"1\n")
    new = await far.line()
    assert await new.ask(1000) == content(1000)
    for writer in await far.here(_writers(far)):
        assert not writer.is_closing()
    assert await old.hears(QUIET_S) is None
    assert far.gone.empty()
    return old, new


async def _writers(far: RemoteServer) -> list[asyncio.StreamWriter]:
    """What the server says to the old address goes the same way as what the old address says."""
    far.accepted[0].write(b"hello?")
    return far.accepted[:1]


async def test_a_cut_after_a_hand_off_does_not_reach_the_old_connection(kind: PathKind) -> None:
    async with remote_server(kind) as far:

        async def people() -> None:
            old = await far.line()
            await old.ask(1)
            await far.here(far.path.hand_off())
            new = await far.line()
            await new.ask(1)
            await far.here(far.path.cut())
            assert await new.ends() is not None
            assert await old.hears(QUIET_S) is None

        await far.run(people)


async def test_what_goes_wrong_with_people_is_raised_to_who_runs_them(kind: PathKind) -> None:
    async def people() -> None:
        raise LookupError("no bread")

    async with remote_server(kind) as far:
        with pytest.raises(LookupError, match="no bread"):
            await far.run(people)


async def test_people_are_cancelled_with_who_runs_them(kind: PathKind) -> None:
    async with remote_server(kind) as far:
        came, went = asyncio.Event(), asyncio.Event()

        async def tell(event: asyncio.Event) -> None:
            event.set()

        async def people() -> None:
            try:
                await far.here(tell(came))
                await asyncio.sleep(3600)
            finally:
                await far.here(tell(went))

        running = asyncio.ensure_future(far.run(people))
        async with asyncio.timeout(WAIT_S):
            await came.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert went.is_set()


async def test_a_path_leads_to_one_server(kind: PathKind) -> None:
    async with remote_server(kind) as far:
        assert far.path.url(far.url).endswith("/x?y")
        with pytest.raises(PathError, match=r"this path leads to 127.0.0.1:\d+, not 127.0.0.1:1$"):
            far.path.url("http://127.0.0.1:1/x")


@pytest.mark.parametrize(
    "url", ["wss://example.com", "ftp://127.0.0.1", "127.0.0.1:80", "http://h:x", "http:"]
)
async def test_an_address_that_no_path_leads_to_is_refused(kind: PathKind, url: str) -> None:
    with pytest.raises(PathError, match=f"^{url}"):
        async with path_to(url, kind, 0):
            pass


def test_the_usual_port_is_meant_where_none_is_named(kind: PathKind) -> None:
    assert ListenAddress.of("http://example.com/x") == ("example.com", 80)
