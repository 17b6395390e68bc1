"""A real hub with streams that a test moves, and the admin app over it."""

import asyncio
from itertools import count

import httpx

from sidecar.admin.app import create_admin
from sidecar.admin.history import History
from sidecar.config.routes import CANARY_ROUTE, RoutePolicy
from sidecar.observability.metrics import Metrics
from sidecar.proxy.readiness import Readiness
from sidecar.sse.event_id import Signer
from sidecar.streams.hub import Hub
from sidecar.streams.states import StreamInput
from sidecar.streams.stream import Stream
from sidecar.streams.timer_wheel import TimerWheel

ROUTES = ("chat", "default", CANARY_ROUTE)
FAR_AHEAD_S = 10_000.0
"""How far the hub's clock is ahead of the loop's: no timer fires by itself during a test."""


class HeldReader:
    """A reader that only stands at a position."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.raw_offset = 0

    def appended(self, events: list[bytes], after: int) -> None:
        """See sidecar.subscribers.Reader."""

    @property
    def proven(self) -> int:
        """See sidecar.subscribers.Reader."""
        return self.position

    def wake(self) -> None:
        """See sidecar.subscribers.Reader."""


class Held:
    """The hub, its clock and what it is asked by."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        numbers = count(1)
        self.now = loop.time() + FAR_AHEAD_S
        self.metrics = Metrics(ROUTES, "1.2.3")
        self.readiness = Readiness()
        self.history = History(self.metrics, lambda: self.now)
        self.hub = Hub(
            Signer(b"k" * 32),
            self.metrics,
            TimerWheel(loop),
            lambda: self.now,
            lambda size: next(numbers).to_bytes(size, "big"),
        )

    def stream(self, route: str = "default", events: int = 0) -> Stream:
        """Start a stream that has so many events."""
        stream = self.hub.create(RoutePolicy(name=route), b"principal")
        stream.advance(StreamInput.BYTES)
        if events:
            stream.accept([b"data: %d\n" % number for number in range(events)])
        return stream

    def client(
        self, *, token: str | None = None, host: str = "127.0.0.1", url: str = "http://localhost:9464"
    ) -> httpx.AsyncClient:
        """Return a client of the admin application; ``host`` is what the listener is bound to."""
        app = create_admin(
            hub=self.hub,
            metrics=self.metrics,
            readiness=self.readiness,
            history=self.history,
            token=token,
            host=host,
        )
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=url)
