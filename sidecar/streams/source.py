"""The interface of a stream's upstream side."""

from typing import Protocol


class Source(Protocol):
    """Where a stream's events come from."""

    def close(self) -> None:
        """Close the upstream connection at once."""
        ...

    def reopen(self) -> None:
        """Ask the upstream again for what comes after the last event."""
        ...
