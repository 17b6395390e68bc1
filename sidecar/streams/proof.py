"""How well it is proven that messages arrived: written, acknowledged by a kernel, confirmed by the client."""

from sidecar.observability.route_metrics import RouteMetrics

NEVER_MAX = 64
"""Runs of messages that did not reach everybody; with more, nothing up to the oldest counts any more."""


class Proof:
    """Counts each message of one stream once per tier, by seq arithmetic; the first tier is the ledger's.

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
        """Note that the messages from ``start`` to ``end`` did not reach every client."""
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
        """Note that a client's kernel has acknowledged all that the client was written up to ``through``."""
        self._metrics.messages_acknowledged += self._between(self.acknowledged_seq, through)
        self.acknowledged_seq = max(self.acknowledged_seq, through)

    def confirm(self, through: int) -> None:
        """Note that a client says it has all that it was written up to ``through``."""
        self.acknowledge(through)
        self._metrics.messages_confirmed += self._between(self.confirmed_seq, through)
        self.confirmed_seq = max(self.confirmed_seq, through)

    def _between(self, after: int, through: int) -> int:
        """Count what lies above ``after`` up to ``through``, without what did not reach everybody."""
        after = max(after, self._floor)
        missed = sum(max(0, min(end, through) - max(start - 1, after)) for start, end in self._never)
        return max(0, through - after - missed)
