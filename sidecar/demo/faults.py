"""The query of a request: pace, length, seed and fault."""

import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

TOKENS_DEFAULT = 40
TOKENS_MAX = 10_000
INTERVAL_MS_DEFAULT = 80
INTERVAL_MS_MAX = 60_000
STALL_S_MAX = 3_600
EVENTS_MAX = 2 * TOKENS_MAX
SEED_CHARS_MAX = 100
SLOW_FACTOR = 10
HUGE_BYTES = 2 * 1024 * 1024


class DemoFault(StrEnum):
    """The faults of the demo; ``at`` counts the whole events before one."""

    SLOW = "slow"
    """Ten times the interval."""
    STALL = "stall"
    """Says nothing from event ``at`` on: for ``stall_s`` seconds, or until the client goes away."""
    RESET = "reset"
    """TCP reset at event ``at`` (RFC 9293 section 3.5.3), as from a process that was killed."""
    TRUNCATE = "truncate"
    """Half an event, then the connection is closed without the last chunk (RFC 9112 section 8)."""
    ERROR = "error"
    """An error event in the family's own form at event ``at``, then a clean end."""
    NO_TERMINAL = "no_terminal"
    """A clean end, without the event that says that the answer is whole."""
    GZIP = "gzip"
    """The event stream with ``Content-Encoding: gzip``, flushed after each event."""
    CRLF = "crlf"
    CR = "cr"
    """Line ends as carriage return + line feed, or carriage return alone (both allowed by WHATWG)."""
    BOM = "bom"
    """One byte order mark in front of the first event."""
    HUGE = "huge"
    """The first token from event ``at`` on is 2 MiB long."""
    STATUS = "status"
    """A JSON error with the status of the parameter ``status`` (default 503)."""
    EMPTY = "empty"
    """An event stream without any event."""
    WRONG_TYPE = "wrong_type"
    """Status 200 with an HTML page."""
    REPEAT = "repeat"
    """The event at ``at`` carries an id of the backend's own, and comes twice."""


INTERRUPTIONS = frozenset({DemoFault.STALL, DemoFault.RESET, DemoFault.TRUNCATE, DemoFault.ERROR})
"""The faults that act at one event."""


class BadQuery(ValueError):
    """An invalid query parameter; the message names the allowed values."""


@dataclass(frozen=True, slots=True)
class AnswerScript:
    """The script of an answer.

    ``n`` None is endless. ``stall_s`` None lasts until the client leaves.
    """

    n: int | None
    interval_s: float
    seed: str
    fault: DemoFault | None
    at: int
    stall_s: float | None
    status: int

    @classmethod
    def from_query(cls, query: Mapping[str, str], *, endless: bool = False) -> "AnswerScript":
        """Parse the parameters; raise :class:`BadQuery`.

        A feed is endless without ``n``.
        """
        n = _whole(query, "n", TOKENS_DEFAULT, 1, TOKENS_MAX)
        fault = _fault(query)
        interval_ms = _whole(query, "interval_ms", INTERVAL_MS_DEFAULT, 0, INTERVAL_MS_MAX)
        return cls(
            n=None if endless and "n" not in query else n,
            interval_s=interval_ms / 1000 * (SLOW_FACTOR if fault is DemoFault.SLOW else 1),
            seed=_seed(query),
            fault=fault,
            at=_whole(query, "at", n // 2, 0, EVENTS_MAX),
            stall_s=_whole(query, "stall_s", 0, 0, STALL_S_MAX) if "stall_s" in query else None,
            status=_whole(query, "status", 503, 400, 599),
        )


class LineForm:
    """Encode blocks as the bytes that a fault needs."""

    def __init__(self, fault: DemoFault | None) -> None:
        self._line_end = {DemoFault.CRLF: b"\r\n", DemoFault.CR: b"\r"}.get(fault or DemoFault.SLOW, b"\n")
        self._mark = b"\xef\xbb\xbf" if fault is DemoFault.BOM else b""
        self._gzip = zlib.compressobj(wbits=16 + zlib.MAX_WBITS) if fault is DemoFault.GZIP else None

    def encode(self, block: bytes) -> bytes:
        """Return the bytes of one block, the first with the byte order mark."""
        plain = self._mark + block.replace(b"\n", self._line_end)
        self._mark = b""
        if self._gzip is None:
            return plain
        return self._gzip.compress(plain) + self._gzip.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """Return what the encoding still owes at a clean end."""
        return self._gzip.flush() if self._gzip else b""


def _whole(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise BadQuery(f"{name}={text[:SEED_CHARS_MAX]!r}: a whole number from {least} to {most} is allowed")
    return int(text)


def _fault(query: Mapping[str, str]) -> DemoFault | None:
    text = query.get("fault", "")
    if text and text not in set(DemoFault):
        raise BadQuery(f"fault={text[:SEED_CHARS_MAX]!r}: one of {', '.join(DemoFault)} is allowed")
    return DemoFault(text) if text else None


def _seed(query: Mapping[str, str]) -> str:
    seed = query.get("seed") or secrets.token_hex(4)
    if len(seed) > SEED_CHARS_MAX:
        raise BadQuery(f"seed: at most {SEED_CHARS_MAX} characters are allowed")
    return seed
