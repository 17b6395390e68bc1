"""What became of each message of one stream, so that received = delivered + lost + unread + still held."""

from sidecar.observability.labels import LossReason
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.streams.proof import Proof
from sidecar.streams.replay_log import LogGap, ReplayLog

HOLES_MAX = 64
"""Runs of trimmed messages that nobody has asked for yet; beyond it the oldest count as unread at once."""


class DeliveryLedger:
    """Counts by seq arithmetic, per send and per trim, never per message."""

    __slots__ = ("_holes", "_log", "_metrics", "delivered_seq", "proof", "received", "sealed_seq")

    def __init__(self, log: ReplayLog, metrics: RouteMetrics) -> None:
        self._log = log
        self._metrics = metrics
        self._holes: list[tuple[int, int]] = []
        """First and last seq of what was trimmed before any client had it, and no client was told of."""

        self.proof = Proof(metrics)
        self.received = 0
        self.delivered_seq = 0
        self.sealed_seq: int | None = None
        """Seq of the sidecar's own terminal, which is no message of the backend's."""

    @property
    def undelivered(self) -> int:
        """Messages received that no client has been sent and that are not known to be lost."""
        last = self._log.last_seq if self.sealed_seq is None else self.sealed_seq - 1
        held = max(0, last - max(self.delivered_seq, self._log.first_seq - 1))
        return held + sum(end - start + 1 for start, end in self._holes)

    def take(self, count: int) -> None:
        """Note messages that were appended."""
        self.received += count
        self._metrics.messages_received += count

    def deliver(self, after: int, through: int) -> None:
        """Note that the messages above ``after`` up to ``through`` were written to one client.

        What no client was written below ``after`` counts too: its id says that it came through all the same.
        """
        if after == self.delivered_seq and self.sealed_seq is None and after + 1 >= self._log.first_seq:
            # nearly always: the newest, to the only reader
            self._metrics.messages_delivered += through - after
            self.delivered_seq = through
        else:
            self._deliver_late(after, through)

    def _deliver_late(self, after: int, through: int) -> None:
        if self.sealed_seq is not None:
            through = min(through, self.sealed_seq - 1)
            after = min(after, through)
        unseen_after = max(self.delivered_seq, self._log.first_seq - 1)
        fresh = self._fill(after, through) if self._holes else 0
        fresh += max(0, through - max(unseen_after, after))
        self._metrics.messages_delivered += fresh + max(0, after - unseen_after)
        self._metrics.messages_replayed += through - after - fresh
        self.delivered_seq = max(self.delivered_seq, through)

    def acknowledge(self, seq: int) -> None:
        """Note that the kernel of a client that was written ``seq`` has everything up to there."""
        self.proof.acknowledge(self._without_terminal(seq))

    def confirm(self, seq: int) -> None:
        """Note that a client says it has everything up to ``seq``: by a position it brings, or a report."""
        if seq <= self._log.last_seq:
            self.deliver(seq, seq)
            self.proof.confirm(self._without_terminal(seq))

    def _without_terminal(self, seq: int) -> int:
        return seq if self.sealed_seq is None else min(seq, self.sealed_seq - 1)

    def trimmed(self, first_before: int) -> None:
        """Note that the log's start moved up from seq ``first_before``."""
        start, end = max(first_before, self.delivered_seq + 1), self._log.first_seq - 1
        if start > end:
            return
        self.proof.never(start, end)
        if self._holes and self._holes[-1][1] == start - 1:
            start, _ = self._holes.pop()
        self._holes.append((start, end))
        if len(self._holes) > HOLES_MAX:
            start, end = self._holes.pop(0)
            self._metrics.unread_messages += end - start + 1

    def missed(self, gap: LogGap) -> None:
        """Note a gap that a client is told: lost here if never written, on the way to it if it was."""
        if gap.reason != "trimmed" or gap.missed_through is None:
            return
        self.proof.never(gap.missed_from, gap.missed_through)
        unseen = self._fill(gap.missed_from - 1, gap.missed_through)
        self._metrics.messages_lost[LossReason.WINDOW].inc(unseen)
        self._metrics.messages_lost[LossReason.TRIMMED].inc(gap.missed - unseen)

    def close(self) -> None:
        """Note that the log goes: what no client was ever sent stays unread."""
        self._metrics.unread_messages += self.undelivered
        self._holes.clear()
        self.proof.never(self.delivered_seq + 1, self._log.last_seq)
        self.delivered_seq = self._log.last_seq

    def _fill(self, after: int, through: int) -> int:
        """Take what lies above ``after`` up to ``through`` out of the holes; return how many it is."""
        left: list[tuple[int, int]] = []
        filled = 0
        for start, end in self._holes:
            left += [
                part
                for part in ((start, min(end, after)), (max(start, through + 1), end))
                if part[0] <= part[1]
            ]
            filled += max(0, min(end, through) - max(start, after + 1) + 1)
        self._holes = left
        return filled
