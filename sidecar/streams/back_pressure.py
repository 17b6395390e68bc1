"""The pause of an upstream while its stream holds more than it may."""

from collections.abc import Callable


class BackPressure:
    """The watermark and the pause of one stream.

    ``high``: a bound was reached, so the stream has to make room before it takes more. ``paused``: the
    upstream waits until ``drained`` is called and finds room.
    """

    __slots__ = ("_on_drained", "high", "paused")

    def __init__(self) -> None:
        self.high = False
        self.paused = False
        self._on_drained: Callable[[], None] | None = None

    def pause(self, on_drained: Callable[[], None]) -> None:
        """Pause the upstream; ``on_drained`` checks whether it can continue."""
        self.paused = True
        self._on_drained = on_drained

    def resume(self) -> None:
        """Let the upstream continue."""
        self.paused = False
        self._on_drained = None

    def drained(self) -> None:
        """Check whether a paused upstream can continue."""
        if self._on_drained is not None:
            self._on_drained()
