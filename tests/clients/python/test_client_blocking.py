"""The client for programs without asyncio: the same stream, from an ordinary thread, left in any way."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from sidecar.client import State, StreamFailed
from sidecar.client.blocking import BlockingEventSource
from tests.kit.deadline import WAIT_S
from tests.kit.fake_sidecar import SIDECAR_HEADERS, STREAM, FakeSidecar, end, event
from tests.kit.fake_upstream import plain, sse
from tests.kit.user_process import user_process

T = TypeVar("T")
QUICK = b"retry: 10\n"


@asynccontextmanager
async def fake() -> AsyncIterator[FakeSidecar]:
    async with FakeSidecar() as up:
        yield up
    assert [thread.name for thread in threading.enumerate() if thread.name == "sse-client"] == []


async def aside(work: Callable[[], T]) -> T:
    """Do blocking work beside the test's own event loop."""
    return await asyncio.to_thread(work)


async def test_it_reads_a_stream_over_a_broken_connection() -> None:
    def read() -> tuple[list[str], State, str]:
        with BlockingEventSource(url) as events:
            return [event.data for event in events], events.state, events.position

    async with fake() as up:
        url = up.url
        up.script(sse(QUICK, event(1, "a"), event(2, "b"), then="reset", headers=SIDECAR_HEADERS))
        up.script(sse(event(3, "c"), end(3), headers=SIDECAR_HEADERS))
        assert await aside(read) == (["a", "b", "c"], State.COMPLETED, f"{STREAM}.3")
        assert [report["at"] for report in up.reports] == ["recovery", "end"]


def test_outside_its_block_it_says_so_and_waits_for_nothing() -> None:
    events = BlockingEventSource("http://127.0.0.1:1/")
    uses: tuple[Callable[[], object], ...] = (
        lambda: next(events),
        events.cancel,
        events.close,
        events.retry_now,
    )
    for use in uses:
        with pytest.raises(RuntimeError, match="use it in `with`"):
            use()
    with events:
        pass
    assert events.state is State.CLOSED
    for use in uses:
        with pytest.raises(RuntimeError, match="use it in `with`"):
            use()


async def test_a_failed_stream_raises_after_its_last_message() -> None:
    def read() -> list[str]:
        with BlockingEventSource(url) as events:
            seen = [next(events).data, next(events).data]
            with pytest.raises(StreamFailed, match=r"^Overloaded$"):
                next(events)
        return seen

    async with fake() as up:
        url = up.url
        up.script(sse(b"data: a\n\n", b'event: error\ndata: {"error":{"message":"Overloaded"}}\n\n'))
        assert (await aside(read))[0] == "a"


async def test_a_program_may_leave_in_the_middle_or_by_an_error_of_its_own() -> None:
    def read() -> State:
        with pytest.raises(KeyError), BlockingEventSource(url) as events:
            raise KeyError(next(events).data)
        return events.state

    async with fake() as up:
        url = up.url
        up.script(sse(event(1, "a"), then="stall", headers=SIDECAR_HEADERS))
        assert await aside(read) is State.CLOSED
        await up.asked[0].closed_by_peer(WAIT_S)
        assert [report["state"] for report in up.reports] == ["closed"]


async def test_another_thread_may_close_it() -> None:
    def read() -> list[str]:
        with BlockingEventSource(url) as events:
            seen = [next(events).data]
            threading.Timer(0.05, events.close).start()
            return seen + [event.data for event in events]

    async with fake() as up:
        url = up.url
        up.script(sse(b"data: a\n\n", then="stall"))
        assert await aside(read) == ["a"]


async def test_cancel_stops_the_generation() -> None:
    def read() -> tuple[bool, State]:
        with BlockingEventSource(url) as events:
            next(events)
            return events.cancel(), events.state

    async with fake() as up:
        url = up.url
        up.script(sse(event(1, "a"), then="stall", headers=SIDECAR_HEADERS), plain(204))
        assert await aside(read) == (True, State.CLOSED)
        assert [(one.method, one.target) for one in up.asked[1:]] == [
            ("POST", f"/_sse/streams/{STREAM}/cancel")
        ]


PROGRAM = """
import sys
from sidecar.client.blocking import EventSource
try:
    with EventSource(sys.argv[1]) as events:
        for event in events:
            print(event.data, flush=True)
except KeyboardInterrupt:
    print("interrupted", events.state, flush=True)
"""


@pytest.mark.timeout(90)
async def test_ctrl_c_while_it_waits_ends_the_program_in_order() -> None:
    async with fake() as up:
        up.script(sse(event(1, "a"), then="stall", headers=SIDECAR_HEADERS))
        command = (sys.executable, "-c", PROGRAM, up.url)
        async with user_process(*command, stderr=subprocess.PIPE) as program:
            assert await program.line(60) == "a"
            program.signal(signal.SIGINT)
            assert await program.finish(60) == (0, "interrupted closed\n", "")


async def test_a_callback_that_would_wait_for_its_own_thread_is_told_so() -> None:
    def read() -> None:
        def tell(*_: object) -> None:
            events.cancel()

        events = BlockingEventSource(url, on_state=tell)
        with events:
            next(events)

    async with fake() as up:
        url = up.url
        up.script(sse(event(1, "a"), then="stall", headers=SIDECAR_HEADERS))
        with pytest.raises(RuntimeError, match="a callback cannot wait"):
            await aside(read)
