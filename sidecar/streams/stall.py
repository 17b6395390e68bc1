"""A stall of one stream's upstream: declared, and how it ended."""

from sidecar.observability.labels import StallEnd
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.streams.states import Command

ENDS = {
    Command.STALL_FALSE_ALARM: StallEnd.FALSE_ALARM,
    Command.STALL_RECOVERED: StallEnd.RECOVERED,
    Command.STALL_FAILED: StallEnd.FAILED,
}


class Stall:
    """Measure the detection and the duration of a stall."""

    __slots__ = ("_metrics", "_since")

    def __init__(self, metrics: RouteMetrics) -> None:
        self._metrics = metrics
        self._since: float | None = None

    def declare(self, now: float, last_byte_at: float, exemplar: dict[str, str]) -> None:
        """Note that the upstream has been silent for too long."""
        self._since = now
        self._metrics.stall_detection_seconds.observe(now - last_byte_at, exemplar)

    def over(self, end: StallEnd, now: float, exemplar: dict[str, str]) -> None:
        """Note how it ended; nothing if there was none."""
        if self._since is not None:
            self._metrics.stall_recovery_seconds[end].observe(now - self._since, exemplar)
            self._since = None
