"""The catalogue of errors: code, status, message, cause and remedy."""

from typing import ClassVar


class SidecarError(Exception):
    """The base of all errors; only its subclasses are raised.

    ``status`` is the HTTP status while the head is unsent. ``proxy_error`` is a type of RFC 9209 section 2.3.
    ``cause`` and ``remedy`` appear in ``runbooks/errors.md``.
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
    """The sidecar failed."""

    code = "err-sidecar-internal"
    status = 500
    proxy_error = "proxy_internal_error"
    retryable = True
    message = "The sidecar failed. Try again; if it persists, report the time of the failure."
    cause = "A defect in the sidecar."
    remedy = "Read the log line `task failed`, which carries the traceback, and report it."


class Draining(SidecarError):
    """The process shuts down and accepts no new streams."""

    code = "err-sidecar-draining"
    status = 503
    retryable = True
    message = "This instance is shutting down. Try again in a moment."
    cause = "The process received SIGTERM and finishes its open streams."
    remedy = "During a rollout, nothing. Otherwise find out what stops the process."


class AuthorizationUnavailable(SidecarError):
    """The authorization endpoint did not answer, so nothing is replayed."""

    code = "err-sidecar-auth-check-unavailable"
    status = 503
    retryable = True
    message = "The login could not be checked. Try again in a moment."
    cause = "`auth_check` did not answer in time or answered with a server error."
    remedy = "Check the endpoint that the setting `auth_check` names."


class CanaryMismatch(SidecarError):
    """The canary received other events than its backend sent."""

    code = "err-sidecar-canary-mismatch"
    status = 500
    message = "A test stream arrived changed."
    cause = "A defect in the sidecar, or in a proxy on the way to `canary_url`. It may affect users too."
    remedy = "Read the first difference in the log line `canary failed`, and the stream at `/streams/<id>`."


class CanaryIncomplete(SidecarError):
    """The canary's stream did not complete."""

    code = "err-sidecar-canary-incomplete"
    status = 504
    message = "A test stream did not complete."
    cause = "The public listener refused, closed or delayed the stream: an overload, or a proxy on the way."
    remedy = "Read the reason in the log line `canary failed`. Check event-loop lag, CPU and open files."


class RequestError(SidecarError):
    """The sidecar cannot serve the client's request."""

    code = "err-sidecar-bad-request"
    status = 400
    message = "The request is malformed."
    cause = "A malformed request."
    remedy = "Correct the request."


class NotHTTP(RequestError):
    """The bytes on a connection are not a request."""

    code = "err-sidecar-not-http"
    message = "The request is not valid HTTP/1.1."
    cause = "TLS on the plain port, HTTP/2 without an upgrade, a scan of the ports, or a damaged request."
    remedy = "Send HTTP/1.1. At level debug, each one leaves a log line `request refused`."


class RequestTooSlow(RequestError):
    """The rest of a request did not arrive in time."""

    code = "err-sidecar-request-too-slow"
    status = 408
    retryable = True
    message = "The request did not arrive in time. Try again."
    cause = "No complete head within 10 s, or less than 1 KiB of an upload within 30 s."
    remedy = "Ignore single ones: they are broken links. Limit a source of many in front of the sidecar."


class TwoPositions(RequestError):
    """Two differing Last-Event-ID fields."""

    code = "err-sidecar-two-positions"
    message = "The request carries two different Last-Event-ID fields. Send one."
    cause = "A client or a proxy added a second `Last-Event-ID`."
    remedy = "Send the id of the last received event once."


class StreamNotFound(RequestError):
    """The id is unknown, forged, retired or of another principal."""

    code = "err-sidecar-stream-not-found"
    status = 404
    message = "Stream not found. Start a new request."
    cause = "The id is unknown, of a removed key, or of another principal. The response hides which."
    remedy = "Expected after a restart without a `secret`. Otherwise compare the principals of both requests."


class ResumeExpired(RequestError):
    """The id is valid, but the sidecar no longer keeps its stream."""

    code = "err-sidecar-resume-expired"
    status = 410
    message = "The rest of this answer has expired. Start a new request."
    cause = "The client resumed after `retain_s`, after a restart without a journal, or after an eviction."
    remedy = 'Raise `retain_s` or the log budgets if `sse_resumes_total{result="expired"}` often increases.'


