"""Every error the sidecar can tell somebody about: whose fault it is, status, stable code, what to do."""

from typing import ClassVar


class SidecarError(Exception):
    """An error with a stable code; the class says all that is known before it happens. Never raised itself.

    ``status`` is the HTTP status when the head is still unsent, ``proxy_error`` the RFC 9209 section 2.3 type
    where one fits, ``cause`` and ``remedy`` go into ``runbooks/errors.md``.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    message: ClassVar[str]
    cause: ClassVar[str]
    remedy: ClassVar[str]
    proxy_error: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.message)
        self.detail = detail


class InternalError(SidecarError):
    """The sidecar's own fault."""

    code = "err-sidecar-internal"
    status = 500
    proxy_error = "proxy_internal_error"
    retryable = True
    message = "The sidecar failed. Try again; if it persists, report the time of the failure."
    cause = "A defect in the sidecar itself."
    remedy = "Read the log line `task failed`, which carries the traceback, and report it."


class Draining(SidecarError):
    """New streams are not taken while the process shuts down."""

    code = "err-sidecar-draining"
    status = 503
    retryable = True
    message = "This instance is shutting down. Try again in a moment."
    cause = "The process received SIGTERM and finishes what it has."
    remedy = "Nothing, if it is a rollout. Otherwise find out who stops the process."


class AuthorizationUnavailable(SidecarError):
    """The authorization endpoint did not answer, so nothing is replayed."""

    code = "err-sidecar-auth-check-unavailable"
    status = 503
    retryable = True
    message = "The login could not be checked. Try again in a moment."
    cause = "`auth_check` did not answer in time or answered with a server error."
    remedy = "Check the endpoint that the setting `auth_check` names."


class CanaryMismatch(SidecarError):
    """The canary's client got something else than the canary's backend had sent."""

    code = "err-sidecar-canary-mismatch"
    status = 500
    message = "A stream that was sent for a test came out different."
    cause = "A defect in the sidecar, or in a proxy on the way that `canary_url` names: users may be hit too."
    remedy = "Read the first difference in the log line `canary failed`, and its stream's `/streams/<id>`."


class CanaryIncomplete(SidecarError):
    """The canary did not get as far as its end."""

    code = "err-sidecar-canary-incomplete"
    status = 504
    message = "A stream that was sent for a test did not come to its end."
    cause = "The public listener refused, broke off or was too slow: an overload, or a proxy on the way."
    remedy = "Read the reason in the log line `canary failed`; look at event-loop lag, CPU and open files."


class RequestError(SidecarError):
    """The client's request cannot be served as it is."""

    code = "err-sidecar-bad-request"
    status = 400
    message = "The request cannot be understood."
    cause = "A malformed request."
    remedy = "Correct the request."


class NotHTTP(RequestError):
    """What came on a connection is no request."""

    code = "err-sidecar-not-http"
    message = "This is no HTTP/1.1 request."
    cause = "TLS on the plain port, HTTP/2 without an upgrade, a scan of the ports, or a damaged request."
    remedy = "Speak HTTP/1.1. Each one leaves a line `request refused` in a log for debugging."


class RequestTooSlow(RequestError):
    """The rest of a request does not come."""

    code = "err-sidecar-request-too-slow"
    status = 408
    retryable = True
    message = "The request did not arrive in time. Try again."
    cause = "No whole head within 10 s, or less than 1 KiB of an upload within 30 s."
    remedy = "Single ones are broken links. Limit a place that sends many in front of the sidecar."


class TwoPositions(RequestError):
    """Two differing Last-Event-ID fields."""

    code = "err-sidecar-two-positions"
    message = "The request carries two different Last-Event-ID fields. Send one."
    cause = "A client or a proxy added a second `Last-Event-ID`."
    remedy = "Send the id of the last event that was received, once."


class StreamNotFound(RequestError):
    """Unknown, forged, retired or somebody else's: always the same answer."""

    code = "err-sidecar-stream-not-found"
    status = 404
    message = "There is no such stream for you. Start a new request."
    cause = "The id is unknown, of a key no longer configured, or of another principal: equal on purpose."
    remedy = "Expected after a restart without a `secret`; else compare both requests' principal inputs."


class ResumeExpired(RequestError):
    """A verified id whose stream is gone."""

    code = "err-sidecar-resume-expired"
    status = 410
    message = "The rest of this answer is no longer kept. Ask again."
    cause = "The client came back after `retain_s`, after a restart without a journal, or after an eviction."
    remedy = 'Raise `retain_s` or the log budgets if `sse_resumes_total{result="expired"}` grows often.'


