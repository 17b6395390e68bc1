"""Reads an event stream as a client does (WHATWG HTML section 9.2.6): bytes in, events out, any chunking."""

from typing import NamedTuple

EVENT_BYTES_MAX = 64 * 1024 * 1024
"""A stream whose event is larger is given up: a client has to hold it whole."""

BOM = b"\xef\xbb\xbf"


class ClientEvent(NamedTuple):
    """One dispatched event; ``block`` is its text with LF line ends, without the blank line."""

    kind: bytes
    data: bytes
    block: bytes


class EventTooLarge(ValueError):
    """An event above the bound."""


class EventParser:
    """Parses one connection's body. ``last_event_id`` and ``retry_ms`` hold what the stream has said so far.

    Unlike :class:`sidecar.framing.Framer`, which relays blocks, it acts on ``retry`` at once, also right
    before a connection breaks, and on ``id`` at the blank line, also in a block without data.
    """

    def __init__(self, last_event_id: bytes = b"", event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self._limit = event_bytes_max
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._start: bytes | None = b""
        self._after_cr = False
        self._id = last_event_id
        self._forget()

    def feed(self, chunk: bytes) -> list[ClientEvent]:
        """Return the events that ``chunk`` completes; raises EventTooLarge."""
        chunk = self._with_lf(self._without_bom(chunk))
        first, *lines = chunk.split(b"\n")
        self._hold(first)
        if not lines:
            return []
        lines.insert(0, b"".join(self._rest))
        self._rest, self._rest_bytes = [], 0
        self._hold(lines.pop())
        return [event for line in lines if (event := self._line(line)) is not None]

    def _without_bom(self, chunk: bytes) -> bytes:
        if self._start is None:
            return chunk
        chunk = self._start + chunk
        if len(chunk) < len(BOM) and BOM.startswith(chunk):
            self._start = chunk
            return b""
        self._start = None
        return chunk.removeprefix(BOM)

    def _with_lf(self, chunk: bytes) -> bytes:
        if not chunk:
            return chunk
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _hold(self, part: bytes) -> None:
        self._rest.append(part)
        self._rest_bytes += len(part)
        if self._rest_bytes + self._block_bytes > self._limit:
            raise EventTooLarge(f"an event of more than {self._limit} bytes")

    def _line(self, line: bytes) -> ClientEvent | None:
        if not line:
            return self._dispatch()
        self._block.append(line)
        self._block_bytes += len(line) + 1
        name, _, value = line.partition(b":")
        self._field(name, value.removeprefix(b" "))
        return None

    def _field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value
        elif name == b"id" and b"\0" not in value:
            self._id = value
        elif name == b"retry" and value.isdigit():
            self.retry_ms = int(value[:18])

    def _dispatch(self) -> ClientEvent | None:
        self.last_event_id = self._id
        event = None
        if self._data:
            block = b"".join([line + b"\n" for line in self._block])
            event = ClientEvent(self._kind or b"message", b"\n".join(self._data), block)
        self._forget()
        return event

    def _forget(self) -> None:
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._data: list[bytes] = []
        self._kind = b""
