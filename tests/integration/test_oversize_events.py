"""An event above the limit passes through as it is: bounded memory, no ids from there on, and no resume."""

import asyncio

import pytest

from sidecar.sse.framing import EVENT_BYTES_MAX
from sidecar.streams.passthrough import RAW_BYTES_MAX
from tests.kit.client import SSEClient
from tests.kit.fake_upstream import sse
from tests.kit.protocols import OPENAI
from tests.kit.relayed import relayed
from tests.kit.running import RunningSidecar

PIECE = b"x" * (64 * 1024)
PIECES = 2 * EVENT_BYTES_MAX // len(PIECE)
LARGE = (b"data: ", *[PIECE] * PIECES, b"\n\n")
SIZE = len(PIECE) * PIECES


async def resumed_status(sc: RunningSidecar, stream: str | None, after: int) -> int:
    async with sc.client.resume(f"{stream}.{after}") as response:
        return response.status


async def test_an_event_above_the_limit_crosses_unstamped_and_the_stream_is_not_resumable_from_then_on() -> (
    None
):
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\n", *LARGE, b"data: 3\n\n"))
        async with sc.client.open("GET", "/feed") as response:
            await response.read_to_end()
        stream = response.header("SSE-Stream")
        assert response.ended == "clean"
        assert [len(event.data) for event in response.seen] == [1, SIZE, 1]
        assert response.raw.count(b"\nid: ") == 1
        assert await resumed_status(sc, stream, 1) == 410
        assert sc.metric("sse_continuity_unproven_total", reason="oversize_event") == 1
        assert sc.outcomes() == {"completed": 1, "resume_expired": 1}


@pytest.mark.parametrize(
    ("terminal", "ended"), [(OPENAI.terminal, "clean"), (b"", "aborted")], ids=["whole", "truncated"]
)
async def test_the_terminal_of_a_known_protocol_is_still_found_behind_it(terminal: bytes, ended: str) -> None:
    async with relayed() as (up, sc):
        up.script(sse(OPENAI.first, *LARGE, OPENAI.first, terminal))
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.read_to_end()
        assert response.ended == ended
        assert sc.outcomes() == ({"completed": 1} if terminal else {"upstream_truncated": 1})


async def test_a_failure_behind_it_is_an_abort() -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(*LARGE, gate, then="reset"))
        async with sc.client.open("GET", "/feed") as response:
            await response.event()
            gate.set()
            await response.read_to_end()
        assert response.ended == "aborted"
        assert sc.outcomes() == {"upstream_truncated": 1}


async def test_a_slow_reader_of_it_makes_the_backend_wait() -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: ", *[PIECE] * (4 * PIECES), b"\n\n"))
        async with SSEClient("127.0.0.1", sc.port, rcvbuf_bytes=4096).open("GET", "/feed") as response:
            await response.read_until(b"x" * EVENT_BYTES_MAX)
            (stream,) = sc.parts.hub.streams.values()
            (reader,) = stream.readers
            before = -1
            while stream.raw is None or before != stream.raw.end:
                before = stream.raw.end if stream.raw is not None else -1
                await asyncio.sleep(0.2)
            assert before - reader.raw_offset <= RAW_BYTES_MAX + 256 * 1024
            await response.read_to_end(20)
        assert (response.ended, len(response.seen[0].data)) == ("clean", 4 * SIZE)


async def test_it_ends_with_its_reader_since_nobody_could_come_back() -> None:
    async with relayed({"linger_s": 60}) as (up, sc):
        up.script(sse(*LARGE, then="stall"))
        async with sc.client.open("GET", "/feed") as response:
            await response.event()
            await response.leave()
        await up.connections[0].closed_by_peer(1.0)
        assert sc.outcomes() == {"client_left": 1}


async def test_a_second_reader_cannot_join_it() -> None:
    async with relayed() as (up, sc):
        up.script(sse(*LARGE, then="stall"))
        async with sc.client.open("GET", "/feed") as response:
            await response.event()
            joined = await sc.client.fetch("GET", f"/_sse/streams/{response.header('SSE-Stream')}")
            assert (joined.status, joined.json()["code"]) == (410, "err-sidecar-not-resumable")


async def test_a_request_repeated_by_its_key_is_told_that_it_cannot_have_it_again() -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\n", *LARGE, then="stall"))
        key = ("Idempotency-Key", "k")
        async with sc.client.open("POST", "/v1/chat", [key], b"{}") as response:
            await response.take(2)
            again = await sc.client.fetch("POST", "/v1/chat", [key], b"{}")
            assert (again.status, again.json()["code"]) == (410, "err-sidecar-not-resumable")
        assert len(up.requests) == 1


async def test_a_line_without_end_costs_no_more_than_the_limit() -> None:
    async with relayed() as (up, sc):
        up.script(sse(*[PIECE] * (4 * PIECES)))
        async with sc.client.open("GET", "/feed") as response:
            await response.read_to_end()
        assert response.raw == PIECE * (4 * PIECES)
