"""The public listener's ASGI app: stream, resume or pass through."""

import asyncio

from sidecar.config.routes import RouteTable
from sidecar.http1 import connection, headers
from sidecar.http1.upstream.client import Upstream, has_body
from sidecar.observability import errors, log_events
from sidecar.observability.labels import ResumeResult
from sidecar.observability.metrics import Metrics
from sidecar.proxy.client_request import ClientRequest
from sidecar.proxy.control_api import ControlApi
from sidecar.proxy.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from sidecar.proxy.forwarder import Forward, Forwarder
from sidecar.proxy.idempotent import IdempotentForwarder
from sidecar.proxy.readiness import Readiness
from sidecar.proxy.resume import Resume
from sidecar.sse.control_events import gap_event
from sidecar.streams.hub import Hub


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
        self._routes = routes
        self._metrics = metrics
        self._resume = resume
        self._control = control
        self._readiness = readiness
        self._via = via.encode()
        self._forwarder = Forwarder(upstream, hub, resume, readiness, self._via)
        self._idempotent = IdempotentForwarder(
            self._forwarder, hub.idempotency, resume, idempotency_body_bytes_max
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        An error becomes an answer or, after the head, an abort.
        """
        link = connection.of(scope)
        request = ClientRequest.parse(scope, link.raw_target)
        policy = self._routes.match(request.method, request.path.decode("latin-1"))
        exchange = Exchange(request, policy, self._metrics.route(policy.name), link, receive, send)
        try:
            await self._serve(exchange)
        except errors.SidecarError as error:
            self._readiness.upstream_ok &= not isinstance(error, errors.UpstreamRefused)
            log_events.request_failed(request.method, request.target, policy.name, error)
            await exchange.problem(error, self._control.cors_of_problem(request.fields))
        except ClientGoneError:
            exchange.metrics.answered(None)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not link.lost:
                raise
            task.uncancel()
            exchange.metrics.answered(None)
        except Exception as error:  # noqa: BLE001 - the top of the task: logged, counted and reported
            log_events.task_failed(error, "request")
            await exchange.problem(errors.InternalError())

    async def _serve(self, exchange: Exchange) -> None:
        request = exchange.request
        if b"@" in (request.authority or b""):
            raise errors.RequestError("userinfo in the target")
        if self._control.owns(request.path):
            await self._control.serve(exchange)
            return
        if b"websocket" in (headers.first(request.fields, b"upgrade") or b"").lower():
            raise errors.UpgradeUnsupported
        if headers.passed_by(request.fields, self._via):
            raise errors.ProxyLoop
        position = self._resume.position_of(request)
        if position is None:
            if self._resume.draining and request.accepts_stream:
                await self._resume.shed(exchange)
            else:
                await self._forward(exchange, request)
        elif not await self._resume.resume(exchange, position):
            self._metrics.resumes[ResumeResult.GAP].inc()
            gap = gap_event(position.seq + 1, None, "expired")
            await self._forward(exchange, request.without_position(), gap)

    async def _forward(self, exchange: Exchange, request: ClientRequest, gap: bytes = b"") -> None:
        body = exchange.body() if has_body(request.fields) else None
        forward = Forward(exchange, request, body, gap)
        key = self._idempotent.key_of(request)
        if key is None:
            exchange.give_up_with_client()
            await self._forwarder.forward(forward)
        else:
            await self._idempotent.forward(forward, key)
