"""What goes over the wire for given events: the subscriber's own rendering, without a connection."""

from types import SimpleNamespace
from typing import Any, cast

from sidecar.config.routes import RoutePolicy
from sidecar.http1.connection import Connection
from sidecar.streams.replay_log import ReplayLog
from sidecar.streams.stream import Stream
from sidecar.streams.subscriber import Send, Subscriber

STREAM_ID = "s1" + 40 * "x"


def rendered(events: list[bytes], *, stamped: bool, retry_ms: int = 0) -> bytes:
    """Return the body that a client is sent which reads these events from a log, one read after the other."""
    stream: Any = SimpleNamespace(id=STREAM_ID, policy=RoutePolicy(), clock=lambda: 0.0)
    nobody = cast("Connection", None)
    subscriber = Subscriber(
        cast("Stream", stream), nobody, cast("Send", None), stamped=stamped, retry_ms=retry_ms
    )
    log, body = ReplayLog(), b""
    log.append_all(events)
    position = 0
    while found := log.read(position):
        body += subscriber._rendered(found, position + 1)
        position += len(found)
    return body