class NotResumable(RequestError):
    """The stream contained an event that is too large for the log."""

    code = "err-sidecar-not-resumable"
    status = 410
    message = "This stream cannot be resumed: one event was too large. Start a new request."
    cause = "An event above 1 MiB. From there on, the sidecar passes the stream through without ids."
    remedy = "Send a reference to a large payload in place of one event."


class TooManySubscribers(RequestError):
    """Too many connections read one stream."""

    code = "err-sidecar-too-many-subscribers"
    status = 429
    retryable = True
    message = "Too many connections read this stream. Close one and try again."
    cause = "More than `subscribers_per_stream_max` connections read one stream."
    remedy = "Look for a client that reconnects without closing. Raise the setting for a broadcast feed."


class IdempotencyMismatch(RequestError):
    """Two requests have one Idempotency-Key and different bodies."""

    code = "err-sidecar-idempotency-mismatch"
    status = 422
    message = "This Idempotency-Key was used with a different body. Use a new key."
    cause = "The client reused an `Idempotency-Key` for another request."
    remedy = "Generate a key for each new request. Repeat it only with the same request."


class MethodNotAllowed(RequestError):
    """The control resource does not support this method."""

    code = "err-sidecar-method-not-allowed"
    status = 405
    message = "This resource does not support that method."
    cause = "A control request with the wrong method, such as a cancel by GET."
    remedy = "Use GET to join, DELETE or POST to cancel."


class ControlNotFound(RequestError):
    """The reserved prefix has no such resource."""

    code = "err-sidecar-control-not-found"
    status = 404
    message = "Control resource not found."
    cause = "A request below the reserved prefix names an unknown resource. It is never forwarded."
    remedy = "See the control API in the README. If the backend uses the prefix, set `reserved_prefix`."


class CrossSite(RequestError):
    """A page of another site sent a request that changes state."""

    code = "err-sidecar-cross-site"
    status = 403
    message = "A page of another site may not send this request."
    cause = "`Origin` or `Sec-Fetch-Site` names a site that may not cancel."
    remedy = "Add the page's origin to `allowed_origins`."


class AdminUnauthorized(RequestError):
    """The request to the admin listener lacks the right token."""

    code = "err-sidecar-admin-unauthorized"
    status = 401
    message = "Send the admin token: Authorization: Bearer <token>."
    cause = "`admin_token` is set, and the request did not contain it."
    remedy = "Configure the token: in Prometheus in the block `authorization:`, in the CLI with `--token`."


class AdminMisdirected(RequestError):
    """A request to the admin listener on loopback has another Host."""

    code = "err-sidecar-admin-misdirected"
    status = 421
    message = "This listener answers to localhost, 127.0.0.1 and [::1] only."
    cause = "The `Host` is not a loopback name. A web page in a browser on this machine could send it."
    remedy = "Use one of these names, or bind `admin_listen` to the address that you want to reach."


class UpgradeUnsupported(RequestError):
    """The sidecar cannot switch the connection to another protocol."""

    code = "err-sidecar-upgrade-unsupported"
    status = 501
    message = "The sidecar does not switch protocols. Connect to the backend directly."
    cause = "An `Upgrade: websocket` request. This version forwards HTTP only."
    remedy = "Route WebSocket paths around the sidecar."


class ProxyLoop(RequestError):
    """The request has passed this sidecar before."""

    code = "err-sidecar-proxy-loop"
    status = 508
    proxy_error = "proxy_loop_detected"
    message = "The request returned to this sidecar. The upstream setting points at itself."
    cause = "`upstream` leads back to this sidecar, perhaps through another proxy."
    remedy = "Point `upstream` at the backend."


class Cancelled(SidecarError):
    """The client stopped the stream."""

    code = "err-sidecar-cancelled"
    status = 410
    message = "The user stopped the answer."
    cause = "A cancel request for this stream."
    remedy = "None: the client requested it."


class LingerOver(SidecarError):
    """No client returned in time, so the sidecar closed the upstream."""

    code = "err-sidecar-client-gone"
    status = 410
    message = "The answer stopped because its reader was away too long. Start a new request."
    cause = "The last subscriber left, and no client returned within `linger_s`."
    remedy = "Raise `linger_s`, or set `on_disconnect: continue` if every answer must be finished."


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
    """The backend refuses connections."""

    code = "err-sidecar-upstream-refused"
    proxy_error = "connection_refused"
    message = "The backend refuses connections. Try again in a moment."
    cause = "No process listens at `upstream`: it is down, restarting or elsewhere."
    remedy = "Start the backend. Compare its address with the setting `upstream`."


