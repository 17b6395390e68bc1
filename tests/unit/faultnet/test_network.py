"""The network with faults does to real connections what it is told, and nothing else."""

import asyncio
import socket
from collections.abc import Awaitable
from pathlib import Path

import pytest

from sidecar.faultnet.faults import TOXICS_MAX
from sidecar.faultnet.link import PIECES_MAX, READ_BYTES
from sidecar.faultnet.network import FaultyNetwork
from sidecar.faultnet.toxics import (
    Bandwidth,
    Down,
    Latency,
    LimitData,
    PacketLoss,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)
from tests.kit.deadline import WAIT_S, within
from tests.kit.wired import Pair, Wired, wired

QUIET_S = 0.15
"""So long nothing may be heard where nothing shall pass."""

MIB = 1024 * 1024


async def _silent(pair: Pair) -> bool:
    return await pair.client.silent_for(QUIET_S)


async def _closed(pair: Pair) -> str:
    """Return how the client's end was closed."""
    async with within(WAIT_S, lambda: "the client's end is open"):
        while await pair.client.read():
            pass
    return pair.client.closed_with


class TestWithoutFaults:
    async def test_bytes_pass_both_ways_whatever_their_number(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            said = bytes(range(256)) * 8192
            down, up = await asyncio.gather(pair.down(said), pair.up(said))
            assert (down == said, up == said) == (True, True)

    async def test_a_client_that_has_said_all_still_hears_the_answer(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            pair.client._socket.shutdown(1)
            await pair.server.closed_by_peer(WAIT_S)
            assert pair.server.departure == "fin"
            assert await pair.down(b"answer") == b"answer"
            await pair.server.fin()
            assert await _closed(pair) == "fin"

    async def test_the_servers_end_arrives_as_an_end_and_its_reset_as_a_reset(self) -> None:
        async with wired() as ends:
            pair, other = await ends.pair(), await ends.pair()
            await pair.server.fin()
            assert await _closed(pair) == "fin"
            await other.server.reset()
            assert await _closed(other) == "reset"

    async def test_a_clients_reset_arrives_at_the_server(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            await pair.client.cut()
            await pair.server.closed_by_peer(WAIT_S)
            assert pair.server.departure == "reset"

    async def test_a_server_that_nobody_finds_resets_the_client(self) -> None:
        async with FaultyNetwork("127.0.0.1", 1) as network:
            ends = Wired(network, asyncio.Queue())
            client = await ends.connect()
            assert await client.read_to_close() == b""
            assert client.closed_with == "reset"
            await ends.close()

    async def test_a_sender_feels_a_reader_that_takes_nothing(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            sent = asyncio.ensure_future(pair.server.write(bytes(64 * MIB)))
            link = next(iter(ends.network._connections.values())).down
            assert link is not None
            before = -1
            async with within(WAIT_S, lambda: "it takes more and more"):
                while before != link.passed_bytes or not link.passed_bytes:
                    before = link.passed_bytes
                    await asyncio.sleep(QUIET_S)
            assert not sent.done()
            assert link._pieces.qsize() <= PIECES_MAX
            assert PIECES_MAX * READ_BYTES <= MIB
            sent.cancel()

    async def test_it_leaves_no_file_open(self) -> None:
        before = _open_files()
        for _ in range(3):
            async with wired() as ends:
                pair = await ends.pair()
                await pair.down(b"1")
                await ends.connect()
        assert _open_files() <= before


class TestCut:
    async def test_both_ends_of_every_open_connection_are_reset_and_new_ones_pass(self) -> None:
        async with wired() as ends:
            pairs = [await ends.pair() for _ in range(3)]
            assert ends.network.live == 3
            ends.network.cut()
            for pair in pairs:
                assert await _closed(pair) == "reset"
                await pair.server.closed_by_peer(WAIT_S)
                assert pair.server.departure == "reset"
            new = await ends.pair()
            assert await new.down(b"again") == b"again"
            assert (ends.network.accepted, ends.network.live) == (4, 1)

    async def test_down_refuses_until_all_is_well_again_at_the_same_port(self) -> None:
        async with wired() as ends:
            pair, port = await ends.pair(), ends.network.port
            ends.network.add(Down())
            assert await _closed(pair) == "reset"
            with pytest.raises(ConnectionRefusedError):
                await ends.connect()
            ends.network.remove(Down())
            assert ends.network.port == port
            assert await (await ends.pair()).down(b"1") == b"1"

    async def test_while_it_is_down_nobody_else_gets_its_port(self) -> None:
        async with wired() as ends:
            ends.network.add(Down())
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", ends.network.port))
            ends.network.clear()
            assert await (await ends.pair()).down(b"1") == b"1"


class TestBlackhole:
    async def test_nothing_passes_either_way_and_all_of_it_after_it_healed(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.blackhole()
            await pair.server.write(b"down")
            await pair.client.send(b"up")
            assert await _silent(pair)
            assert pair.server._unread == b""
            ends.network.heal()
            assert (await pair.heard(4), await pair.heard_above(2)) == (b"down", b"up")

    @pytest.mark.parametrize("how", ["fin", "reset"])
    async def test_not_even_the_end_of_a_connection_passes(self, how: str) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.blackhole()
            await (pair.server.fin() if how == "fin" else pair.server.reset())
            assert await _silent(pair)
            ends.network.heal()
            assert await _closed(pair) == how

    async def test_a_new_connection_gets_nowhere_until_it_healed(self) -> None:
        async with wired() as ends:
            ends.network.blackhole()
            waiting = asyncio.ensure_future(ends.pair())
            await asyncio.wait({waiting}, timeout=QUIET_S)
            assert not waiting.done()
            ends.network.heal()
            assert await (await waiting).down(b"1") == b"1"

    async def test_a_stall_is_silent_towards_the_client_only(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.stall()
            await pair.server.write(b"down")
            assert await pair.up(b"up") == b"up"
            assert await _silent(pair)
            ends.network.heal()
            assert await pair.heard(4) == b"down"

    async def test_healing_leaves_other_toxics_in_force(self) -> None:
        async with wired() as ends:
            ends.network.add(LimitData(limit_bytes=3))
            ends.network.blackhole()
            ends.network.heal()
            pair = await ends.pair()
            await pair.server.write(b"12345")
            assert await pair.heard(5) == b"123"


class TestDroppedBytes:
    async def test_so_many_bytes_of_what_comes_next_vanish_from_each_open_connection(self) -> None:
        async with wired() as ends:
            pairs = [await ends.pair(), await ends.pair()]
            assert [await pair.down(b"before") for pair in pairs] == [b"before"] * 2
            ends.network.drop_bytes(4)
            for pair in pairs:
                await pair.server.write(b"abcdef")
                assert await pair.heard(2) == b"ef"
            new = await ends.pair()
            assert await new.down(b"abcdef") == b"abcdef"

    async def test_they_may_vanish_over_several_pieces_and_what_goes_up_is_whole(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            await pair.down(b"-")
            ends.network.drop_bytes(5)
            await pair.server.write(b"abc")
            assert await _silent(pair)
            await pair.server.write(b"defg")
            assert await pair.heard(2) == b"fg"
            assert await pair.up(b"abcdefg") == b"abcdefg"


class TestToxics:
    async def test_latency_delays_every_byte_of_open_and_of_new_connections_in_its_direction(self) -> None:
        async with wired() as ends:
            pairs = [await ends.pair()]
            ends.network.add(Latency(latency_s=0.2))
            pairs.append(await ends.pair())
            for pair in pairs:
                assert await _took(pair.down(b"down")) >= 0.2

    async def test_jitter_never_changes_the_order(self) -> None:
        async with wired(seed=7) as ends:
            pair = await ends.pair()
            ends.network.add(Latency(latency_s=0.02, jitter_s=0.02))
            said = [b"%03d" % number for number in range(60)]
            for piece in said:
                await pair.server.write(piece)
                await asyncio.sleep(0)
            assert await pair.heard(180) == b"".join(said)

    async def test_what_is_late_comes_at_once_when_the_toxic_is_removed(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.add(Latency(latency_s=3600))
            await pair.server.write(b"late")
            assert await pair.up(b"in time") == b"in time"
            assert await _silent(pair)
            ends.network.remove(Latency(latency_s=3600))
            assert await pair.heard(4) == b"late"

    async def test_bandwidth_lets_so_many_bytes_pass_in_a_second(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.add(Bandwidth(rate_bytes=20_000))
            assert await _took(pair.down(bytes(10_000))) >= 0.45

    async def test_a_shared_bandwidth_is_that_of_all_connections_together(self) -> None:
        async with wired() as ends:
            pairs = [await ends.pair() for _ in range(4)]
            ends.network.add(Bandwidth(rate_bytes=20_000, shared=True))
            assert await _took(asyncio.gather(*(pair.down(bytes(2_500)) for pair in pairs))) >= 0.45

    async def test_who_waits_for_a_slow_link_goes_on_at_once_when_it_is_quick_again(self) -> None:
        async with wired() as ends:
            pairs = [await ends.pair() for _ in range(2)]
            slow = Bandwidth(rate_bytes=1, shared=True)
            ends.network.add(slow)
            for pair in pairs:
                await pair.server.write(b"1234")
            assert await pairs[0].heard(1) == b"1"
            ends.network.remove(slow)
            assert (await pairs[0].heard(3), await pairs[1].heard(4)) == (b"234", b"1234")

    async def test_what_was_lost_arrives_later_in_order_and_whole(self) -> None:
        async with wired(seed=5) as ends:
            pair = await ends.pair()
            ends.network.add(PacketLoss(share=0.5, again_s=0.05))
            said = [b"%03d" % number for number in range(20)]
            for piece in said:
                await pair.server.write(piece)
                await asyncio.sleep(0.001)
            assert await _took(pair.heard(60)) >= 0.04

    async def test_a_share_of_nothing_delays_nothing_and_one_of_all_does_not_last_for_ever(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.add(PacketLoss(share=0.0, again_s=3600), PacketLoss(share=1.0, again_s=0.0001))
            assert await pair.down(b"1") == b"1"

    async def test_a_slow_close_holds_the_end_back_and_not_the_bytes(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.add(SlowClose(delay_s=0.3))
            await pair.server.write(b"last words")
            ended_at = asyncio.get_running_loop().time()
            await pair.server.fin()
            assert await pair.heard(10) == b"last words"
            assert await _closed(pair) == "fin"
            assert asyncio.get_running_loop().time() - ended_at >= 0.29

    async def test_a_timeout_lets_nothing_pass_and_closes_in_the_end(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.add(Timeout(timeout_s=0.2))
            await pair.server.write(b"lost")
            assert await pair.heard(4) == b""
            assert pair.client.closed_with == "fin"

    async def test_reset_peer_resets_open_connections_and_new_ones_after_its_time(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.add(ResetPeer(timeout_s=0.1))
            assert await _closed(pair) == "reset"
            new = await ends.pair()
            assert await _closed(new) == "reset"
            await new.server.closed_by_peer(WAIT_S)

    async def test_a_slicer_cuts_what_passes_into_pieces_with_pauses(self) -> None:
        async with wired(seed=3) as ends:
            pair = await ends.pair()
            ends.network.add(Slicer(average_bytes=10, variation_bytes=4, delay_s=0.01))
            await pair.server.write(bytes(100))
            sizes: list[int] = []
            while sum(sizes) < 100:
                sizes.append(len(await pair.client.read()))
            assert len(sizes) > 3

    async def test_limit_data_closes_when_so_many_bytes_have_passed(self) -> None:
        async with wired() as ends:
            ends.network.add(LimitData(limit_bytes=6))
            pair = await ends.pair()
            await pair.server.write(b"1234")
            assert await pair.heard(4) == b"1234"
            await pair.server.write(b"5678")
            assert await pair.heard(4) == b"56"
            assert pair.client.closed_with == "fin"

    async def test_a_toxic_of_both_directions_hits_both(self) -> None:
        async with wired() as ends:
            pair = await ends.pair()
            ends.network.add(Latency(latency_s=0.1, direction="both"))
            assert await _took(pair.down(b"1")) >= 0.1
            assert await _took(pair.up(b"1")) >= 0.1

    async def test_a_toxicity_hits_its_share_of_connections_and_with_the_same_seed_the_same(self) -> None:
        async def hit(seed: int) -> list[bool]:
            async with wired(seed) as ends:
                ends.network.add(LimitData(limit_bytes=1, toxicity=0.5))
                pairs = [await ends.pair() for _ in range(20)]
                return [await pair.down(b"12") != b"12" for pair in pairs]

        first = await hit(1)
        assert 0 < sum(first) < 20
        assert (await hit(1), await hit(2) != first) == (first, True)

    async def test_toxics_are_bounded_in_number(self) -> None:
        async with wired() as ends:
            ends.network.add(*[Toxic()] * TOXICS_MAX)
            with pytest.raises(ValueError, match="more than 32 toxics"):
                ends.network.add(Toxic())


async def _took(waiting: Awaitable[object]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await waiting
    return loop.time() - began


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_a_crowd_that_comes_at_once_is_let_in_at_once() -> None:
    crowd, turns = 200, 20
    async with FaultyNetwork("127.0.0.1", 1) as network:
        people = [socket.create_connection(("127.0.0.1", network.port)) for _ in range(crowd)]
        for _ in range(turns):
            await asyncio.sleep(0)
        assert network.accepted == crowd
        for person in people:
            person.close()
