"""What became of each message of one stream, so that received = delivered + lost + unread + still held."""

from sidecar.labels import LossReason
from sidecar.replay_log import Gap, ReplayLog
from sidecar.route_metrics import RouteMetrics


class Ledger:
    """Counts by seq arithmetic, per send and per trim, never per message."""

    __slots__ = ("_log", "_metrics", "_trimmed_unseen", "delivered_seq", "received", "sealed_seq")

    def __init__(self, log: ReplayLog, metrics: RouteMetrics) -> None:
        self._log = log
        self._metrics = metrics
        self.received = 0
        self.delivered_seq = 0
        self._trimmed_unseen = 0
        self.sealed_seq: int | None = None
        """Seq of the sidecar's own terminal, which is no message of the backend's."""

    @property
    def undelivered(self) -> int:
        """Messages received that no client has been sent and that are not known to be lost."""
        last = self._log.last_seq if self.sealed_seq is None else self.sealed_seq - 1
        return max(0, last - max(self.delivered_seq, self._log.first_seq - 1)) + self._trimmed_unseen

    def take(self, count: int) -> None:
        """Note messages that were appended."""
        self.received += count
        self._metrics.received += count

    def deliver(self, after: int, through: int) -> None:
        """Note that the messages above ``after`` up to ``through`` were written to one client."""
        if self.sealed_seq is not None:
            through = min(through, self.sealed_seq - 1)
        seen = self.delivered_seq
        if after >= seen:
            self._metrics.delivered += through - after
            self.delivered_seq = through
        elif through > seen:
            self._metrics.delivered += through - seen
            self._metrics.replayed += seen - after
            self.delivered_seq = through
        else:
            self._metrics.replayed += through - after

    def trimmed(self, first_before: int) -> None:
        """Note that the log's start moved up from seq ``first_before``."""
        unseen_from = max(first_before, self.delivered_seq + 1)
        self._trimmed_unseen += max(0, self._log.first_seq - unseen_from)

    def missed(self, gap: Gap) -> None:
        """Note a gap that a client is told: lost here if never written, on the way to it if it was."""
        unseen = min(gap.missed, self._trimmed_unseen) if gap.reason == "trimmed" else 0
        self._trimmed_unseen -= unseen
        self._metrics.lost[LossReason.WINDOW].inc(unseen)
        if gap.reason == "trimmed":
            self._metrics.lost[LossReason.TRIMMED].inc(gap.missed - unseen)
            self.delivered_seq = max(self.delivered_seq, gap.missed_through or 0)

    def close(self) -> None:
        """Note that the log goes: what no client was ever sent stays unread."""
        self._metrics.unread += self.undelivered
        self._trimmed_unseen = 0
        self.delivered_seq = self._log.last_seq
