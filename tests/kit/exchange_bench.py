"""Requests of the public listener in memory, on a stream bench: no socket.

with ExchangeBench() as bench:
answer = await bench.ask("GET", b"/_sse/streams/x")
assert answer.status == 404
"""

from collections.abc import Mapping
from typing import Any, cast

from sidecar.http1.connection import EXTENSION
from sidecar.http1.headers import Fields
from sidecar.http1.upstream.client import Upstream
from sidecar.observability import errors
from sidecar.proxy import principal
from sidecar.proxy.auth_check import AuthCheck
from sidecar.proxy.client_reports import ClientReports
from sidecar.proxy.control_api import ControlApi
from sidecar.proxy.exchange import Exchange
from sidecar.proxy.resume import Resume
from sidecar.streams.stream import Stream
from tests.kit.stream_bench import MemoryConnection, StreamBench

PREFIX = "/_sse"
INPUTS = ("header:authorization",)
ANN: Fields = [(b"authorization", b"Bearer ann")]
ORIGIN = "https://chat.example"


class MemoryAnswer(MemoryConnection):
    """A client's connection with the request that it sends."""

    def __init__(self, body: list[bytes] | None = None) -> None:
        super().__init__()
        self._body = body or [b""]
        self.broken = False

    async def receive(self) -> dict[str, Any]:
        """Return the next part of the request's body, as ASGI has it."""
        if not self._body:
            self.broken = True
            return {"type": "http.disconnect"}
        piece = self._body.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self._body) or self.broken}

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The fields of the response."""
        return dict(cast("Fields", self.messages[0]["headers"]))


class ExchangeBench(StreamBench):
    """A stream bench with a resume and a control API; ``ann`` owns its stream."""

    def __init__(self, *, subscribers_max: int = 10, check: Upstream | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.stream = self.create(principal.fingerprint(INPUTS, ANN))
        self.stream.describe([(b"content-type", b"text/event-stream")], "")
        self.resumes = self.metrics.resumes
        self.resume = Resume(
            self.hub, self.resumes, AuthCheck(check, b"/check", [b"x-user"]), INPUTS, subscribers_max
        )
        self.reports = ClientReports(self.hub, self.metrics.client_reports)
        self.api = ControlApi(PREFIX, self.resume, self.reports, [ORIGIN])

    def exchange(
        self,
        method: str = "GET",
        target: bytes = b"/chat",
        fields: Fields = ANN,
        body: list[bytes] | None = None,
        scope: Mapping[str, Any] | None = None,
    ) -> tuple[Exchange, MemoryAnswer]:
        """Return a request and the connection that receives its answer."""
        wire = MemoryAnswer(body)
        wire.raw_target = target
        base = {
            "extensions": {EXTENSION: wire},
            "headers": [(b"host", b"chat.example"), *fields],
            "method": method,
            "scheme": "http",
        }
        exchange = Exchange({**base, **(scope or {})}, wire.receive, wire.send)
        exchange.policy, exchange.metrics = self.policy, self.metrics.route(self.policy.name)
        return exchange, wire

    async def ask(
        self,
        method: str,
        target: bytes,
        fields: Fields = ANN,
        body: list[bytes] | None = None,
    ) -> MemoryAnswer:
        """Serve a control request; return what the client received."""
        exchange, wire = self.exchange(method, target, fields, body)
        await self._serve(exchange, wire)
        return wire

    async def _serve(self, exchange: Exchange, wire: MemoryAnswer) -> None:
        async def run() -> None:
            try:
                await self.api.serve(exchange)
            except errors.SidecarError as error:
                await exchange.problem(error, self.api.cors_of_problem(exchange.fields))

        self.tasks.append(self.loop.create_task(run()))
        await self.settle()

    def path_of(self, stream: Stream, suffix: str = "") -> bytes:
        """Return the control path of a stream."""
        return f"{PREFIX}/streams/{stream.id}{suffix}".encode()
