"""The budget of all replay logs together."""

from collections.abc import Callable

from sidecar.streams.replay_log import ReplayLog

LOW_WATERMARK_RATIO = 0.9
"""Upstreams that wait for the budget continue below this part of it."""


class LogBudget:
    """The bytes of all replay logs together.

    The high watermark is ``bytes_max``. ``evict`` releases the log of a finished stream, but not the given
    one, and returns whether there was one. The budget calls ``on_drained`` when the logs fall below the low
    watermark after they were above the high one.
    """

    __slots__ = ("_evict", "_is_draining", "_on_drained", "bytes_held", "bytes_max")

    def __init__(
        self, bytes_max: int, evict: Callable[[ReplayLog], bool], on_drained: Callable[[], None]
    ) -> None:
        self.bytes_max = bytes_max
        self.bytes_held = 0
        self._evict = evict
        self._on_drained = on_drained
        self._is_draining = False

    @property
    def high(self) -> bool:
        """Whether the logs hold more than the budget."""
        return self.bytes_held > self.bytes_max

    def add(self, log: ReplayLog, size: int) -> bool:
        """Count ``size`` more bytes of a log; return ``high``.

        A negative size is of bytes that the log has dropped. Before the answer the budget evicts other logs.
        """
        self.bytes_held += size
        if self.bytes_held > self.bytes_max:
            while size > 0 and self.high and self._evict(log):
                pass
            self._is_draining = self.high
            return self._is_draining
        if self._is_draining and self.bytes_held < self.bytes_max * LOW_WATERMARK_RATIO:
            self._is_draining = False
            self._on_drained()
        return False
