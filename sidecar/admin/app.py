"""The admin listener's resources: metrics, health, streams, a page."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.admin import page_files, snapshot, triage
from sidecar.admin.guard import Guard
from sidecar.admin.history import History
from sidecar.admin.overview import Overview, OverviewQuery
from sidecar.http1.problem import problem, problem_of
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.observability.metrics import Metrics
from sidecar.proxy.readiness import Readiness
from sidecar.streams.hub import Hub
from sidecar.streams.states import StreamState
from sidecar.streams.stream import Stream

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000
"""Streams in one list; ``X-Total-Count`` says how many there are."""

NOT_HELD = "No stream of this id is held: its retention is over, or there never was one. See GET /streams."

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
SAMPLE_NUMBER_MAX = 10**9
"""Samples of the history that can be asked for: those of five centuries."""


class BadFilter(ValueError):
    """A query parameter that cannot be used; the message says what is allowed."""


class Admin:
    """Answer the admin requests; only a cancel changes the hub."""

    def __init__(self, hub: Hub, metrics: Metrics, readiness: Readiness, history: History) -> None:
        self._hub = hub
        self._metrics = metrics
        self._readiness = readiness
        self._overview = Overview(hub, metrics, readiness, history)

    def routes(self) -> list[Route]:
        """Return the resources."""
        return [
            Route("/", self.index),
            *(Route(path, self.part) for path in page_files.PARTS),
            Route("/overview", self.overview),
            Route("/metrics", self.metrics),
            Route("/livez", self.livez),
            Route("/readyz", self.readyz),
            Route("/streams", self.streams),
            Route("/streams/{id}", self.stream),
            Route("/streams/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    async def index(self, request: Request) -> Response:
        """Show the page."""
        return page_files.PAGE.answer(request)

    async def part(self, request: Request) -> Response:
        """Send what the page is made of."""
        return page_files.PARTS[request.url.path].answer(request)

    async def overview(self, request: Request) -> Response:
        """Answer with everything that the admin page shows.

        The query has ``shown``, ``route``, ``limit``, ``stream`` and ``after``.
        """
        try:
            question = self._question(request)
        except BadFilter as error:
            return problem_of(errors.RequestError, str(error))
        return JSONResponse(self._overview.answer(question), headers=HEADERS)

    async def metrics(self, request: Request) -> Response:
        """Answer a scrape."""
        body, content_type = self._metrics.exposition(",".join(request.headers.getlist("accept")))
        return Response(body, headers=HEADERS | {"Content-Type": content_type})

    async def livez(self, _request: Request) -> Response:
        """Say that the event loop turns."""
        return JSONResponse({"live": True}, headers=HEADERS)

    async def readyz(self, _request: Request) -> Response:
        """Answer whether the sidecar takes new requests.

        Reasons beside ``ready: true`` mean degraded.
        """
        return JSONResponse(self._readiness.told(), 503 if self._readiness.draining else 200, HEADERS)

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
        """Answer with one stream and its timeline; a browser gets a page."""
        if page_files.wants_page(request.headers):
            return page_files.PAGE.answer(request)
        stream = self._hub.find(request.path_params["id"])
        if stream is None:
            return problem_of(errors.StreamNotFound, NOT_HELD)
        return JSONResponse(snapshot.detail(stream), headers=HEADERS | {"Vary": "Accept"})

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
        if state is not None and state not in set(StreamState):
            raise BadFilter(f"state: got {state!r}; allowed: {' or '.join(StreamState)}")
        self._check_route(route)
        return lambda stream: route in {None, stream.policy.name} and state in {None, stream.state}

    def _question(self, request: Request) -> OverviewQuery:
        query = request.query_params
        shown, route, after = query.get("shown", "live"), query.get("route"), query.get("after")
        allowed = (*triage.SHOWN, *StreamState)
        if shown not in allowed:
            raise BadFilter(f"shown: got {shown!r}; allowed: {' or '.join(allowed)}")
        self._check_route(route)
        number = -1 if after is None else _number("after", after, 0, SAMPLE_NUMBER_MAX)
        return OverviewQuery(shown, route, _limit(query.get("limit")), query.get("stream"), number)

    def _check_route(self, route: str | None) -> None:
        if route is not None and route not in self._metrics.routes:
            raise BadFilter(f"route: got {route!r}; there is no such route")


def create_admin(  # noqa: PLR0913 - what it shows and who may see it, each with a name
    *,
    hub: Hub,
    metrics: Metrics,
    readiness: Readiness,
    history: History,
    token: str | None = None,
    host: str = "127.0.0.1",
) -> Starlette:
    """Return the admin application; its listener is bound to ``host``."""
    return Starlette(
        routes=Admin(hub, metrics, readiness, history).routes(),
        middleware=[Middleware(Guard, token=token, host=host)],
        exception_handlers={HTTPException: _unrouted},
    )


def _limit(text: str | None) -> int:
    return LIMIT_DEFAULT if text is None else _number("limit", text, 1, LIMIT_MAX)


def _number(name: str, text: str, least: int, most: int) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not (digits and least <= int(text) <= most):
        raise BadFilter(f"{name}: got {text!r}; allowed: {least} to {most}")
    return int(text)


async def _unrouted(_request: Request, error: Exception) -> Response:
    """Tell the two refusals of the router itself in the form of all others."""
    headers = getattr(error, "headers", None)
    if headers and "Allow" in headers:
        refused = errors.MethodNotAllowed
        detail = f"This resource answers to {headers['Allow']}."
        return problem(refused.status, detail, code=refused.code, headers=headers)
    return problem_of(errors.ControlNotFound, "There is no such admin resource. See GET /.")
