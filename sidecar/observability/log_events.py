"""The log lines of the sidecar. Operators query them by name."""

import structlog

from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability.errors import SidecarError
from sidecar.observability.labels import Outcome, ReportVerdict

_expected = frozenset({Outcome.COMPLETED, Outcome.CLIENT_LEFT, Outcome.CLIENT_CANCELLED})


def stream_ended(stream: str, route: str, outcome: Outcome, **values: object) -> None:
    """Log the outcome of a stream."""
    log = structlog.get_logger()
    write = log.info if outcome in _expected else log.warning
    if route == CANARY_ROUTE:
        write = log.debug  # `canary failed` is the line for operators
    write("stream ended", stream=stream, route=route, outcome=str(outcome), **values)


def client_disagrees(stream: str, route: str, verdict: ReportVerdict, **values: object) -> None:
    """Log that a client's report differs from the log of its stream."""
    structlog.get_logger().warning(
        "client disagrees", verdict=str(verdict), stream=stream, route=route, **values
    )


def request_failed(method: str, target: bytes, route: str, error: SidecarError) -> None:
    """Log a request that failed with an error of the catalogue."""
    structlog.get_logger().warning(
        "request failed",
        method=method,
        target=target,
        route=route,
        code=error.code,
        status=error.status,
        detail=error.detail,
        flood_key=error.code,
    )


def request_refused(code: str, why: str) -> None:
    """Log a connection without a valid request, at debug: port scans do this."""
    structlog.get_logger().debug("request refused", code=code, why=why)


def connection_shed() -> None:
    """Log that the sidecar closed a connection for lack of descriptors."""
    structlog.get_logger().warning("connection shed", reason="no descriptors left (ulimit -n)")


def task_failed(error: BaseException, where: str) -> None:
    """Log a defect of the sidecar with its traceback."""
    structlog.get_logger().error("task failed", where=where, exc_info=error)


def canary_failed(error: SidecarError, seed: int, stream: str) -> None:
    """Log the first difference between the canary's stream and its source."""
    structlog.get_logger().error(
        "canary failed",
        code=error.code,
        difference=error.detail,
        seed=seed,
        stream=stream or None,
        route=CANARY_ROUTE,
    )


def encoded_stream(route: str) -> None:
    """Log that the backend compresses an event stream."""
    structlog.get_logger().warning(
        "encoded event stream passed through: turn compression off for it in the backend", route=route
    )


def no_stream(route: str, content_type: bytes) -> None:
    """Log a 200 without a stream for a client that accepts only streams."""
    structlog.get_logger().warning(
        "silent failure leaked: 200 for an event stream, with another content type",
        route=route,
        content_type=content_type,
        flood_key="no_stream",
    )


def key_ignored(route: str, body_bytes_max: int) -> None:
    """Log a request body that is too large for its Idempotency-Key."""
    structlog.get_logger().warning(
        "Idempotency-Key not used: the body is above idempotency_body_bytes_max",
        route=route,
        body_bytes_max=body_bytes_max,
    )


def started(listen: str, admin: str, upstream: str) -> None:
    """Log that both listeners are open."""
    structlog.get_logger().info("started", listen=listen, admin=admin, upstream=upstream)


def temporary_secret() -> None:
    """Log that no ``secret`` is configured."""
    structlog.get_logger().warning("no secret configured: event ids will not survive a restart")


def draining(streams: int, drain_s: float) -> None:
    """Log the beginning of the drain."""
    structlog.get_logger().info("draining", streams=streams, drain_s=drain_s)


def stopped(abandoned: int) -> None:
    """Log the end of the process."""
    structlog.get_logger().info("stopped", streams_cut=abandoned)
