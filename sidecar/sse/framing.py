r"""Split the bytes of an event stream into its events.

An event is the text of a block with at least one ``data`` field: its lines, each ended by ``\n``, without the
blank line that dispatches it (WHATWG HTML section 9.2.6).

The framer normalizes only what breaks real clients:

- Line ends become ``\n``.
- One leading BOM is removed.
- A block without ``data`` loses its blank line and precedes the next event.
- A later line that begins with a BOM, an unknown field, becomes a comment. A client that resumes may
  receive it first and would remove the BOM.
"""

import re

EVENT_BYTES_MAX = 1024 * 1024
"""A larger block ends framing: the rest passes through without ids and cannot be resumed."""

CARRY_BYTES_MAX = 4096
"""Lines without data before the next event. Above it, only the last id and retry remain."""

TAIL_BYTES_MAX = 64 * 1024
"""Kept end of a stream that is no longer framed, to search it for the terminal event."""

BOM = b"\xef\xbb\xbf"

_bare_data = re.compile(rb"(?:^|\n)data(?:\n|\Z)")
_bom_first = re.compile(rb"(?:\A|(?<=\n))\xef\xbb\xbf")
_COMMENT_LIKE_BOM = b":  "


class Framer:
    """Splits one body into events, in linear time for any chunking."""

    __slots__ = (
        "_after_cr",
        "_carry",
        "_carry_max",
        "_limit",
        "_pending",
        "_spill",
        "_tail",
        "_undecided",
        "overflowed",
    )

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._limit = event_bytes_max
        self._pending = bytearray()
        self._carry = bytearray()
        self._carry_max = CARRY_BYTES_MAX
        self._after_cr = False
        self._undecided: bytes | None = b""
        self._spill = b""
        self._tail = b""
        self.overflowed = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the events that ``chunk`` completes, and set ``overflowed``."""
        if self._undecided is not None:
            chunk = self._without_bom(chunk)
        if self._after_cr or chunk.find(b"\r") >= 0:
            chunk = self._with_lf(chunk)
        if self.overflowed:
            self._spill += chunk
            return []
        if (
            chunk[:5] == b"data:"
            and chunk.find(b"\n") == len(chunk) - 2
            and chunk[-1:] == b"\n"
            and not (self._pending or self._carry)
            and len(chunk) <= self._limit
        ):
            return [chunk[:-1]]  # one event of one line: most backends write so
        return self._split(chunk)

    def take_spill(self) -> bytes:
        """Return once, after an overflow, the bytes that are in no event."""
        spill, self._spill = self._spill, b""
        self._tail = (self._tail + spill)[-TAIL_BYTES_MAX:]
        return spill

    def end(self) -> bytes:
        """Return the unfinished lines at the end of the body."""
        undecided, self._undecided = self._undecided, None
        if undecided:
            self._split(undecided)
        return bytes(self._carry + self._pending)

    def tail_events(self) -> list[bytes]:
        """Return, after an overflow, the last whole blocks."""
        return [
            block.lstrip(b"\n") + b"\n" for block in self._tail.split(b"\n\n")[1:-1] if block.strip(b"\n")
        ]

    def _without_bom(self, chunk: bytes) -> bytes:
        chunk = (self._undecided or b"") + chunk
        if len(chunk) < len(BOM) and BOM.startswith(chunk):
            self._undecided = chunk
            return b""
        self._undecided = None
        return chunk.removeprefix(BOM)

    def _with_lf(self, chunk: bytes) -> bytes:
        """End every line with LF.

        A CR at the end of a chunk ends its line immediately. A LF after it is dropped.
        """
        if not chunk:
            return chunk
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
            if not chunk:
                return chunk
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _split(self, chunk: bytes) -> list[bytes]:
        pending = self._pending
        if pending:
            start = len(pending) - 1
            pending += chunk
            if pending.find(b"\n\n", start) < 0:
                if len(pending) - pending.endswith(b"\n") > self._limit:
                    self._overflow(bytes(pending))
                return []
            chunk = bytes(pending)
            pending.clear()
        blocks = chunk.split(b"\n\n")
        rest = blocks.pop()
        bom_inside = BOM in chunk
        events: list[bytes] = []
        for number, block in enumerate(blocks):
            if len(block) > self._limit and len(block.lstrip(b"\n")) > self._limit:
                self._overflow(b"\n\n".join([*blocks[number:], rest]))
                return events
            self._add(_bom_first.sub(_COMMENT_LIKE_BOM, block) if bom_inside else block, events)
        rest = rest.lstrip(b"\n")
        if len(rest) - rest.endswith(b"\n") > self._limit:
            self._overflow(rest)
        elif rest:
            pending += rest
        return events

    def _add(self, block: bytes, events: list[bytes]) -> None:
        if block[:1] == b"\n":
            block = block[1:]
        if not block:
            return
        if not (block[:5] == b"data:" or b"\ndata:" in block or _bare_data.search(block)):
            self._hold(block)
        elif self._carry:
            events.append(bytes(self._carry) + block + b"\n")
            self._carry.clear()
        else:
            events.append(block + b"\n")

    def _hold(self, block: bytes) -> None:
        """Keep a block without data, except its ``event`` (WHATWG 9.2.6)."""
        carry = self._carry
        carry += b"".join([line + b"\n" for line in block.split(b"\n") if _name(line) != b"event"])
        if len(carry) > self._carry_max:
            carry[:] = _effective(bytes(carry))
            self._carry_max = max(CARRY_BYTES_MAX, 2 * len(carry))

    def _overflow(self, rest: bytes) -> None:
        self.overflowed = True
        rest = rest.lstrip(b"\n")
        if rest[:3] == BOM:
            rest = _COMMENT_LIKE_BOM + rest[3:]
        self._spill = bytes(self._carry) + rest
        self._carry.clear()
        self._pending.clear()


def _effective(lines: bytes) -> bytes:
    """Return the last valid id and retry (WHATWG 9.2.6)."""
    last = {}
    for line in lines.splitlines(keepends=True):
        name, _, value = line.partition(b":")
        name = name.rstrip(b"\n")
        digits = value.removeprefix(b" ").rstrip(b"\n")
        if (name == b"id" and b"\0" not in value) or (name == b"retry" and digits.isdigit()):
            last[name] = line
    return b"".join(last.values())


def _name(line: bytes) -> bytes:
    return line.rstrip(b"\n").partition(b":")[0]


def own_id(event: bytes) -> bytes | None:
    """Return the last ``id`` of an event without NUL (WHATWG 9.2.6), or None."""
    if event[:2] != b"id" and event.find(b"\nid") < 0:
        return None
    found = None
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"id" and b"\0" not in value:
            found = value.removeprefix(b" ")
    return found


def without_ids(event: bytes) -> bytes:
    """Return an event without its ``id`` fields.

    Some clients act on each ``id`` line immediately. If the connection breaks between the backend's line and
    the stamp, they would resume with an id that the sidecar does not know.
    """
    if event[:2] != b"id" and event.find(b"\nid") < 0:
        return event
    return b"".join(line for line in event.splitlines(keepends=True) if _name(line) != b"id")


def data_of(event: bytes) -> bytes:
    """Return the data of an event: its ``data`` values, joined by LF."""
    values = []
    for line in event.split(b"\n"):
        if line[:5] == b"data:":
            values.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            values.append(b"")
    return b"\n".join(values)


def type_of(event: bytes) -> bytes:
    """Return the last ``event`` value, or ``message`` if it is empty."""
    found = b""
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"event":
            found = value.removeprefix(b" ")
    return found or b"message"
