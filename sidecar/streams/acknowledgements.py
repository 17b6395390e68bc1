"""What one client's kernel has acknowledged of a stream."""

from sidecar.http1.connection import Connection
from sidecar.observability.labels import Outcome, SilentDisposition
from sidecar.streams.stream import Stream

LOOKS_S = (0.5, 2.0, 8.0)
"""When a kernel is asked again after the last byte, each from the time before: nobody tells when it has."""


class Acknowledgements:
    """Ask the kernel of one client at intervals and at the end.

    A connection that died proves no more than before.
    """

    __slots__ = ("_connection", "_looks", "_position", "_stream", "wheel_slot")

    def __init__(self, stream: Stream, connection: Connection) -> None:
        self._stream = stream
        self._connection = connection
        self._position = 0
        self._looks = 0
        self.wheel_slot: int | None = None

    def proven(self, position: int) -> int:
        """Return the seq up to which the kernel has acknowledged everything.

        ``position`` is the seq of the last event that was written.
        """
        return self._stream.log.before(position, self._connection.unproven)

    def look(self, position: int) -> None:
        """Count what the client's kernel has by now."""
        ledger = self._stream.ledger
        if ledger.proof.acknowledged_seq < position <= self._stream.log.last_seq:
            ledger.acknowledge(self.proven(position))

    def follow(self, position: int) -> None:
        """Look again after the response is complete, up to its connection's end."""
        self.look(position)
        if not self._connection.lost and self._stream.ledger.proof.acknowledged_seq < position:
            self._position = position
            self._connection.on_lost = self._lost
            self._stream.wheel.add(self, self._stream.clock() + LOOKS_S[0])

    def lost(self, position: int) -> None:
        """Count what the kernel had when its connection was closed.

        A connection that died may have dropped bytes, so it counts nothing.
        """
        if self._connection.lost_cleanly:
            self.look(position)

    def visit(self, now: float) -> float | None:
        """See Visited."""
        self.look(self._position)
        self._looks += 1
        if self._looks < len(LOOKS_S) and self._stream.ledger.proof.acknowledged_seq < self._position:
            return now + LOOKS_S[self._looks]
        self._connection.on_lost = None
        return None

    def _lost(self) -> None:
        self._stream.wheel.discard(self)
        self.lost(self._position)

    def prove_told(self) -> None:
        """Count a leak if the client can take a failed stream for a whole one."""
        ending = self._stream.ending
        if ending is None or ending.outcome in (Outcome.COMPLETED, Outcome.CLIENT_CANCELLED):
            return
        if not self._connection.lost and not self._connection.aborted and ending.silent is not None:
            self._stream.metrics.silent_failures[ending.silent, SilentDisposition.LEAKED].inc()
