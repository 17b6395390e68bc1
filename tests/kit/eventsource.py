"""The oracle: an event stream parser written from the WHATWG HTML standard, section 9.2.6.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

It shares no code with ``sidecar.sse.framing``. It follows the standard's steps in the standard's order.
"""

import codecs
import re
from dataclasses import dataclass

LINE_END = re.compile("\r\n|\r|\n")
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
        text = self._decoder.decode(data)
        if text:
            self._take(text)
        return self._dispatched

    def _take(self, text: str) -> None:
        """Strip one leading BOM, and split into lines that end with CRLF, a lone LF or a lone CR."""
        ends_with_cr = text.endswith("\r")
        if self._at_start:
            text = text.removeprefix("\ufeff")
        elif self._after_cr:
            text = text.removeprefix("\n")
        self._at_start, self._after_cr = False, ends_with_cr
        rest, *lines = LINE_END.split(text)
        self._line.append(rest)
        for next_line in lines:
            self._process_line("".join(self._line))
            self._line = [next_line]

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