class UpstreamUnreachable(UpstreamError):
    """The backend's name does not resolve, or there is no route."""

    code = "err-sidecar-upstream-unreachable"
    proxy_error = "dns_error"
    message = "The backend's address cannot be reached. Try again in a moment."
    cause = "The host name in `upstream` does not resolve, or there is no route to it."
    remedy = "Resolve the name on this host. Check the network policy."


class UpstreamConnectTimeout(UpstreamError):
    """The backend did not accept the connection in time."""

    code = "err-sidecar-upstream-connect-timeout"
    status = 504
    proxy_error = "connection_timeout"
    message = "The backend did not accept the connection in time. Try again."
    cause = "No TCP handshake within `connect_timeout_s`. A firewall drops packets, or a queue is full."
    remedy = "Check the path to the backend and its load."


class UpstreamFirstByteTimeout(UpstreamError):
    """The response head did not arrive in time."""

    code = "err-sidecar-upstream-first-byte-timeout"
    status = 504
    proxy_error = "http_response_timeout"
    message = "The backend did not begin to answer in time. Try again."
    cause = "No response head within `first_byte_timeout_s` after the request."
    remedy = "Check the backend's load. Raise the setting for a route that is always slow."


class UpstreamReset(UpstreamError):
    """The connection to the backend broke."""

    code = "err-sidecar-upstream-reset"
    proxy_error = "connection_terminated"
    message = "The connection to the backend broke before the answer was complete. Try again."
    cause = "RST, or FIN before the end of the body. The backend process died or was replaced."
    remedy = "Look for a crash, an OOM kill or a rollout of the backend at that time."


class UpstreamBadResponse(UpstreamError):
    """The response is not valid HTTP."""

    code = "err-sidecar-upstream-bad-response"
    proxy_error = "http_protocol_error"
    message = "The backend's answer is not valid HTTP. Try again; if it persists, report it."
    cause = "A malformed head, a broken chunk, or a head above `header_bytes_max`."
    remedy = "Send the request to the backend directly with `curl -v` and compare."


class UpstreamTruncated(UpstreamError):
    """A clean end without the terminal event of a known protocol."""

    code = "err-sidecar-upstream-truncated"
    proxy_error = "http_response_incomplete"
    message = "The backend ended the answer before it was complete. Try again."
    cause = "The body ended cleanly, but without the terminal event of its protocol."
    remedy = (
        "Look for an exception in the backend's generator. Set `complete_on` if the terminal event differs."
    )


class UpstreamEmpty(UpstreamError):
    """A clean end without an event."""

    code = "err-sidecar-upstream-empty"
    proxy_error = "http_response_incomplete"
    message = "The backend sent an empty answer. Try again."
    cause = "The status was 200, and the event stream contained no event."
    remedy = (
        "Look for an exception in the backend's generator. Set `complete_on: eof` if an answer may be empty."
    )


class UpstreamIdle(UpstreamError):
    """The backend was silent for too long."""

    code = "err-sidecar-upstream-idle"
    status = 504
    proxy_error = "connection_read_timeout"
    message = "The backend stopped sending. Try again."
    cause = "The backend sent no byte for `upstream_idle_s`."
    remedy = "Check the backend for a blocked worker. Raise the setting for a model that needs longer."


class UpstreamNotAStream(UpstreamError):
    """The sidecar sent 200 early, but the backend sent no stream."""

    code = "err-sidecar-upstream-not-a-stream"
    proxy_error = "http_protocol_error"
    message = "The backend did not answer with a stream. Try again."
    cause = "The route has `early_start_s`: the sidecar had sent 200 before the backend sent another status."
    remedy = "Read the status in the log line of this stream. Remove `early_start_s` if the client needs it."


class UpstreamReportedError(UpstreamError):
    """The backend reported a failure in an event, which the client received."""

    code = "err-sidecar-upstream-reported"
    message = "The backend reported an error inside the stream. Try again."
    cause = "An error event in a response with status 200."
    remedy = "Read the event in the backend's log. The sidecar forwards a finished event unchanged."


def every_error() -> list[type[SidecarError]]:
    """Return each error once, a general one before its special cases."""
    found: list[type[SidecarError]] = []
    todo = SidecarError.__subclasses__()
    while todo:
        error = todo.pop(0)
        found.append(error)
        todo = error.__subclasses__() + todo
    return found
