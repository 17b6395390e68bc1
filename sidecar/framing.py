r"""Bytes of an event stream in, its events out, as the backend wrote them.

An event is the text of a block with at least one ``data`` field: its lines, each ended by ``\n``, without the
blank line that dispatches it (WHATWG HTML section 9.2.6). Only what is measured to break real clients is
normalised: line ends become ``\n``, one leading BOM goes, and a block without ``data`` loses its blank line
and travels in front of the next event.
"""

import re

EVENT_BYTES_MAX = 1024 * 1024
"""A larger block ends framing: from there on the stream passes through, without ids and not resumable."""

CARRY_BYTES_MAX = 4096
"""Lines without data that wait for the next event; beyond it only what has an effect on a client is kept."""

TAIL_BYTES_MAX = 64 * 1024
"""How much of a stream that is no longer framed is remembered, to look for its terminal at the end."""

BOM = b"\xef\xbb\xbf"

_bare_data = re.compile(rb"(?:^|\n)data(?:\n|\Z)")


class Framer:
    """Splits one body into events; linear in its bytes whatever the chunking."""

    __slots__ = ("_after_cr", "_carry", "_limit", "_pending", "_spill", "_tail", "_undecided", "overflowed")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._limit = event_bytes_max
        self._pending = bytearray()
        self._carry = b""
        self._after_cr = False
        self._undecided: bytes | None = b""
        self._spill = b""
        self._tail = b""
        self.overflowed = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the events that ``chunk`` completes; afterwards look at ``overflowed``."""
        if self._undecided is not None:
            chunk = self._without_bom(chunk)
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_lf(chunk)
        if self.overflowed:
            self._spill += chunk
            return []
        if (
            chunk[:5] == b"data:"
            and chunk.find(b"\n\n") == len(chunk) - 2
            and not (self._pending or self._carry)
            and len(chunk) <= self._limit
        ):
            return [chunk[:-1]]  # one whole event, which is how most backends write
        return self._split(chunk)

    def take_spill(self) -> bytes:
        """After an overflow: return, once, the bytes that no event of ``feed`` holds."""
        spill, self._spill = self._spill, b""
        self._tail = (self._tail + spill)[-TAIL_BYTES_MAX:]
        return spill

    def end(self) -> bytes:
        """Return the unfinished rest at the end of the body: lines that dispatch nothing."""
        undecided, self._undecided = self._undecided, None
        if undecided:
            self._split(undecided)
        return self._carry + bytes(self._pending).lstrip(b"\n")

    def tail_events(self) -> list[bytes]:
        """After an overflow: return the last whole blocks that passed through."""
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
        """End every line with LF; a CR that ends a chunk counts at once, a LF that follows it is dropped."""
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
                if len(pending) > self._limit:
                    self._overflow(bytes(pending))
                return []
            chunk = bytes(pending)
            pending.clear()
        blocks = chunk.split(b"\n\n")
        rest = blocks.pop()
        events: list[bytes] = []
        for number, block in enumerate(blocks):
            if len(block) > self._limit:
                self._overflow(b"\n\n".join([*blocks[number:], rest]))
                return events
            self._add(block, events)
        if len(rest) > self._limit:
            self._overflow(rest)
        elif rest:
            pending += rest
        return events

    def _add(self, block: bytes, events: list[bytes]) -> None:
        if block[:1] == b"\n":
            block = block.lstrip(b"\n")
        if not block:
            return
        if block[:5] == b"data:" or b"\ndata:" in block or _bare_data.search(block):
            events.append(b"%b%b\n" % (self._carry, block) if self._carry else block + b"\n")
            self._carry = b""
        else:
            self._carry = _carried(self._carry + block + b"\n")

    def _overflow(self, rest: bytes) -> None:
        self.overflowed = True
        self._spill = self._carry + rest.lstrip(b"\n")
        self._carry = b""
        self._pending.clear()


def _carried(lines: bytes) -> bytes:
    """Return what of a block without data goes in front of the next event.

    Its ``event`` field must not: the specification forgets it at the blank line that is taken away.
    """
    kept = [line for line in lines.splitlines(keepends=True) if _name(line) != b"event"]
    if sum(map(len, kept)) <= CARRY_BYTES_MAX:
        return b"".join(kept)
    last = {name: line for line in kept if (name := _name(line)) in (b"id", b"retry")}
    return b"".join(last.values())


def _name(line: bytes) -> bytes:
    return line.rstrip(b"\n").partition(b":")[0]


def own_id(event: bytes) -> bytes | None:
    """Return the last ``id`` the backend wrote into an event; one with NUL does not count (WHATWG 9.2.6)."""
    if event[:2] != b"id" and b"\nid" not in event:
        return None
    found = None
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"id" and b"\0" not in value:
            found = value.removeprefix(b" ")
    return found


def without_ids(event: bytes) -> bytes:
    """Return an event without its ``id`` fields.

    Some clients act on each ``id`` line as it comes, so a connection that breaks between the backend's line
    and the stamp would make them come back with an id that nobody here knows.
    """
    if event[:2] != b"id" and b"\nid" not in event:
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
    """Return the type of an event: its last ``event`` value, ``message`` if there is none or an empty one."""
    found = b""
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"event":
            found = value.removeprefix(b" ")
    return found or b"message"
