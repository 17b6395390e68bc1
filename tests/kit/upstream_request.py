"""One request as the upstream saw it, and what the upstream said to it."""

from dataclasses import dataclass, field

from tests.kit.eventsource import DispatchedEvent
from tests.kit.head import Fields, MessageHead
from tests.kit.transcript import Transcript
from tests.kit.wire import AcceptedConnection


@dataclass(eq=False)
class RecordedRequest:
    """A recorded request; ``number`` and ``connection`` count from 0, ``at`` is the loop's time of its head.

    ``body_complete`` says that ``body`` is all of it.
    """

    number: int
    connection: int
    received: MessageHead
    at: float
    wire: AcceptedConnection = field(repr=False)
    received_body: bytearray = field(default_factory=bytearray, repr=False)
    body_complete: bool = False
    _sent: Transcript = field(default_factory=Transcript, repr=False)

    @property
    def head(self) -> bytes:
        """Every byte of the request up to and including the blank line."""
        return self.received.raw

    @property
    def method(self) -> str:
        """The first word of the request line."""
        return self.received.start_line.partition(" ")[0]

    @property
    def target(self) -> str:
        """What stands between the first and the last space of the request line."""
        return self.received.start_line.partition(" ")[2].rpartition(" ")[0]

    @property
    def version(self) -> str:
        """The last word of the request line."""
        return self.received.start_line.rpartition(" ")[2]

    @property
    def headers(self) -> Fields:
        """The header fields in their order."""
        return self.received.fields

    @property
    def body(self) -> bytes:
        """The body as far as a script has read it, taken out of its framing."""
        return bytes(self.received_body)

    @property
    def sent(self) -> bytes:
        """The body bytes of the response so far."""
        return self._sent.raw

    @property
    def truth(self) -> list[DispatchedEvent]:
        """The events that the response has carried so far."""
        return self._sent.events

    def header(self, name: str) -> str | None:
        """Return the first value of a header field, None if there is none."""
        return self.headers.get(name)

    def record(self, body: bytes) -> None:
        """Count body bytes as sent; for a script that sends its own framing with ``send``."""
        self._sent.add(body)

    async def closed_by_peer(self, within_s: float = 1.0) -> float:
        """Wait until the peer closes the connection; return the loop's time of it. Overdue if it does not."""
        return await self.wire.closed_by_peer(within_s)
