"""The received part of a stream: messages, gaps and position."""

from collections import deque

from sidecar.client.event_parser import Event
from sidecar.client.state import Gap
from sidecar.sse import event_id

RECENT_IDS_MAX = 256
"""Ids remembered of a server that does not number its events, to tell a message that came again."""

GAPS_MAX = 100
"""Gaps kept; of more only the latest are."""

UNANNOUNCED = "lost on the way"


class LostOnTheWay(Exception):
    """Messages before this one are missing without a gap.

    The client does not take it, since the server may still have them.
    """


class Progress:
    """Counts and positions of one stream, whatever the connection.

    ``stream`` and ``position`` (a last event id) say where a program goes on that has read before.
    """

    def __init__(self, stream: str = "", position: str = "") -> None:
        known = event_id.parse(position)
        self.stream = stream or (known.stream if known else "")
        """The stream's id at the sidecar; "" where there is none or none is known yet."""

        self.last_event_id = position
        self._next = ""
        """Another stream, which has been answered with and has said nothing yet."""

        self.by_sidecar = False
        """The last answer came through a sidecar."""

        self.received = 0
        self.duplicates = 0
        self.gaps: deque[Gap] = deque(maxlen=GAPS_MAX)
        self._recent: deque[str] = deque(maxlen=RECENT_IDS_MAX)
        self._checks_ids = False
        self.jumped: Gap | None = None
        """What the last message that was taken left out, although nobody had said so."""

        self._asked_for: tuple[str, int] | None = None
        """The last place behind which messages were missing, and were asked for."""

        self._begin(known.seq if known and known.stream == self.stream else 0)

    def _begin(self, after: int) -> None:
        self.first_seq = after + 1
        self.last_seq = after
        self.counted = 0
        """Messages received of this very stream, and the gaps that its server announced."""
        self.announced: deque[tuple[int, int]] = deque(maxlen=GAPS_MAX)
        self._gap_from = 0
        """Where a gap begins whose end the server does not know."""
        self._numbered = False

    def answered(self, stream: str) -> None:
        """Begin a response; ``stream`` is its ``SSE-Stream`` field or ""."""
        self.by_sidecar = bool(stream)
        self._checks_ids = not stream  # a sidecar counts, and ids of its backend's making need not differ
        self._next = ""
        if stream and stream != self.stream:
            if self.stream and self.last_seq:
                self._next = stream
            else:
                self._begin_with(stream)

    def _begin_with(self, stream: str) -> None:
        if self.stream or self.counted:
            self._begin(0)
        self.stream = stream

    def _turn(self) -> None:
        """Begin another stream at its first event, after an unknown gap."""
        if self._next:
            self._begin_with(self._next)
            self._next = ""

    def take(self, event: Event) -> bool:
        """Return whether a message is new, and count it.

        Raises LostOnTheWay once for each position.
        """
        self._turn()
        self.jumped = None
        known = event_id.parse(event.id) if event.own_id else None
        if known is not None and known.stream == (self.stream or known.stream):
            self.stream = known.stream
            new = known.seq > self.last_seq
            if new:
                self._jump(known.seq)
        else:
            new = not (event.own_id and self._came_before(event.id))
            self.last_seq += new and not self._numbered  # a sidecar numbers what it does not stamp as well
        if new:
            self.received += 1
            self.counted += 1
        else:
            self.duplicates += 1
        return new

    def missed(self, gap: Gap) -> None:
        """Take note of messages that the server says will not come."""
        self._turn()
        self.gaps.append(gap)
        again = self.last_seq - gap.missed_from + 1
        if gap.missed_through is None:
            self._gap_from = gap.missed_from
        elif again > 0:  # the server has forgotten what was read here, and will give out these numbers again
            self.counted -= again
            self.last_seq -= again
        else:
            self.announced.append((gap.missed_from, gap.missed_through))
            self.last_seq = gap.missed_through

    def forget(self) -> None:
        """Forget a stream without a received message; another one follows."""
        self.stream = ""

    def lacks(self, last_seq: int) -> bool:
        """Return whether a stream with this last seq has missing messages."""
        self._turn()
        return self.last_seq < last_seq

    @property
    def position(self) -> str:
        """Return the id of the last message: the sidecar's, or the server's.

        The sidecar's also for a message that it did not stamp.
        """
        if not self.stream:
            return self.last_event_id
        return str(event_id.EventId(self.stream, self.last_seq)) if self.last_seq else ""

    def _jump(self, seq: int) -> None:
        if 0 < self._gap_from < seq:
            self.announced.append((self._gap_from, seq - 1))
        elif seq > self.last_seq + 1:
            place = (self.stream, self.last_seq)
            if self._asked_for != place:
                self._asked_for = place
                self.last_event_id = self.position
                raise LostOnTheWay
            self.jumped = Gap(self.last_seq + 1, seq - 1, UNANNOUNCED)
            self.gaps.append(self.jumped)
        self._gap_from = 0
        self._numbered = True
        self.last_seq = seq

    def _came_before(self, name: str) -> bool:
        """Return whether an id was seen before.

        After a reconnect a server may repeat events up to the first new one.
        """
        if self._checks_ids and name in self._recent:
            return True
        self._checks_ids = False
        self._recent.append(name)
        return False
