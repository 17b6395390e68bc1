"""A response that is not a stream: relayed unchanged."""

from sidecar.http1 import headers
from sidecar.http1.upstream.response import UpstreamResponse
from sidecar.observability import errors, log_events
from sidecar.observability.labels import SilentDisposition, SilentKind, UnprovenReason
from sidecar.proxy.exchange import Exchange


async def pass_through(exchange: Exchange, response: UpstreamResponse) -> None:
    """Relay a response; abort the client connection if it breaks off."""
    _count_unprotected(exchange, response)
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


def _count_unprotected(exchange: Exchange, response: UpstreamResponse) -> None:
    """Count what the client takes for a stream and nothing protects."""
    request, status, fields = exchange.request, response.status, response.fields
    if headers.is_encoded_event_stream(status, request.method, fields):
        exchange.metrics.continuity_unproven[UnprovenReason.ENCODED].inc()
        log_events.encoded_stream(exchange.policy.name)
    elif (
        status == 200  # noqa: PLR2004 - what an EventSource takes for success
        and request.method != "HEAD"
        and headers.accepts_only_event_stream(request.fields)
        and not headers.is_encoded(fields)
    ):
        exchange.metrics.silent_failures[SilentKind.WRONG_CONTENT_TYPE, SilentDisposition.LEAKED].inc()
        log_events.no_stream(exchange.policy.name, headers.first(fields, b"content-type") or b"")
