"""An exchange: a client's request, its connection and the answer to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from sidecar.config.routes import RoutePolicy
from sidecar.http1 import connection, headers, problem
from sidecar.observability import errors
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.proxy.client_request import ClientRequest

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RETRY_AFTER_S = 1
PROXY_NAME = "sse-sidecar"


class ClientGoneError(Exception):
    """The client closed its connection before its request was read."""


class Exchange:
    """Request and response of one ASGI call."""

    __slots__ = ("connection", "metrics", "policy", "receive", "request", "send", "started")

    def __init__(  # noqa: PLR0913, PLR0917 - what one ASGI call has
        self,
        request: ClientRequest,
        policy: RoutePolicy,
        metrics: RouteMetrics,
        link: connection.Connection,
        receive: Receive,
        send: Send,
    ) -> None:
        self.request = request
        self.policy = policy
        self.metrics = metrics
        self.connection = link
        self.receive = receive
        self.send = send
        self.started = False
        """Whether the response head is on its way."""

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
        await self.write(body if self.request.method != "HEAD" else b"", more=False)
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
