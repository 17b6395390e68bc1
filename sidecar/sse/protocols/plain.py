"""An event stream of no known provider."""

from sidecar.sse.protocols.provider import Provider


class PlainProvider(Provider):
    """Completes at any clean end, since it has no terminal."""

    __slots__ = ()
    name = "unknown"

    def detect(self, message: dict[str, object]) -> bool:
        """Implements Provider."""
        del message
        return False

    def is_terminal(self, event: bytes) -> bool:
        """Implements Provider."""
        del event
        return False

    def completes_without_terminal(self, *, live: bool) -> bool:
        """Implements Provider."""
        del live
        return True
