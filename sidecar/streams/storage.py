"""The storage of one stream: its log and its unframed bytes."""

from collections.abc import Callable

from sidecar.config.routes import RoutePolicy
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.streams.back_pressure import BackPressure
from sidecar.streams.delivery import DeliveryLedger
from sidecar.streams.log_budget import LogBudget
from sidecar.streams.passthrough import Passthrough
from sidecar.streams.replay_log import ReplayLog

OVER_BUDGET_BYTES_MAX = 64 * 1024
"""What one log may hold while all logs together are above their budget."""


class StreamStorage:
    """Holds one stream within the bounds of its route and the budget.

    ``raw`` holds the bytes after an event above the size limit, and is None before. ``pressure`` becomes high
    when a bound is reached.
    """

    __slots__ = ("_budget", "_policy", "ledger", "log", "pressure", "raw")

    def __init__(self, policy: RoutePolicy, metrics: RouteMetrics, budget: LogBudget) -> None:
        self._policy = policy
        self._budget = budget
        self.log = ReplayLog()
        self.ledger = DeliveryLedger(self.log, metrics)
        self.raw: Passthrough | None = None
        self.pressure = BackPressure()

    def append(self, events: list[bytes]) -> None:
        """Append events of the upstream."""
        log, policy = self.log, self._policy
        is_over_budget = self._budget.add(log, log.append_all(events))
        self.ledger.take(len(events))
        self.pressure.high = (
            is_over_budget
            or log.bytes_held > policy.log_bytes_max
            or log.last_seq - log.first_seq >= policy.log_events_max
        )

    def append_failure(self, event: bytes) -> None:
        """Append the sidecar's own event for a failure, which ends the log."""
        self.ledger.sealed_seq = self.log.last_seq + 1
        self.log.append(event)
        self._budget.add(self.log, len(event))

    def append_raw(self, chunk: bytes) -> None:
        """Append bytes that are not framed."""
        if self.raw is None:
            self.raw = Passthrough()
            self.pressure.high = True
        self.raw.append(chunk)

    def trim(self, events_max: int, bytes_max: int, through: int | None) -> None:
        """Drop the oldest events, none above ``through``."""
        first = self.log.first_seq
        size = self.log.trim(events_max, bytes_max, through)
        if size:
            self.ledger.trimmed(first)
            self._budget.add(self.log, -size)

    def make_room(self, proven_seq: Callable[[], int | None]) -> bool:
        """Drop what the bounds demand; return whether the upstream may continue.

        An answer keeps the events above ``proven_seq()``, which not every client has, and all of them if that
        is None. A feed drops its oldest events in any case.
        """
        if self.raw is not None:
            return not self.raw.high
        events_max, bytes_max = self._policy.log_events_max, self._policy.log_bytes_max
        if self._budget.high:
            bytes_max = min(bytes_max, OVER_BUDGET_BYTES_MAX)
        if len(self.log) <= events_max and self.log.bytes_held <= bytes_max:
            return True
        if self._policy.kind == "live":
            self.trim(events_max, bytes_max, None)
            return True
        through = proven_seq()
        if through is not None:
            self.trim(events_max, bytes_max, through)
        return len(self.log) <= events_max and self.log.bytes_held <= bytes_max

    def release(self) -> None:
        """Return the bytes of the log to the budget."""
        self.ledger.close()
        self._budget.add(self.log, -self.log.bytes_held)
