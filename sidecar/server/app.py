"""The composition root: create every part and connect them."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvicorn

from sidecar import __version__
from sidecar.admin.app import create_admin
from sidecar.admin.history import SAMPLE_S, History
from sidecar.config.routes import CANARY_ROUTE
from sidecar.config.settings import Settings
from sidecar.http1.upstream.client import AiohttpUpstream
from sidecar.observability import log, log_events
from sidecar.observability.labels import Outcome
from sidecar.observability.metrics import Metrics
from sidecar.proxy.auth_check import AuthCheck
from sidecar.proxy.client_reports import ClientReports
from sidecar.proxy.control_api import ControlApi
from sidecar.proxy.handler import ProxyHandler
from sidecar.proxy.principal import vary
from sidecar.proxy.readiness import Readiness
from sidecar.proxy.resume import Resume
from sidecar.server.canary.route import CanaryRoute, canary_route
from sidecar.server.server import Listener, Shutdown, admin_listener, listening_socket, public_listener
from sidecar.server.watchdog import Watchdog
from sidecar.sse.event_id import Signer
from sidecar.streams.hub import Budgets, Hub
from sidecar.streams.stream import Stream
from sidecar.streams.timer_wheel import TimerWheel

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar that serves: its parts and its open listeners."""

    hub: Hub
    metrics: Metrics
    resume: Resume
    reports: ClientReports
    readiness: Readiness
    canary: CanaryRoute
    public: Listener
    admin: Listener
    port: int
    admin_port: int


def run(settings: Settings) -> int:
    """Serve until a signal; return the exit code.

    Raises OSError if a listener cannot be opened.
    """
    log.configure(settings.log_level, settings.log_format)
    loop_factory = uvicorn.Config(app="").get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_serve_until_signal(settings))


async def _serve_until_signal(settings: Settings) -> int:
    async with serving(settings) as sidecar:
        shutdown = Shutdown(sidecar.hub, sidecar.resume, sidecar.readiness, settings.drain_s)
        shutdown.listen(asyncio.get_running_loop())
        _say_started(settings, (sidecar.port, sidecar.admin_port))
        await shutdown.asked()
        await sidecar.canary.stop()
        await sidecar.public.shut(await shutdown.drain())
        log_events.stopped(sum(stream.outcome is None for stream in sidecar.hub.streams.values()))
    return 0


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Sidecar]:
    """Open both listeners and serve until the context ends.

    Raises OSError if a listener cannot be opened.
    """
    public_socket = listening_socket(*settings.listen_address)
    admin_socket = listening_socket(*settings.admin_address)
    routes = settings.route_table()
    metrics = Metrics((*routes.names, CANARY_ROUTE), __version__)
    hub = make_hub(settings, metrics)
    readiness = Readiness()
    history = History(metrics, asyncio.get_running_loop().time)
    hub.wheel.add(history, asyncio.get_running_loop().time() + SAMPLE_S)
    async with (
        AiohttpUpstream(settings.upstream, settings.header_bytes_max) as upstream,
        authorization(settings) as may,
        Watchdog(metrics, hub),
        canary_route(settings, hub, metrics, readiness, public_socket.getsockname()[:2]) as canary,
    ):
        resume = Resume(hub, metrics.resumes, may, settings.principal, settings.subscribers_per_stream_max)
        reports = ClientReports(hub, metrics.client_reports)
        proxy = ProxyHandler(
            upstream=upstream,
            hub=hub,
            routes=routes,
            metrics=metrics,
            resume=resume,
            control=ControlApi(settings.reserved_prefix, resume, reports, settings.allowed_origins),
            readiness=readiness,
            via=f"sse-sidecar-{random.randbytes(4).hex()}",  # noqa: S311 - tells instances apart, guards nothing
            idempotency_body_bytes_max=settings.idempotency_body_bytes_max,
        )
        token = settings.admin_token.get_secret_value() if settings.admin_token is not None else None
        admin = admin_listener(
            create_admin(
                hub=hub,
                metrics=metrics,
                readiness=readiness,
                history=history,
                token=token,
                host=settings.admin_address[0],
            )
        )
        public = public_listener(canary.beside(proxy))
        await admin.open(admin_socket)
        await public.open(public_socket)
        ports = (public_socket.getsockname()[1], admin_socket.getsockname()[1])
        try:
            yield Sidecar(hub, metrics, resume, reports, readiness, canary, public, admin, *ports)
        finally:
            await canary.stop()
            hub.close()
            await public.shut(0)
            await admin.shut(0)
            hub.wheel.close()


def make_hub(settings: Settings, metrics: Metrics) -> Hub:
    """Return the hub.

    Without a configured secret its ids do not survive a restart.
    """
    if settings.secret is None:
        log_events.temporary_secret()
        current = secrets.token_bytes(SECRET_BYTES)
    else:
        current = settings.secret.get_secret_value().encode()
    metrics.log_budget_bytes.set(settings.log_bytes_total_max)
    retiring = settings.retiring_secret
    loop = asyncio.get_running_loop()
    return Hub(
        Signer(current, *([retiring.get_secret_value().encode()] if retiring is not None else [])),
        metrics,
        TimerWheel(loop),
        loop.time,
        secrets.token_bytes,
        Budgets(settings.streams_max, settings.streams_per_principal_max, settings.log_bytes_total_max),
        _log_end,
    )


@asynccontextmanager
async def authorization(settings: Settings) -> AsyncIterator[AuthCheck]:
    """Yield the check of ``auth_check``, or one that lets everybody pass."""
    inputs = vary(settings.principal)
    if settings.auth_check is None:
        yield AuthCheck(None, b"", inputs)
        return
    url = urlsplit(settings.auth_check)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    async with AiohttpUpstream(f"{url.scheme}://{url.netloc}") as upstream:
        yield AuthCheck(upstream, target.encode(), inputs)


def _log_end(stream: Stream, outcome: Outcome) -> None:
    """Log the outcome of a stream."""
    error = stream.ending.error if stream.ending is not None else None
    log_events.stream_ended(
        stream.handle,
        stream.policy.name,
        outcome,
        code=error.code if error is not None else None,
        family=str(stream.verdict.family),
        messages=stream.ledger.received,
        delivered_seq=stream.ledger.delivered_seq,
        duration_s=round(stream.clock() - stream.started_at, 3),
        traceparent=stream.trace or None,
    )


def _say_started(settings: Settings, ports: tuple[int, int]) -> None:
    log_events.started(
        f"{settings.listen_address[0]}:{ports[0]}",
        f"{settings.admin_address[0]}:{ports[1]}",
        settings.upstream,
    )
