"""What a stream asks of its surroundings: of who feeds it, and of who holds it."""

from typing import TYPE_CHECKING, Protocol

from sidecar.labels import Outcome

if TYPE_CHECKING:
    from sidecar.stream import Stream


class Source(Protocol):
    """Where a stream's events come from."""

    def close(self) -> None:
        """Close the upstream connection at once."""
        ...

    def reopen(self) -> None:
        """Ask the upstream again for what comes after the last event."""
        ...


class Owner(Protocol):
    """Who holds the streams and their budgets."""

    def grew(self, stream: "Stream", size: int) -> None:
        """The log of ``stream`` grew by ``size`` bytes (less than 0: it shrank)."""
        ...

    def ended(self, stream: "Stream") -> None:
        """No more will be appended to ``stream``."""
        ...

    def settled(self, stream: "Stream", outcome: Outcome) -> None:
        """The outcome of ``stream`` is known and counted."""
        ...

    def released(self, stream: "Stream") -> None:
        """The log of ``stream`` is no longer needed."""
        ...

    def pressed(self) -> bool:
        """Whether the logs of all streams together are above their budget."""
        ...
