"""One request of a client and the answer to it, in the words of the proxy."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from sidecar.config.routes import RoutePolicy
from sidecar.http1 import connection, headers, problem
from sidecar.observability import errors
from sidecar.observability.route_metrics import RouteMetrics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RETRY_AFTER_S = 1
PROXY_NAME = "sse-sidecar"


class ClientGoneError(Exception):
    """The client closed its connection before its request was read."""


class Exchange:
    """Request and response of one ASGI call."""

    __slots__ = (
        "authority",
        "connection",
        "fields",
        "method",
        "metrics",
        "path",
        "policy",
        "query",
        "receive",
        "scheme",
        "scope",
        "send",
        "started",
        "target",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.connection = connection.of(scope)
        self.fields: list[tuple[bytes, bytes]] = scope["headers"]
        self.method: str = scope["method"]
        self.scheme: str = scope["scheme"]
        self.target, self.authority = headers.origin_form(self.connection.raw_target)
        if self.authority is not None:
            self.fields = [(b"host", self.authority), *(f for f in self.fields if f[0] != b"host")]
        self.path, self.query = headers.split_target(self.target)
        self.started = False
        self.policy: RoutePolicy
        self.metrics: RouteMetrics

    @property
    def client(self) -> str:
        """The client's address, without its port."""
        address = self.scope.get("client")
        return address[0] if address else "unknown"

    @property
    def like_eventsource(self) -> bool:
        """Return whether this looks like a native EventSource.

        It gives up permanently on every status but 200.
        """
        return self.method == "GET" and headers.accepts_event_stream(self.fields)

    @property
    def stamped(self) -> bool:
        """Whether this client gets event ids (route option ``stamp``)."""
        stamp = self.policy.stamp
        return stamp == "always" or (stamp == "auto" and headers.accepts_event_stream(self.fields))

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the request's body; raise ClientGoneError if it breaks off."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            more = message.get("more_body", False)
            if message["body"]:
                yield message["body"]

    def while_waiting(self, on_lost: Callable[[], object] | None) -> None:
        """Have ``on_lost`` called if the client leaves from now on."""
        self.connection.on_lost = on_lost
        if self.connection.lost and on_lost is not None:
            on_lost()

    def give_up_with_client(self) -> None:
        """Cancel this very task if the client leaves before there is an answer."""
        task = asyncio.current_task()
        self.while_waiting(task.cancel if task is not None else None)

    async def start(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """Send the response head."""
        self.started = True
        await self.send({"type": "http.response.start", "status": status, "headers": fields})

    async def write(self, body: bytes, *, more: bool) -> None:
        """Send a part of the body."""
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    async def answer(
        self, status: int, fields: list[tuple[bytes, bytes]] | None = None, body: bytes = b""
    ) -> None:
        """Send a whole answer of the sidecar's own."""
        fields = list(fields or [])
        if status not in headers.NO_BODY_STATUS:
            fields.append((b"content-length", b"%d" % len(body)))
        await self.start(status, fields)
        await self.write(body if self.method != "HEAD" else b"", more=False)
        self.metrics.answered(status)

    async def problem(self, error: errors.SidecarError, cors: headers.Fields = ()) -> None:
        """Answer with an error; after the head, abort.

        As problem+json (RFC 9457), with Proxy-Status (RFC 9209).

        ``cors`` are the fields that let a page of another origin read it.
        """
        if self.started:
            self.connection.abort()
            self.metrics.answered(None)
            return
        fields = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store"), *cors]
        if error.proxy_error is not None:
            fields.append((b"proxy-status", f"{PROXY_NAME}; error={error.proxy_error}".encode()))
        if error.retryable:
            fields.append((b"retry-after", b"%d" % RETRY_AFTER_S))
        if isinstance(error, errors.MethodNotAllowed):
            fields.append((b"allow", error.detail.encode()))
        await self.answer(error.status, fields, problem.told(type(error)))