class NotResumable(RequestError):
    """The stream carried an event too large to keep."""

    code = "err-sidecar-not-resumable"
    status = 410
    message = "This stream cannot be resumed, since it carried an event above the size limit. Ask again."
    cause = "An event above 1 MiB: from there on the stream was passed through without ids."
    remedy = "Send large payloads by reference, not as one event."


class TooManySubscribers(RequestError):
    """The bound on connections that read one stream."""

    code = "err-sidecar-too-many-subscribers"
    status = 429
    retryable = True
    message = "Too many connections read this stream. Close one and try again."
    cause = "More than `subscribers_per_stream_max` connections read one stream."
    remedy = "Look for a client that reconnects without closing; raise the setting for a broadcast feed."


class IdempotencyMismatch(RequestError):
    """One Idempotency-Key, two bodies."""

    code = "err-sidecar-idempotency-mismatch"
    status = 422
    message = "This Idempotency-Key was used with a different body. Use a new key."
    cause = "The client reused an `Idempotency-Key` for another request."
    remedy = "Generate a key for each new request; repeat it only to repeat the same request."


class MethodNotAllowed(RequestError):
    """A control resource does not know this method."""

    code = "err-sidecar-method-not-allowed"
    status = 405
    message = "This resource does not answer to that method."
    cause = "A control request with the wrong method, such as a cancel by GET."
    remedy = "Use GET to join, DELETE or POST to cancel."


class ControlNotFound(RequestError):
    """No such resource below the reserved prefix."""

    code = "err-sidecar-control-not-found"
    status = 404
    message = "There is no such control resource."
    cause = "A request below the reserved prefix that names nothing; it is never forwarded."
    remedy = "See the control API in the README; if the backend owns the prefix, set `reserved_prefix`."


class CrossSite(RequestError):
    """A state-changing request from a foreign web page."""

    code = "err-sidecar-cross-site"
    status = 403
    message = "This request came from another site's page and changes state, so it is refused."
    cause = "`Origin` or `Sec-Fetch-Site` names a site that is not allowed to cancel."
    remedy = "Add the page's origin to `allowed_origins`."


class AdminUnauthorized(RequestError):
    """The admin listener asks for a token and got none, or another."""

    code = "err-sidecar-admin-unauthorized"
    status = 401
    message = "Send the admin token: Authorization: Bearer <token>."
    cause = "The setting `admin_token` is set, and the request did not carry it."
    remedy = "Give the token to who asks: Prometheus by its `authorization:` block, the CLI by `--token`."


class AdminMisdirected(RequestError):
    """The admin listener is bound to loopback and was asked under another name."""

    code = "err-sidecar-admin-misdirected"
    status = 421
    message = "This listener answers to localhost, 127.0.0.1 and [::1] only."
    cause = "A `Host` that is no loopback name, as a web page in a browser on this machine could send it."
    remedy = "Ask under one of these names, or bind `admin_listen` to the address that you want to reach."


class UpgradeUnsupported(RequestError):
    """The connection cannot be switched to another protocol."""

    code = "err-sidecar-upgrade-unsupported"
    status = 501
    message = "The sidecar does not switch protocols. Reach the backend for this directly."
    cause = "An `Upgrade: websocket` request; this version relays HTTP only."
    remedy = "Route WebSocket paths around the sidecar."


class ProxyLoop(RequestError):
    """The request has been here before."""

    code = "err-sidecar-proxy-loop"
    status = 508
    proxy_error = "proxy_loop_detected"
    message = "The request came back to this sidecar. The upstream setting points at itself."
    cause = "`upstream` leads, perhaps over another proxy, back to this sidecar."
    remedy = "Point `upstream` at the backend."


class Cancelled(SidecarError):
    """The user stopped the stream."""

    code = "err-sidecar-cancelled"
    status = 410
    message = "The answer was stopped by its user."
    cause = "A cancel request for this stream."
    remedy = "None: it was asked for."


class LingerOver(SidecarError):
    """The upstream was closed since nobody came back."""

    code = "err-sidecar-client-gone"
    status = 410
    message = "The answer was stopped since its reader was gone too long. Ask again."
    cause = "The last reader left and nobody came back within `linger_s`, so the backend's answer was cut."
    remedy = "Raise `linger_s`, or set `on_disconnect: continue` where answers must always be finished."


class UpstreamError(SidecarError):
    """The backend, or the way to it, failed."""

    code = "err-sidecar-upstream-failed"
    status = 502
    proxy_error = "destination_unavailable"
    retryable = True
    message = "The backend failed. Try again."
    cause = "The backend failed in a way that has no code of its own."
    remedy = "Read the backend's log at the time of the failure."


