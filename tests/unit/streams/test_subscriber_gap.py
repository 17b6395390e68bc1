"""A reader that falls out of the log is told exactly what it missed, also when more is trimmed meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from sidecar.config.routes import RoutePolicy
from sidecar.observability.metrics import Metrics
from sidecar.sse.event_id import Signer
from sidecar.sse.verdict import StreamVerdict
from sidecar.streams.hub import Hub
from sidecar.streams.states import StreamInput
from sidecar.streams.stream import Stream
from sidecar.streams.subscriber import Subscriber
from sidecar.streams.timer_wheel import TimerWheel
from tests.kit.eventsource import parse
from tests.kit.samples import value

POLICY = RoutePolicy(kind="live", log_events_max=2, heartbeat_s=0.0)


class SlowConnection:
    """A connection that takes what it is sent, after ``meanwhile`` has happened; every write has to wait."""

    def __init__(self, meanwhile: Callable[["SlowConnection"], None]) -> None:
        self.raw_target = b"/"
        self.unproven = 0
        self.lost = self.lost_cleanly = self.aborted = False
        self.on_lost: Callable[[], object] | None = None
        self.body = b""
        self._meanwhile = meanwhile

    async def send(self, message: MutableMapping[str, Any]) -> None:
        before, self.body = self.body, self.body + message.get("body", b"")
        if self.body != before:
            self._meanwhile(self)

    def write(self, body: bytes) -> bool:
        return False

    def abort(self) -> None:
        self.aborted = True

    def kill(self) -> None:
        self.aborted = True


@asynccontextmanager
async def live_stream(events: int) -> AsyncIterator[tuple[Stream, Metrics]]:
    loop = asyncio.get_running_loop()
    metrics = Metrics(("default",), "0")
    wheel = TimerWheel(loop)
    hub = Hub(Signer(b"k"), metrics, wheel, loop.time, lambda size: b"r" * size)
    stream = hub.create(POLICY, b"p")
    stream.advance(StreamInput.BYTES)
    append(stream, events)
    yield stream, metrics
    hub.close()
    wheel.close()


def append(stream: Stream, count: int) -> None:
    last = stream.log.last_seq
    for seq in range(last + 1, last + count + 1):
        stream.accept([b"data: %d\n" % seq])
    assert stream.make_room(), "a live log is trimmed, not filled"


def told(body: bytes) -> list[object]:
    """Return the data of each message and the bounds of each gap, in order."""
    return [
        (gap["missed_from"], gap["missed_through"], gap["reason"])
        if event.type == "sse-gap" and (gap := json.loads(event.data))
        else int(event.data)
        for event in parse(body)
    ]


async def read(
    stream: Stream, meanwhile: Callable[[SlowConnection], None], position: int = 0
) -> SlowConnection:
    """Read a stream that ends when its reader waits for more: no write here ever does."""
    wire = SlowConnection(meanwhile)
    subscriber = Subscriber(stream, wire, wire.send, stamped=True, position=position)
    asyncio.get_running_loop().call_soon(
        stream.advance, StreamInput.END, StreamVerdict("eof").ending(events=1)
    )
    await subscriber.run([])
    return wire


async def test_messages_trimmed_before_a_reader_came_are_told_as_a_gap() -> None:
    async with live_stream(5) as (stream, metrics):
        wire = await read(stream, lambda _: None)
        assert told(wire.body) == [(1, 3, "trimmed"), 4, 5]
        assert (
            value(metrics, "sse_messages_lost_total", route="default", stage="sidecar", reason="window") == 3
        )


async def test_messages_trimmed_while_a_gap_was_being_told_are_told_too() -> None:
    async with live_stream(5) as (stream, metrics):
        left = iter([4])
        wire = await read(stream, lambda _: append(stream, next(left, 0)))
        assert told(wire.body) == [(1, 3, "trimmed"), (4, 7, "trimmed"), 8, 9]
        assert (
            value(metrics, "sse_messages_lost_total", route="default", stage="sidecar", reason="window") == 7
        )
        assert stream.ledger.undelivered == 0


async def test_a_position_beyond_the_log_is_told_and_then_everything_that_is_there() -> None:
    async with live_stream(2) as (stream, _):
        wire = await read(stream, lambda _: None, position=9)
        assert told(wire.body) == [(3, 9, "beyond"), 1, 2]


async def test_a_gap_that_did_not_go_out_is_not_counted_and_told_to_whoever_comes_back() -> None:
    def lose(wire: SlowConnection) -> None:
        wire.lost = True

    async with live_stream(5) as (stream, metrics):
        await read(stream, lose)
        assert (
            value(metrics, "sse_messages_lost_total", route="default", stage="sidecar", reason="window") == 0
        )
        wire = await read(stream, lambda _: None)
        assert told(wire.body) == [(1, 3, "trimmed"), 4, 5]


async def test_who_comes_back_and_is_only_sent_away_is_not_back() -> None:
    async with live_stream(1) as (stream, metrics):
        gone = SlowConnection(lambda wire: setattr(wire, "lost", True))
        await Subscriber(stream, gone, gone.send, stamped=True, position=0).run([])
        wire = SlowConnection(lambda _: None)
        subscriber = Subscriber(stream, wire, wire.send, stamped=True, position=1, returning=True)
        subscriber.drain()
        await subscriber.run([])
        resumed = {"route": "default", "side": "client", "outcome": "resumed"}
        assert value(metrics, "sse_reconnect_duration_seconds_count", **resumed) == 0
        assert wire.body.startswith(b"retry: ")
