"""What a stream asks of whoever feeds it."""

from typing import Protocol


class Source(Protocol):
    """Where a stream's events come from."""

    def close(self) -> None:
        """Close the upstream connection at once."""
        ...

    def reopen(self) -> None:
        """Ask the upstream again for what comes after the last event."""
        ...
