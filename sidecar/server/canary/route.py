"""The canary's route: secret, with a backend and a login of its own."""

import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from sidecar.config.routes import CANARY_ROUTE, RoutePolicy, RouteTable
from sidecar.config.settings import Settings
from sidecar.http1 import connection
from sidecar.http1.upstream.client import AiohttpUpstream, Upstream
from sidecar.observability.metrics import Metrics
from sidecar.proxy.auth_check import AuthCheck
from sidecar.proxy.client_reports import ClientReports
from sidecar.proxy.control_api import ControlApi
from sidecar.proxy.exchange import Receive, Scope, Send
from sidecar.proxy.handler import ProxyHandler
from sidecar.proxy.readiness import Readiness
from sidecar.proxy.resume import Resume
from sidecar.server.canary.backend import CanaryBackend, listening
from sidecar.server.canary.canary import PASS_S_MAX, Canary, running
from sidecar.server.canary.known_stream import TERMINAL
from sidecar.server.canary.probe import CanaryProbe
from sidecar.streams.hub import Hub

TOKEN_BYTES = 24
READERS_MAX = 2
LOGIN = ("header:authorization",)

POLICY = RoutePolicy(
    name=CANARY_ROUTE,
    stamp="always",
    complete_on=TERMINAL,
    heartbeat_s=0,
    first_byte_timeout_s=PASS_S_MAX,
    stall_s=0,
    upstream_idle_s=2 * PASS_S_MAX,
    linger_s=PASS_S_MAX,
)
"""No heartbeat, since its client compares every byte; one that failed is retained to be looked at."""

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class CanaryRoute:
    """The canary in the view of the sidecar; without one, a no-op."""

    def __init__(
        self,
        hidden: App | None = None,
        target: bytes = b"",
        stop: Callable[[], Awaitable[None]] | None = None,
        backend_url: str = "",
    ) -> None:
        self._hidden = hidden
        self._target = target
        self._stop = stop
        self.backend_url = backend_url

    def beside(self, app: App) -> App:
        """Return an app that serves the canary, and all else by ``app``."""
        hidden = self._hidden
        if hidden is None:
            return app

        def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            ours = hmac.compare_digest(connection.of(scope).raw_target, self._target)
            return (hidden if ours else app)(scope, receive, send)

        return serve

    async def stop(self) -> None:
        """Send no more, and let go of what is under way."""
        if self._stop is not None:
            await self._stop()


@asynccontextmanager
async def canary_route(
    settings: Settings, hub: Hub, metrics: Metrics, readiness: Readiness, address: tuple[str, int]
) -> AsyncIterator[CanaryRoute]:
    """Run the canary; the public listener is bound to ``address``."""
    if not settings.canary_interval_s:
        yield CanaryRoute()
        return
    target = f"{settings.reserved_prefix}/{secrets.token_hex(TOKEN_BYTES)}".encode()
    backend = CanaryBackend(target)
    url = settings.canary_url or own_url(*address)
    async with listening(backend), AiohttpUpstream(backend.url) as upstream, AiohttpUpstream(url) as way:
        login = f"Bearer {secrets.token_hex(TOKEN_BYTES)}"
        probe = CanaryProbe(way, target, urlsplit(url).netloc, login)
        every_s = settings.canary_interval_s
        # A balancer must first see that the sidecar is ready.
        first_after_s = every_s if settings.canary_url else 0
        canary = Canary(backend, probe, hub, metrics, readiness, every_s, first_after_s=first_after_s)
        async with running(canary) as stop:
            yield CanaryRoute(_proxy(upstream, hub, metrics, target), target, stop, backend.url)


def own_url(host: str, port: int) -> str:
    """Return the URL of a listener, on loopback if it has every address."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _proxy(upstream: Upstream, hub: Hub, metrics: Metrics, target: bytes) -> ProxyHandler:
    """Return a proxy as users have it, with a readiness of its own."""
    resume = Resume(hub, metrics.resumes_of_nobody(), AuthCheck(None, b"", ()), LOGIN, READERS_MAX)
    return ProxyHandler(
        upstream=upstream,
        hub=hub,
        routes=RouteTable([POLICY]),
        metrics=metrics,
        resume=resume,
        control=ControlApi(f"{target.decode()}/", resume, ClientReports(hub, metrics.client_reports), ()),
        readiness=Readiness(),
        via=f"canary-{secrets.token_hex(4)}",
        idempotency_body_bytes_max=0,
    )
