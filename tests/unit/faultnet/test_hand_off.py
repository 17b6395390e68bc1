"""A hand-off in userspace: what was open goes dark, and neither end is told."""

import asyncio
import socket

import pytest

from sidecar.faultnet.dark import Dark
from tests.kit.deadline import WAIT_S, within
from tests.kit.wired import Pair, wired

QUIET_S = 0.15
"""So long nothing may be heard where nothing shall pass."""


async def _silent(pair: Pair) -> bool:
    return await pair.client.silent_for(QUIET_S)


async def _visit(port: int) -> None:
    """Connect and wait for the end; raises OSError if it is none."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_recv(client, 1)


async def _closed(pair: Pair) -> str:
    """Return how the client's end was closed."""
    async with within(WAIT_S, lambda: "the client's end is open"):
        while await pair.client.read():
            pass
    return pair.client.closed_with


async def test_open_connections_are_dark_for_good_and_new_ones_pass() -> None:
    async with wired() as ends:
        pair = await ends.pair()
        ends.network.hand_off()
        new = await ends.pair()
        assert await new.down(b"new") == b"new"
        await pair.server.write(b"down")
        await pair.client.send(b"up")
        assert await _silent(pair)
        ends.network.clear()
        ends.network.cut()
        assert await _silent(pair)
        assert pair.server.departure == ""
        assert await _closed(new) == "reset"


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_neither_end_learns_how_the_other_left(how: str) -> None:
    async with wired() as ends:
        pair, other = await ends.pair(), await ends.pair()
        ends.network.hand_off()
        await (pair.server.fin() if how == "fin" else pair.server.reset())
        await (other.client.close() if how == "fin" else other.client.cut())
        assert await _silent(pair)
        assert other.server.departure == ""


async def test_the_server_drops_it_in_the_end() -> None:
    left, right = socket.socketpair()
    client, server = socket.socketpair()
    for end in (client, server, left, right):
        end.setblocking(False)
    dark = asyncio.ensure_future(Dark(client, left, give_up_s=0.05).run())
    async with within(WAIT_S, lambda: "it holds the server's end"):
        assert await asyncio.get_running_loop().sock_recv(right, 1) == b""
    assert not dark.done()
    server.close()
    async with within(WAIT_S, lambda: "it holds the client's end"):
        await dark
    right.close()


async def test_what_is_dark_counts_among_the_open_ones() -> None:
    async with wired() as ends:
        ends.network._connections_max = 1
        await ends.pair()
        ends.network.hand_off()
        with pytest.raises(ConnectionResetError):
            await _visit(ends.network.port)
