"""The oracle: an event stream parser written from the WHATWG HTML standard, section 9.2.6.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

It shares no code with ``sidecar.sse.framing``. It is slow, looks at one character at a time, and follows the
standard's steps in the standard's order.
"""

import codecs
from dataclasses import dataclass

ASCII_DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class DispatchedEvent:
    """What an ``EventSource`` would dispatch."""

    type: str
    data: str
    last_event_id: str = ""


def parse(data: bytes) -> list[DispatchedEvent]:
    """Interpret a whole event stream. What stands after the last blank line is not an event."""
    return Parser().feed(data)


class Parser:
    """Interprets an event stream that arrives in pieces; the pieces may be cut anywhere.

    ``retry_ms`` is the reconnection time set by the stream (None: not set), ``last_event_id`` the last event
    ID string, ``comments`` the text of every comment line so far, without one leading space.
    """

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        self.last_event_id = ""
        self.comments: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._at_start = True
        self._after_cr = False
        self._line: list[str] = []
        self._data_buffer: list[str] = []
        self._event_type_buffer = ""
        self._last_event_id_buffer = ""
        self._dispatched: list[DispatchedEvent] = []

    def feed(self, data: bytes) -> list[DispatchedEvent]:
        """Take the next bytes; return the events that they complete."""
        self._dispatched = []
        for character in self._decoder.decode(data):
            self._take(character)
        return self._dispatched

    def _take(self, character: str) -> None:
        """Strip one leading BOM, and split into lines that end with CRLF, a lone LF or a lone CR."""
        is_bom = self._at_start and character == "\ufeff"
        is_second_half_of_crlf = self._after_cr and character == "\n"
        self._at_start = False
        self._after_cr = character == "\r"
        if is_bom or is_second_half_of_crlf:
            return
        if character in "\r\n":
            line, self._line = "".join(self._line), []
            self._process_line(line)
        else:
            self._line.append(character)

    def _process_line(self, line: str) -> None:
        """Dispatch at an empty line, ignore a comment, else process the field before the first colon."""
        if line == "":
            self._dispatch()
        elif line[0] == ":":
            self.comments.append(line[1:].removeprefix(" "))
        elif ":" in line:
            field, _, value = line.partition(":")
            self._process_field(field, value.removeprefix(" "))
        else:
            self._process_field(line, "")

    def _process_field(self, field: str, value: str) -> None:
        """Field names are compared literally, without case folding; an unknown one is ignored."""
        if field == "event":
            self._event_type_buffer = value
        elif field == "data":
            self._data_buffer.append(value + "\n")
        elif field == "id" and "\x00" not in value:
            self._last_event_id_buffer = value
        elif field == "retry" and value and ASCII_DIGITS.issuperset(value):
            self.retry_ms = int(value)

    def _dispatch(self) -> None:
        """Follow the steps of "dispatch the event"; the last event ID buffer is the one that is not reset."""
        self.last_event_id = self._last_event_id_buffer
        data, self._data_buffer = "".join(self._data_buffer), []
        event_type, self._event_type_buffer = self._event_type_buffer, ""
        if data == "":
            return
        event = DispatchedEvent(event_type or "message", data.removesuffix("\n"), self.last_event_id)
        self._dispatched.append(event)
