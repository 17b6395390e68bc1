"""The public listener's ASGI app: stream, resume or pass through."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from sidecar.config.routes import RouteTable
from sidecar.http1 import headers
from sidecar.http1.upstream.client import OutgoingRequest, Upstream, has_body
from sidecar.http1.upstream.response import UpstreamResponse
from sidecar.observability import errors, log_events
from sidecar.observability.labels import ResumeResult, SilentDisposition, SilentKind, UnprovenReason
from sidecar.observability.metrics import Metrics
from sidecar.proxy.control_api import ControlApi
from sidecar.proxy.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from sidecar.proxy.readiness import Readiness
from sidecar.proxy.resume import Resume
from sidecar.sse.control_events import gap_event
from sidecar.streams.hub import Hub
from sidecar.streams.idempotency import IdempotencyKey
from sidecar.streams.stream import Stream
from sidecar.streams.subscriber import Subscriber
from sidecar.streams.upstream_reader import UpstreamReader

IDEMPOTENCY_KEY_BYTES_MAX = 256
EARLY_FIELDS = [(b"content-type", b"text/event-stream; charset=utf-8")]


class ProxyHandler:
    """Handle every request of the public listener, for one upstream."""

    def __init__(  # noqa: PLR0913 - the parts it is composed of, each with a name
        self,
        *,
        upstream: Upstream,
        hub: Hub,
        routes: RouteTable,
        metrics: Metrics,
        resume: Resume,
        control: ControlApi,
        readiness: Readiness,
        via: str,
        idempotency_body_bytes_max: int,
    ) -> None:
        self._upstream = upstream
        self._hub = hub
        self._routes = routes
        self._metrics = metrics
        self._resume = resume
        self._control = control
        self._readiness = readiness
        self._via = via.encode()
        self._body_bytes_max = idempotency_body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        An error becomes an answer or, after the head, an abort.
        """
        exchange = Exchange(scope, receive, send)
        exchange.policy = self._routes.match(exchange.method, exchange.path.decode("latin-1"))
        exchange.metrics = self._metrics.route(exchange.policy.name)
        try:
            await self._serve(exchange)
        except errors.SidecarError as error:
            self._readiness.upstream_ok &= not isinstance(error, errors.UpstreamRefused)
            log_events.request_failed(exchange.method, exchange.target, exchange.policy.name, error)
            await exchange.problem(error, self._control.cors_of_problem(exchange.fields))
        except ClientGoneError:
            exchange.metrics.answered(None)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not exchange.connection.lost:
                raise
            task.uncancel()
            exchange.metrics.answered(None)
        except Exception as error:  # noqa: BLE001 - the top of the task: logged, counted and told
            log_events.task_failed(error, "request")
            await exchange.problem(errors.InternalError())

    async def _serve(self, exchange: Exchange) -> None:
        if b"@" in (exchange.authority or b""):
            raise errors.RequestError("userinfo in the target")
        if self._control.owns(exchange.path):
            await self._control.serve(exchange)
            return
        if b"websocket" in (headers.first(exchange.fields, b"upgrade") or b"").lower():
            raise errors.UpgradeUnsupported
        if headers.passed_by(exchange.fields, self._via):
            raise errors.ProxyLoop
        position = self._resume.position_of(exchange)
        if position is None:
            if self._resume.draining and headers.accepts_event_stream(exchange.fields):
                await self._resume.shed(exchange)
            else:
                await self._forward(exchange)
            return
        if not await self._resume.resume(exchange, position):
            exchange.target = headers.without_position(exchange.target)
            exchange.fields = [field for field in exchange.fields if field[0] != headers.LAST_EVENT_ID]
            lead = gap_event(position.seq + 1, None, "expired")
            self._metrics.resumes[ResumeResult.GAP].inc()
            await self._forward(exchange, lead)

    async def _forward(self, exchange: Exchange, lead: bytes = b"") -> None:
        body = exchange.body() if has_body(exchange.fields) else None
        key = self._key_of(exchange)
        if key is None:
            exchange.give_up_with_client()
            await self._ask(exchange, body, lead)
            return
        await self._once(exchange, key, body, lead)

    def _key_of(self, exchange: Exchange) -> IdempotencyKey | None:
        key = headers.first(exchange.fields, b"idempotency-key")
        if (
            key is None
            or not key
            or len(key) > IDEMPOTENCY_KEY_BYTES_MAX
            or exchange.method in ("GET", "HEAD")
        ):
            return None
        return key, self._resume.principal_of(exchange), exchange.method, exchange.target

    async def _once(
        self, exchange: Exchange, key: IdempotencyKey, body: AsyncIterator[bytes] | None, lead: bytes
    ) -> None:
        """Send one request for an idempotency key; join its stream later."""
        held, rest = await _hold(body, self._body_bytes_max)
        if rest is not None:
            log_events.key_ignored(exchange.policy.name, self._body_bytes_max)
            exchange.give_up_with_client()
            await self._ask(exchange, _chain(held, rest), lead)
            return
        digest = hashlib.sha256(held).digest()
        while True:
            claim, new = self._hub.idempotency.take(key, digest)
            if new:
                break
            exchange.give_up_with_client()
            stream = await asyncio.shield(claim.opened) if claim is not None else None
            exchange.while_waiting(None)
            if stream is not None:
                await self._resume.again(exchange, stream)
                return
        try:
            await self._ask(exchange, _chain(held, None) if held else None, lead, key if claim else None)
        finally:
            self._hub.idempotency.release(key, claim)

    async def _ask(
        self,
        exchange: Exchange,
        body: AsyncIterator[bytes] | None,
        lead: bytes,
        key: IdempotencyKey | None = None,
    ) -> None:
        policy = exchange.policy
        request = OutgoingRequest(
            exchange.method,
            exchange.target,
            headers.request_fields(
                exchange.fields, client=exchange.client, scheme=exchange.scheme, via=self._via
            ),
            body,
            policy.connect_timeout_s,
            policy.first_byte_timeout_s,
            exchange.metrics.upstream_connect_seconds.observe,
        )
        if policy.early_start_s and headers.accepts_event_stream(exchange.fields):
            response = await self._early(exchange, request, lead, key)
            if response is None:
                return
        else:
            response = await self._upstream.request(request)
        self._readiness.upstream_ok = True
        if headers.is_event_stream(response.status, exchange.method, response.fields):
            await self._stream(exchange, request, response, lead, key)
        else:
            self._look_at(exchange, response)
            await _pass_through(exchange, response)

    async def _early(
        self, exchange: Exchange, request: OutgoingRequest, lead: bytes, key: IdempotencyKey | None
    ) -> UpstreamResponse | None:
        """Wait ``early_start_s`` for the head.

        Return None if the client received 200 before it and the stream is served.
        """
        exchange.while_waiting(None)
        opening = asyncio.ensure_future(self._upstream.request(request))
        done, _ = await asyncio.wait({opening}, timeout=exchange.policy.early_start_s)
        if done:
            return opening.result()
        stream = self._create(exchange, EARLY_FIELDS, key)
        UpstreamReader(stream, self._upstream, request).start_late(opening)
        await self._subscribe(exchange, stream, lead)
        return None

    async def _stream(
        self,
        exchange: Exchange,
        request: OutgoingRequest,
        response: UpstreamResponse,
        lead: bytes,
        key: IdempotencyKey | None,
    ) -> None:
        stream = self._create(exchange, response.fields, key)
        request.body = None
        UpstreamReader(stream, self._upstream, request).start(response)
        await self._subscribe(exchange, stream, lead)

    def _create(self, exchange: Exchange, fields: headers.Fields, key: IdempotencyKey | None) -> Stream:
        exchange.while_waiting(None)
        stream = self._hub.create(exchange.policy, self._resume.principal_of(exchange))
        trace = headers.first(exchange.fields, b"traceparent") or b""
        stream.describe(headers.stream_fields(fields, stream.id, self._resume.vary), trace.decode("latin-1"))
        if key is not None:
            self._hub.idempotency.bind(key, stream)
        return stream

    async def _subscribe(self, exchange: Exchange, stream: Stream, lead: bytes) -> None:
        exchange.metrics.answered(200)
        exchange.started = True
        subscriber = Subscriber(
            stream,
            exchange.connection,
            exchange.send,
            stamped=exchange.stamped,
            control=headers.wants_control_events(exchange.fields),
            lead=lead,
        )
        await subscriber.run(stream.fields)

    def _look_at(self, exchange: Exchange, response: UpstreamResponse) -> None:
        """Count what looks like a stream and is none that can be kept."""
        fields, method = response.fields, exchange.method
        if headers.is_encoded_event_stream(response.status, method, fields):
            exchange.metrics.continuity_unproven[UnprovenReason.ENCODED].inc()
            log_events.encoded_stream(exchange.policy.name)
        elif (
            response.status == 200  # noqa: PLR2004 - what an EventSource takes for success
            and method != "HEAD"
            and headers.accepts_only_event_stream(exchange.fields)
            and not headers.is_encoded(fields)
        ):
            exchange.metrics.silent_failures[SilentKind.WRONG_CONTENT_TYPE, SilentDisposition.LEAKED].inc()
            content_type = headers.first(fields, b"content-type") or b""
            log_events.no_stream(exchange.policy.name, content_type)


async def _pass_through(exchange: Exchange, response: UpstreamResponse) -> None:
    """Relay a response that is not a stream; abort one that breaks off."""
    exchange.while_waiting(response.close)
    try:
        await exchange.start(response.status, headers.response_fields(response.status, response.fields))
        while chunk := await response.read():
            if response.status not in headers.NO_BODY_STATUS:
                await exchange.write(chunk, more=True)
    except errors.UpstreamError:
        if not exchange.connection.lost:
            exchange.connection.abort()
        exchange.metrics.answered(None)
        return
    finally:
        exchange.while_waiting(None)
        response.close()
    await exchange.write(b"", more=False)
    exchange.metrics.answered(response.status)


async def _hold(
    body: AsyncIterator[bytes] | None, bytes_max: int
) -> tuple[bytes, AsyncIterator[bytes] | None]:
    """Read a body into memory; return it, and the rest of a larger one."""
    held = bytearray()
    if body is not None:
        async for chunk in body:
            held += chunk
            if len(held) > bytes_max:
                return bytes(held), body
    return bytes(held), None


async def _chain(held: bytes, rest: AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    yield held
    if rest is not None:
        async for chunk in rest:
            yield chunk
