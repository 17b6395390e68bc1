"""Promises of the scripted upstream to a test: what goes wrong at it does not stay unseen."""

import asyncio
import socket

import pytest

from tests.kit.client import SSEClient
from tests.kit.fake_upstream import FakeUpstream, UpstreamConnection, plain

GET = b"GET /a HTTP/1.1\r\n\r\n"


async def send(up: FakeUpstream, request: bytes) -> None:
    async with SSEClient(up.host, up.port).connect() as connection:
        await connection.send(request)
        await connection.read_to_close()


async def test_an_unscripted_request_fails_the_test() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="request 0: GET /a")):
        async with FakeUpstream() as up:
            await send(up, GET)


@pytest.mark.parametrize(
    "error", [KeyError("x"), AssertionError("x"), ConnectionRefusedError("not the peer's")]
)
async def test_a_script_that_fails_fails_the_test(error: Exception) -> None:
    async def broken(connection: UpstreamConnection) -> None:
        raise error

    with pytest.RaisesGroup(type(error)):
        async with FakeUpstream() as up:
            up.script(broken)
            await send(up, GET)


async def test_malformed_chunks_of_a_request_fail_the_test() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="not a chunk size")):
        async with FakeUpstream() as up:
            up.script(plain())
            await send(up, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n")


async def fail_beside_a_failing_upstream() -> None:
    async with FakeUpstream() as up:
        await send(up, GET)
        raise LookupError("the test's own")


async def fail_beside_a_sound_upstream() -> None:
    async with FakeUpstream():
        raise LookupError("the test's own")


async def test_a_failing_test_also_reports_the_upstream_s_failure() -> None:
    with pytest.raises(LookupError) as failure:
        await fail_beside_a_failing_upstream()
    assert "request 0: GET /a" in failure.value.__notes__[0]


async def test_a_sound_upstream_adds_nothing_to_a_failing_test() -> None:
    with pytest.raises(LookupError) as failure:
        await fail_beside_a_sound_upstream()
    assert not hasattr(failure.value, "__notes__")


@pytest.mark.parametrize("turns", range(4))
async def test_a_connection_during_shutdown_is_closed(turns: int) -> None:
    with socket.socket() as late:
        async with FakeUpstream() as up:
            late.connect((up.host, up.port))
            for _ in range(turns):
                await asyncio.sleep(0)
        late.settimeout(1)
        with pytest.raises(ConnectionResetError):
            late.recv(1)
