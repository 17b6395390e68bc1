"""Requests of the public listener in memory, on a stream bench: no socket.

with ExchangeBench() as bench:
answer = await bench.ask("GET", b"/_sse/streams/x")
assert answer.status == 404
"""

from collections.abc import Mapping
from typing import Any, cast

from sidecar.config.routes import RouteTable
from sidecar.http1.connection import EXTENSION
from sidecar.http1.headers import Fields
from sidecar.http1.upstream.client import Upstream
from sidecar.observability import errors
from sidecar.proxy import principal
from sidecar.proxy.auth_check import AuthCheck
from sidecar.proxy.client_reports import ClientReports
from sidecar.proxy.client_request import ClientRequest
from sidecar.proxy.control_api import ControlApi
from sidecar.proxy.exchange import Exchange
from sidecar.proxy.handler import ProxyHandler
from sidecar.proxy.readiness import Readiness
from sidecar.proxy.resume import Resume
from sidecar.streams.stream import Stream
from tests.kit.stream_bench import MemoryConnection, StreamBench

PREFIX = "/_sse"
VIA = "sidecar-1"
BODY_BYTES_MAX = 8
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
        self.readiness = Readiness()
        self.handler = ProxyHandler(
            upstream=self.upstream,
            hub=self.hub,
            routes=RouteTable([self.policy]),
            metrics=self.metrics,
            resume=self.resume,
            control=self.api,
            readiness=self.readiness,
            via=VIA,
            idempotency_body_bytes_max=BODY_BYTES_MAX,
        )

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
        request = ClientRequest.parse({**_scope(wire, method, fields), **(scope or {})}, target)
        metrics = self.metrics.route(self.policy.name)
        return Exchange(request, self.policy, metrics, wire, wire.receive, wire.send), wire

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

    async def handle(
        self,
        method: str = "GET",
        target: bytes = b"/chat",
        fields: Fields = ANN,
        body: list[bytes] | None = None,
        *,
        breaks: bool = False,
    ) -> MemoryAnswer:
        """Serve a request as the public listener does, until it waits.

        ``breaks``: the client disconnects in place of the end of its body.
        """
        wire = MemoryAnswer(body)
        wire.raw_target = target
        wire.broken = breaks
        handled = self.handler(_scope(wire, method, fields), wire.receive, wire.send)
        self.tasks.append(self.loop.create_task(handled))
        await self.settle()
        return wire

    async def _serve(self, exchange: Exchange, wire: MemoryAnswer) -> None:
        async def run() -> None:
            try:
                await self.api.serve(exchange)
            except errors.SidecarError as error:
                await exchange.problem(error, self.api.cors_of_problem(exchange.request.fields))

        self.tasks.append(self.loop.create_task(run()))
        await self.settle()

    def path_of(self, stream: Stream, suffix: str = "") -> bytes:
        """Return the control path of a stream."""
        return f"{PREFIX}/streams/{stream.id}{suffix}".encode()


def _scope(wire: MemoryAnswer, method: str, fields: Fields) -> dict[str, Any]:
    """Return an ASGI scope."""
    return {
        "extensions": {EXTENSION: wire},
        "headers": [(b"host", b"chat.example"), *fields],
        "method": method,
        "scheme": "http",
    }