class UpstreamRefused(UpstreamError):
    """Nothing listens there."""

    code = "err-sidecar-upstream-refused"
    proxy_error = "connection_refused"
    message = "The backend refuses connections. Try again in a moment."
    cause = "No process listens at `upstream`: it is down, restarting or elsewhere."
    remedy = "Start the backend; compare its address with the setting `upstream`."


class UpstreamUnreachable(UpstreamError):
    """The name does not resolve, or there is no route."""

    code = "err-sidecar-upstream-unreachable"
    proxy_error = "dns_error"
    message = "The backend's address cannot be reached. Try again in a moment."
    cause = "The host name in `upstream` does not resolve, or no route leads there."
    remedy = "Resolve the name on this host; check the network policy."


class UpstreamConnectTimeout(UpstreamError):
    """No answer to the connection attempt."""

    code = "err-sidecar-upstream-connect-timeout"
    status = 504
    proxy_error = "connection_timeout"
    message = "The backend did not accept the connection in time. Try again."
    cause = "No TCP handshake within `connect_timeout_s`: a firewall drops packets, or a queue is full."
    remedy = "Check the path to the backend and its load."


class UpstreamFirstByteTimeout(UpstreamError):
    """No response head in time."""

    code = "err-sidecar-upstream-first-byte-timeout"
    status = 504
    proxy_error = "http_response_timeout"
    message = "The backend did not begin to answer in time. Try again."
    cause = "No response head within `first_byte_timeout_s` after the request was sent."
    remedy = "Check the backend's load; raise the setting for a route that is slow by nature."


class UpstreamReset(UpstreamError):
    """The connection broke."""

    code = "err-sidecar-upstream-reset"
    proxy_error = "connection_terminated"
    message = "The connection to the backend broke before the answer was complete. Try again."
    cause = "RST, or FIN before the end of the body: the backend process died or was replaced."
    remedy = "Look for a crash, an OOM kill or a rollout of the backend at that time."


class UpstreamBadResponse(UpstreamError):
    """Not HTTP, or broken framing."""

    code = "err-sidecar-upstream-bad-response"
    proxy_error = "http_protocol_error"
    message = "The backend's answer is not valid HTTP. Try again; if it persists, report it."
    cause = "A malformed head, a broken chunk, or a head above `header_bytes_max`."
    remedy = "Ask the backend directly with `curl -v` and compare."


class UpstreamTruncated(UpstreamError):
    """A clean end without the terminal of a known protocol."""

    code = "err-sidecar-upstream-truncated"
    proxy_error = "http_response_incomplete"
    message = "The backend ended the answer before it was complete. Try again."
    cause = "The body ended cleanly, but without the terminal event that this protocol promises."
    remedy = (
        "Look for an exception inside the backend's generator; set `complete_on` if the terminal is another."
    )


class UpstreamEmpty(UpstreamError):
    """A clean end without one event."""

    code = "err-sidecar-upstream-empty"
    proxy_error = "http_response_incomplete"
    message = "The backend answered with nothing. Try again."
    cause = "The status was 200 and the event stream had not a single event."
    remedy = (
        "Look for an exception inside the backend's generator; set `complete_on: eof` if empty is an answer."
    )


class UpstreamIdle(UpstreamError):
    """Nothing came for too long."""

    code = "err-sidecar-upstream-idle"
    status = 504
    proxy_error = "connection_read_timeout"
    message = "The backend stopped sending. Try again."
    cause = "Not a byte for `upstream_idle_s`."
    remedy = "Check the backend for a blocked worker; raise the setting for a model that thinks longer."


class UpstreamNotAStream(UpstreamError):
    """The status was committed early, and then no stream came."""

    code = "err-sidecar-upstream-not-a-stream"
    proxy_error = "http_protocol_error"
    message = "The backend did not answer with a stream. Try again."
    cause = "The route has `early_start_s`, so 200 had been sent already when the backend answered otherwise."
    remedy = "Read the status in the log line of this stream; remove `early_start_s` if the client needs it."


class UpstreamReportedError(UpstreamError):
    """The backend itself said, inside the stream, that it failed; its event is what the client got."""

    code = "err-sidecar-upstream-reported"
    message = "The backend reported an error inside the stream. Try again."
    cause = "An error event inside a 200."
    remedy = "Read the event in the backend's log; the sidecar relayed it unchanged if it was finished."


def every_error() -> list[type[SidecarError]]:
    """Return all errors that can happen, each once, a general one before its special cases."""
    found: list[type[SidecarError]] = []
    todo = SidecarError.__subclasses__()
    while todo:
        error = todo.pop(0)
        found.append(error)
        todo = error.__subclasses__() + todo
    return found
