r"""Streams of a real hub on virtual time, without a socket.

@virtual
async def test_a_stream() -> None:
with StreamBench(linger_s=5.0) as bench:
reader = bench.read(bench.stream)
bench.stream.accept([b"data: a\n"])
await bench.settle()
assert reader.body == b"data: a\nid: ...1\n\n"
"""

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from itertools import count
from typing import Any, Self, cast

from sidecar.config.routes import RoutePolicy
from sidecar.http1.headers import Fields
from sidecar.http1.upstream.client import OutgoingRequest
from sidecar.http1.upstream.response import BodySink, UpstreamResponse
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.observability.metrics import Metrics
from sidecar.sse.event_id import Signer
from sidecar.streams.hub import Budgets, Hub
from sidecar.streams.stream import Stream
from sidecar.streams.subscriber import Subscriber
from sidecar.streams.timer_wheel import TimerWheel
from sidecar.streams.upstream_reader import UpstreamReader
from tests.kit.samples import value
from tests.kit.virtual_time import run_virtually

PRINCIPAL = b"principal"
EVENT_STREAM: Fields = [(b"content-type", b"text/event-stream")]
TURNS = 10
"""Turns of the event loop in which everything that is ready has run."""


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test on a loop whose clock waits for nothing."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        run_virtually(test(*args, **kwargs))

    return run


class MemoryConnection:
    """A client's connection in memory.

    ``gate`` holds back every send while it is clear.
    """

    def __init__(self) -> None:
        self.raw_target = b"/"
        self.unproven = 0
        self.lost = self.lost_cleanly = self.aborted = self.killed = False
        self.on_lost: Callable[[], object] | None = None
        self.takes_writes = True
        self.messages: list[MutableMapping[str, Any]] = []
        self.body = b""
        self.complete = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take an ASGI message."""
        await self.gate.wait()
        if self.lost:
            return
        self.messages.append(message)
        self.body += message.get("body", b"")
        self.complete |= message["type"] == "http.response.body" and not message["more_body"]

    def write(self, body: bytes) -> bool:
        """Implements Connection."""
        if self.takes_writes:
            self.body += body
        return self.takes_writes

    def lose(self, *, cleanly: bool = False) -> None:
        """Close the connection from the client's side."""
        self.lost, self.lost_cleanly = True, cleanly
        if self.on_lost is not None:
            self.on_lost()

    def abort(self) -> None:
        """Implements Connection."""
        self.aborted = True

    def kill(self) -> None:
        """Implements Connection."""
        self.aborted = self.killed = True
        self.gate.set()
        self.lose()

    @property
    def status(self) -> int:
        """The status of the response."""
        return cast("int", self.messages[0]["status"])


class MemoryResponse:
    """A backend's response in memory.

    A test calls the methods of ``sink`` in place of a socket.
    """

    def __init__(
        self,
        status: int = 200,
        fields: Fields | None = None,
        chunks: Iterable[bytes | errors.UpstreamError] = (),
    ) -> None:
        self.status = status
        self.fields = EVENT_STREAM if fields is None else fields
        self._chunks = iter(chunks)
        self.sink: BodySink | None = None
        self.paused = self.closed = False

    async def read(self) -> bytes:
        """Implements UpstreamResponse: return, or raise, the next of ``chunks``."""
        chunk = next(self._chunks, b"")
        if isinstance(chunk, errors.UpstreamError):
            raise chunk
        return chunk

    def relay(self, sink: BodySink) -> None:
        """Implements UpstreamResponse."""
        self.sink = sink

    def pause(self) -> None:
        """Implements UpstreamResponse."""
        self.paused = True

    def resume(self) -> None:
        """Implements UpstreamResponse."""
        self.paused = False

    def close(self) -> None:
        """Implements UpstreamResponse."""
        self.closed = True


class MemoryUpstream:
    """A backend in memory: it returns, awaits or raises its ``answers``."""

    def __init__(self) -> None:
        self.answers: deque[MemoryResponse | BaseException | Awaitable[UpstreamResponse]] = deque()
        self.requests: list[OutgoingRequest] = []

    async def request(self, request: OutgoingRequest) -> UpstreamResponse:
        """Implements Upstream."""
        self.requests.append(request)
        answer = self.answers.popleft()
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, MemoryResponse) else await answer


class StreamBench:
    """A hub on the loop's clock; options are those of the one route."""

    def __init__(self, budgets: Budgets | None = None, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        numbers = count(1)
        self.loop = loop
        self.policy = RoutePolicy(**options)
        self.metrics = Metrics((self.policy.name, "default"), "0")
        self.wheel = TimerWheel(loop)
        self.outcomes: list[Outcome] = []
        self.hub = Hub(
            Signer(b"k" * 32),
            self.metrics,
            self.wheel,
            loop.time,
            lambda size: next(numbers).to_bytes(size, "big"),
            budgets,
            lambda _stream, outcome: self.outcomes.append(outcome),
        )
        self.stream = self.create()
        self.upstream = MemoryUpstream()
        self.tasks: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        self.hub.close()
        self.wheel.close()

    def create(self, principal: bytes = PRINCIPAL) -> Stream:
        """Start a stream of the route."""
        return self.hub.create(self.policy, principal)

    def source(self, response: MemoryResponse | None = None) -> MemoryResponse:
        """Feed the stream from a response, as the proxy does; return the response."""
        response = response or MemoryResponse()
        self.reader = UpstreamReader(self.stream, self.upstream, self.request(), wait_s=lambda _: 1.0)
        self.reader.start(response)
        return response

    def source_late(self, response: Awaitable[UpstreamResponse]) -> UpstreamReader:
        """Feed the stream from a response whose head is not here yet."""
        self.reader = UpstreamReader(self.stream, self.upstream, self.request(), wait_s=lambda _: 1.0)
        self.reader.start_late(response)
        return self.reader

    @staticmethod
    def request() -> OutgoingRequest:
        """Return the request that an upstream is sent again."""
        return OutgoingRequest("GET", b"/", [(b"last-event-id", b"old")])

    def read(
        self, stream: Stream | None = None, connection: MemoryConnection | None = None, **options: Any
    ) -> MemoryConnection:
        """Read a stream in a task; options are those of a subscriber."""
        connection = connection or MemoryConnection()
        options = {"stamped": True, **options}
        self.subscriber = Subscriber(stream or self.stream, connection, connection.send, **options)
        self.tasks.append(self.loop.create_task(self.subscriber.run([])))
        return connection

    async def settle(self) -> None:
        """Let everything run that is ready, without time passing."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def pass_s(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)
        await self.settle()

    def wire(self, *events: bytes, first: int = 1) -> bytes:
        """Return events as a stamped client receives them."""
        name = self.stream.id.encode()
        return b"".join(b"%bid: %b.%d\n\n" % (event, name, seq) for seq, event in enumerate(events, first))

    def metrics_value(self, name: str, **labels: str) -> float:
        """Return the value of a series without a route."""
        return value(self.metrics, name, **labels)

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a series of the route."""
        return value(self.metrics, name, route=self.policy.name, **labels)
