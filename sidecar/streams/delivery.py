"""The fate of each message of one stream.

Always: received = delivered + lost + unread + held.
"""

from sidecar.observability.labels import LossReason
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.streams.replay_log import LogGap, ReplayLog

HOLES_MAX = 64
"""Runs of trimmed messages that nobody has asked for yet; beyond it the oldest count as unread at once."""

NEVER_MAX = 64
"""Runs of messages that did not reach everybody; with more, nothing up to the oldest counts any more."""


class Proof:
    """Count each message once as acknowledged and once as confirmed.

    What is acknowledged is part of what is delivered, and what is confirmed of what is acknowledged: a client
    that has a message has it from its kernel. Where it is not known whether a message was among them, it is
    not counted.
    """

    __slots__ = ("_floor", "_metrics", "_never", "acknowledged_seq", "confirmed_seq")

    def __init__(self, metrics: RouteMetrics) -> None:
        self._metrics = metrics
        self._never: list[tuple[int, int]] = []
        """First and last seq of what some client was never given; ascending, apart from each other."""

        self._floor = 0
        self.acknowledged_seq = 0
        self.confirmed_seq = 0

    def never(self, start: int, end: int) -> None:
        """Exclude messages that did not reach every client.

        ``start`` and ``end`` are the first and the last seq.
        """
        apart = []
        for known in self._never:
            if known[1] + 1 < start or end + 1 < known[0]:
                apart.append(known)
            else:
                start, end = min(start, known[0]), max(end, known[1])
        if start <= end:
            apart.append((start, end))
        self._never = sorted(apart)
        if len(self._never) > NEVER_MAX:
            _, self._floor = self._never.pop(0)

    def acknowledge(self, through: int) -> None:
        """Count messages up to ``through`` as acknowledged by a kernel."""
        self._metrics.messages_acknowledged += self._between(self.acknowledged_seq, through)
        self.acknowledged_seq = max(self.acknowledged_seq, through)

    def confirm(self, through: int) -> None:
        """Count messages up to ``through`` as confirmed by a client."""
        self.acknowledge(through)
        self._metrics.messages_confirmed += self._between(self.confirmed_seq, through)
        self.confirmed_seq = max(self.confirmed_seq, through)

    def _between(self, after: int, through: int) -> int:
        """Count the provable messages above ``after`` up to ``through``."""
        after = max(after, self._floor)
        missed = sum(max(0, min(end, through) - max(start - 1, after)) for start, end in self._never)
        return max(0, through - after - missed)


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
        """Return the number of messages sent to no client and not lost."""
        last = self._log.last_seq if self.sealed_seq is None else self.sealed_seq - 1
        held = max(0, last - max(self.delivered_seq, self._log.first_seq - 1))
        return held + sum(end - start + 1 for start, end in self._holes)

    def take(self, count: int) -> None:
        """Note messages that were appended."""
        self.received += count
        self._metrics.messages_received += count

    def deliver(self, after: int, through: int) -> None:
        """Count the messages above ``after`` up to ``through`` as written.

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
        """Count everything up to ``seq`` as acknowledged by a kernel."""
        self.proof.acknowledge(self._without_terminal(seq))

    def confirm(self, seq: int) -> None:
        """Count everything up to ``seq`` as confirmed by a client.

        A client confirms with the position of a resume, or with its report.
        """
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
        """Count a gap that a client received.

        Messages that no client was sent are lost in the sidecar, the others on the way to the client.
        """
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
        """Remove seqs above ``after`` up to ``through`` from the holes.

        Return how many there were.
        """
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
