"""Parse an event stream (WHATWG HTML section 9.2.6)."""

import codecs
import re
from typing import NamedTuple

EVENT_CHARS_MAX = 64 * 1024 * 1024
"""A stream whose event is larger is given up: a client has to hold it whole."""

RETRY_DIGITS_MAX = 18

BOM = "\ufeff"

_heartbeat_form = re.compile(r": ?hb(?: idle=([0-9]{1,9}))?")


class Event(NamedTuple):
    """One dispatched event; ``id`` is the last event ID at that moment."""

    type: str
    data: str
    id: str = ""
    own_id: bool = False
    """Whether the event carried its id itself."""

    block: str = ""
    """Its lines as they came, each ended by LF, without the blank line."""


class EventTooLarge(ValueError):
    """An event above the bound."""


class EventParser:
    """Parse one connection's body into events.

    ``last_event_id`` and ``retry_ms`` are the latest of the stream.

    ``idle_s`` is the seconds since the backend's last byte: the value of the last heartbeat, 0 after an
    event, None if a heartbeat had none.

    Unlike :class:`sidecar.framing.Framer`, which relays blocks, it acts on ``retry`` at once, also right
    before a connection breaks, and on ``id`` at the blank line, also in a block without data.
    """

    def __init__(self, last_event_id: str = "", event_chars_max: int = EVENT_CHARS_MAX) -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self.idle_s: int | None = 0
        self.heartbeats = 0
        self._limit = event_chars_max
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._at_start = True
        self._after_cr = False
        self._rest: list[str] = []
        self._rest_chars = 0
        self._id = last_event_id
        self._own_id = False
        self._type = ""
        self._data: list[str] = []
        self._block: list[str] = []
        self._block_chars = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that ``chunk`` completes; raises EventTooLarge."""
        text = self._with_lf(self._without_bom(self._decode(chunk)))
        first, *lines = text.split("\n")
        self._hold(first)
        if not lines:
            return []
        lines.insert(0, "".join(self._rest))
        self._rest, self._rest_chars = [], 0
        rest = lines.pop()
        events = [event for line in lines if (event := self._line(line)) is not None]
        self._hold(rest)
        return events

    def _without_bom(self, text: str) -> str:
        if not self._at_start or not text:
            return text
        self._at_start = False
        return text.removeprefix(BOM)

    def _with_lf(self, text: str) -> str:
        if not text:
            return text
        if self._after_cr:
            text = text.removeprefix("\n")
            self._after_cr = False
        if "\r" in text:
            self._after_cr = text.endswith("\r")
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text

    def _hold(self, part: str) -> None:
        if part:
            self._rest.append(part)
            self._rest_chars += len(part)
        if self._rest_chars + self._block_chars > self._limit:
            raise EventTooLarge(f"an event of more than {self._limit} characters")

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        self._block.append(line)
        self._block_chars += len(line) + 1
        if line.startswith("data:"):
            self._data.append(line[6:] if line[5:6] == " " else line[5:])
        else:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "), line)
        return None

    def _field(self, name: str, value: str, line: str) -> None:
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
            self._own_id = True
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value[:RETRY_DIGITS_MAX])
        elif not name and (heartbeat := _heartbeat_form.fullmatch(line)):
            self.heartbeats += 1
            self.idle_s = None if heartbeat[1] is None else int(heartbeat[1])

    def _dispatch(self) -> Event | None:
        self.last_event_id = self._id
        event = None
        if self._data:
            self.idle_s = 0
            data = self._data[0] if len(self._data) == 1 else "\n".join(self._data)
            block = "\n".join(self._block) + "\n"
            event = Event(self._type or "message", data, self._id, self._own_id, block)
            self._data = []
        self._type, self._own_id = "", False
        self._block, self._block_chars = [], 0
        return event
