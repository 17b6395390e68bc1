"""A client's request, parsed once and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from sidecar.config.routes import RoutePolicy
from sidecar.http1 import headers


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """The head of a request.

    ``target`` is in origin-form, and ``path`` and ``query`` are its parts, all percent-encoded as the client
    sent them. ``authority`` is that of an absolute-form target, else None. ``client`` is an IP address.
    """

    method: str
    scheme: str
    client: str
    target: bytes
    authority: bytes | None
    path: bytes
    query: bytes
    fields: headers.Fields

    @classmethod
    def parse(cls, scope: Mapping[str, Any], raw_target: bytes) -> Self:
        """Parse an ASGI scope.

        The authority of an absolute-form target replaces ``Host`` (RFC 9112 section 3.2.2).
        """
        target, authority = headers.origin_form(raw_target)
        path, query = headers.split_target(target)
        fields: headers.Fields = scope["headers"]
        if authority is not None:
            fields = [(b"host", authority), *(field for field in fields if field[0] != b"host")]
        address = scope.get("client")
        client = address[0] if address else "unknown"
        return cls(scope["method"], scope["scheme"], client, target, authority, path, query, fields)

    @property
    def accepts_stream(self) -> bool:
        """Whether ``Accept`` names ``text/event-stream``."""
        return headers.accepts_event_stream(self.fields)

    @property
    def like_eventsource(self) -> bool:
        """Whether this looks like a native EventSource.

        It gives up permanently on every status but 200.
        """
        return self.method == "GET" and self.accepts_stream

    def is_stamped(self, policy: RoutePolicy) -> bool:
        """Return whether the response has event ids (route option ``stamp``)."""
        return policy.stamp == "always" or (policy.stamp == "auto" and self.accepts_stream)

    def without_position(self) -> Self:
        """Return the request without its ``Last-Event-ID``, also in the query."""
        target = headers.without_position(self.target)
        path, query = headers.split_target(target)
        fields = [field for field in self.fields if field[0] != headers.LAST_EVENT_ID]
        return replace(self, target=target, path=path, query=query, fields=fields)
