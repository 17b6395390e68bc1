"""A body as far as it went over the wire, and the events in it."""

from tests.kit.eventsource import DispatchedEvent, Parser


class Transcript:
    """Takes the bytes of a body; interprets them when somebody asks, since a large upload has no events."""

    def __init__(self) -> None:
        self._raw = bytearray()
        self._parsed = 0
        self._parser = Parser()
        self._events: list[DispatchedEvent] = []

    def __len__(self) -> int:
        return len(self._raw)

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._raw += data

    @property
    def raw(self) -> bytes:
        """All bytes so far."""
        return bytes(self._raw)

    @property
    def events(self) -> list[DispatchedEvent]:
        """All events so far; the list grows."""
        self._interpret()
        return self._events

    @property
    def parser(self) -> Parser:
        """The parser after all bytes so far."""
        self._interpret()
        return self._parser

    def _interpret(self) -> None:
        if self._parsed < len(self._raw):
            self._events += self._parser.feed(bytes(self._raw[self._parsed :]))
            self._parsed = len(self._raw)

    def tail(self, size: int) -> bytes:
        """Return the last bytes."""
        return bytes(self._raw[-size:])

    def contains(self, data: bytes) -> bool:
        """Tell whether these bytes occur."""
        return data in self._raw
