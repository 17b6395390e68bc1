"""The Model Context Protocol's streamable HTTP: messages of JSON-RPC 2.0."""

from sidecar.sse.json_events import object_of
from sidecar.sse.protocols.provider import Provider


class MCPProvider(Provider):
    """Ends with the response to the request, even one that is an error."""

    __slots__ = ()
    name = "mcp"

    def detect(self, message: dict[str, object]) -> bool:
        """Implements Provider."""
        return message.get("jsonrpc") == "2.0"

    def is_terminal(self, event: bytes) -> bool:
        """Implements Provider."""
        if event.find(b'"result"') < 0 and event.find(b'"error"') < 0:
            return False
        message = object_of(event)
        return "id" in message and ("result" in message or "error" in message)

    def is_error(self, event: bytes) -> bool:
        """Implements Provider."""
        del event
        return False  # an error of JSON-RPC is a response, not a failure of the stream

    def completes_without_terminal(self, *, live: bool) -> bool:
        """Implements Provider: a stream of notifications answers no request."""
        return live
