"""Forward a request to the upstream, and serve its response."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sidecar.http1 import headers
from sidecar.http1.upstream.client import OutgoingRequest, Upstream
from sidecar.http1.upstream.response import UpstreamResponse
from sidecar.proxy.client_request import ClientRequest
from sidecar.proxy.exchange import Exchange
from sidecar.proxy.pass_through import pass_through
from sidecar.proxy.readiness import Readiness
from sidecar.proxy.resume import Resume
from sidecar.streams.hub import Hub
from sidecar.streams.idempotency import IdempotencyKey
from sidecar.streams.stream import Stream
from sidecar.streams.subscriber import Subscriber
from sidecar.streams.upstream_reader import UpstreamReader

EARLY_FIELDS = [(b"content-type", b"text/event-stream; charset=utf-8")]


@dataclass(frozen=True, slots=True)
class Forward:
    """A request on its way to the upstream.

    ``request`` is what the upstream receives, with ``body`` (None: no body). A stream begins with ``gap``, an
    event that reports missing entries, or nothing. A stream that starts is bound to ``key``.
    """

    exchange: Exchange
    request: ClientRequest
    body: AsyncIterator[bytes] | None = None
    gap: bytes = b""
    key: IdempotencyKey | None = None


class Forwarder:
    """Sends requests to one upstream and serves the responses.

    ``via`` is the sidecar's name in ``Via``.
    """

    def __init__(
        self, upstream: Upstream, hub: Hub, resume: Resume, readiness: Readiness, via: bytes
    ) -> None:
        self._upstream = upstream
        self._hub = hub
        self._resume = resume
        self._readiness = readiness
        self._via = via

    async def forward(self, forward: Forward) -> None:
        """Send a request and serve its response; raise UpstreamError."""
        exchange, request = forward.exchange, forward.request
        outgoing = self._outgoing(forward)
        if exchange.policy.early_start_s and request.accepts_stream:
            exchange.while_waiting(None)
            opening = asyncio.ensure_future(self._upstream.request(outgoing))
            done, _ = await asyncio.wait({opening}, timeout=exchange.policy.early_start_s)
            if not done:
                await self._start_early(forward, outgoing, opening)
                return
            response = opening.result()
        else:
            response = await self._upstream.request(outgoing)
        self._readiness.upstream_ok = True
        if headers.is_event_stream(response.status, request.method, response.fields):
            await self._start_stream(forward, outgoing, response)
        else:
            await pass_through(exchange, response)

    def _outgoing(self, forward: Forward) -> OutgoingRequest:
        request, policy = forward.request, forward.exchange.policy
        return OutgoingRequest(
            request.method,
            request.target,
            headers.request_fields(
                request.fields, client=request.client, scheme=request.scheme, via=self._via
            ),
            forward.body,
            policy.connect_timeout_s,
            policy.first_byte_timeout_s,
            forward.exchange.metrics.upstream_connect_seconds.observe,
        )

    async def _start_early(
        self, forward: Forward, outgoing: OutgoingRequest, opening: asyncio.Future[UpstreamResponse]
    ) -> None:
        """Start a stream before the head arrives (option ``early_start_s``)."""
        stream = self._create(forward, EARLY_FIELDS)
        UpstreamReader(stream, self._upstream, outgoing).start_late(opening)
        await _subscribe(forward, stream)

    async def _start_stream(
        self, forward: Forward, outgoing: OutgoingRequest, response: UpstreamResponse
    ) -> None:
        stream = self._create(forward, response.fields)
        outgoing.body = None
        UpstreamReader(stream, self._upstream, outgoing).start(response)
        await _subscribe(forward, stream)

    def _create(self, forward: Forward, fields: headers.Fields) -> Stream:
        exchange, request = forward.exchange, forward.request
        exchange.while_waiting(None)
        stream = self._hub.create(exchange.policy, self._resume.principal_of(request))
        trace = headers.first(request.fields, b"traceparent") or b""
        stream.describe(headers.stream_fields(fields, stream.id, self._resume.vary), trace.decode("latin-1"))
        if forward.key is not None:
            self._hub.idempotency.bind(forward.key, stream)
        return stream


async def _subscribe(forward: Forward, stream: Stream) -> None:
    """Serve a new stream to the client that started it."""
    exchange, request = forward.exchange, forward.request
    exchange.metrics.answered(200)
    exchange.started = True
    subscriber = Subscriber(
        stream,
        exchange.connection,
        exchange.send,
        stamped=request.is_stamped(exchange.policy),
        control=headers.wants_control_events(request.fields),
        lead=forward.gap,
    )
    await subscriber.run(stream.fields)
