"""The admin listener's resources: metrics, health, and the streams that this process holds."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sidecar import errors, index_page, snapshot
from sidecar.guard import Guard
from sidecar.hub import Hub
from sidecar.labels import Outcome
from sidecar.lifecycle import State
from sidecar.metrics import Metrics
from sidecar.problem import problem, problem_of
from sidecar.readiness import Readiness
from sidecar.stream import Stream

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000
"""Streams in one list; ``X-Total-Count`` says how many there are."""

NOT_HELD = "No stream of this id is held: its retention is over, or there never was one. See GET /streams."

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
PAGE_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
}


class BadFilter(ValueError):
    """A query parameter that cannot be used; the message says what is allowed."""


class Admin:
    """What the listener answers with; reads the hub, and changes it only to cancel."""

    def __init__(self, hub: Hub, metrics: Metrics, readiness: Readiness) -> None:
        self._hub = hub
        self._metrics = metrics
        self._readiness = readiness

    def routes(self) -> list[Route]:
        """Return the resources."""
        return [
            Route("/", self.index),
            Route("/metrics", self.metrics),
            Route("/livez", self.livez),
            Route("/readyz", self.readyz),
            Route("/streams", self.streams),
            Route("/streams/{id}", self.stream),
            Route("/streams/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    async def index(self, _request: Request) -> Response:
        """Show the six key numbers."""
        numbers = index_page.key_numbers(self._metrics)
        return HTMLResponse(index_page.page(numbers), headers=PAGE_HEADERS)

    async def metrics(self, request: Request) -> Response:
        """Answer a scrape."""
        body, content_type = self._metrics.exposition(",".join(request.headers.getlist("accept")))
        return Response(body, headers=HEADERS | {"Content-Type": content_type})

    async def livez(self, _request: Request) -> Response:
        """Say that the event loop turns."""
        return JSONResponse({"live": True}, headers=HEADERS)

    async def readyz(self, _request: Request) -> Response:
        """Say whether new requests are welcome; reasons beside ``ready: true`` mean degraded."""
        ready, reasons = not self._readiness.draining, self._readiness.reasons()
        body = {"ready": ready, "degraded": ready and bool(reasons), "reasons": reasons}
        return JSONResponse(body, 200 if ready else 503, HEADERS)

    async def streams(self, request: Request) -> Response:
        """List streams, newest first: ``?route=``, ``?state=``, ``?limit=``."""
        try:
            wanted, limit = self._filter(request), _limit(request.query_params.get("limit"))
        except BadFilter as error:
            return problem_of(errors.RequestError, str(error))
        found = [stream for stream in reversed(self._hub.streams.values()) if wanted(stream)]
        rows = [snapshot.summary(stream) for stream in found[:limit]]
        return JSONResponse(rows, headers=HEADERS | {"X-Total-Count": str(len(found))})

    async def stream(self, request: Request) -> Response:
        """Show one stream and its timeline, which says why it stopped."""
        stream = self._hub.find(request.path_params["id"])
        if stream is None:
            return problem_of(errors.StreamNotFound, NOT_HELD)
        return JSONResponse(snapshot.detail(stream), headers=HEADERS)

    async def cancel(self, request: Request) -> Response:
        """Stop a stream; the same answer whether it still ran or not."""
        stream = self._hub.find(request.path_params["id"])
        if stream is None:
            return problem_of(errors.StreamNotFound, NOT_HELD)
        stream.note("cancelled by an operator")
        stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        return Response(status_code=204, headers=HEADERS)

    def _filter(self, request: Request) -> Callable[[Stream], bool]:
        route, state = request.query_params.get("route"), request.query_params.get("state")
        if state is not None and state not in set(State):
            raise BadFilter(f"state: got {state!r}; allowed: {' or '.join(State)}")
        if route is not None:
            try:
                self._metrics.route(route)
            except KeyError:
                raise BadFilter(f"route: got {route!r}; there is no such route") from None
        return lambda stream: route in {None, stream.policy.name} and state in {None, stream.state}


def create_admin(
    *, hub: Hub, metrics: Metrics, readiness: Readiness, token: str | None = None, host: str = "127.0.0.1"
) -> Starlette:
    """Return the admin application; ``host`` is the address that its listener is bound to."""
    return Starlette(
        routes=Admin(hub, metrics, readiness).routes(),
        middleware=[Middleware(Guard, token=token, host=host)],
        exception_handlers={HTTPException: _unrouted},
    )


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if not (
        text.isascii() and text.isdigit() and len(text) <= len(str(LIMIT_MAX)) and 1 <= int(text) <= LIMIT_MAX
    ):
        raise BadFilter(f"limit: got {text!r}; allowed: 1 to {LIMIT_MAX}")
    return int(text)


async def _unrouted(_request: Request, error: Exception) -> Response:
    """Tell the two refusals of the router itself in the form of all others."""
    headers = getattr(error, "headers", None)
    if headers and "Allow" in headers:
        refused = errors.MethodNotAllowed
        detail = f"This resource answers to {headers['Allow']}."
        return problem(refused.status, detail, code=refused.code, headers=headers)
    return problem_of(errors.ControlNotFound, "There is no such admin resource. See GET /.")
