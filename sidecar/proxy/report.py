"""A client report, parsed strictly and compared with the log.

A client with a stream's token can send anything, so a report is a claim. A report that does not parse is
refused.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, TypeGuard

from sidecar.observability.labels import ReportVerdict
from sidecar.sse import event_id

REPORT_BYTES_MAX = 4096
GAPS_MAX = 100
GAPS_ALL = 50
"""A client lists no more gaps than this for certain: with as many there may have been others."""

RECONNECTS_MAX = 50
RECONNECT_S_MAX = 30 * 86_400
COUNT_MAX = 10**event_id.SEQ_DIGITS_MAX - 1
BRACKETS_MAX = GAPS_MAX + 3
"""Of an object with two lists, one of them of pairs; no text in it has a bracket, so its depth is bounded."""

STATES = frozenset({"connecting", "open", "stalled", "reconnecting", "completed", "failed", "closed"})
OCCASIONS = frozenset({"end", "recovery", "pagehide"})


@dataclass(frozen=True, slots=True)
class Report:
    """One client's report on one stream; seqs count from 1.

    ``gaps`` are the first and last seq of each gap that it received. ``told``: its user saw the end.
    """

    stream: str
    received: int
    first_seq: int
    last_seq: int
    gaps: tuple[tuple[int, int], ...]
    duplicates: int
    reconnects: tuple[float, ...]
    stalls: int
    state: str
    told: bool
    at: str

    @property
    def goodbye(self) -> bool:
        """Whether the client has left, and says so."""
        return self.at == "pagehide" or self.state == "closed"

    @property
    def span(self) -> int:
        """How many seqs there are from the first one to the last."""
        return self.last_seq - self.first_seq + 1

    def excused(self, trimmed_through: int) -> int:
        """Return the number of trimmed messages that gaps announced."""
        trimmed_through = min(trimmed_through, self.last_seq)
        if len(self.gaps) >= GAPS_ALL:
            return max(0, trimmed_through - self.first_seq + 1)
        count, after = 0, self.first_seq - 1
        for start, end in sorted(self.gaps):
            count += max(0, min(end, trimmed_through) - max(start - 1, after))
            after = max(after, end)
        return count


class StreamFacts(NamedTuple):
    """What the sidecar knows of the stream.

    ``entries`` is the last seq of the log. ``messages`` is that of the backend, which a terminal event of
    the sidecar may follow. ``unframed`` is whether the stream went on without seqs.
    """

    entries: int
    messages: int
    trimmed_through: int
    completed: bool
    unframed: bool = False


class Judgement(NamedTuple):
    """The judgement of a report.

    ``missed`` are messages that neither arrived nor were announced as a gap.
    """

    verdict: ReportVerdict
    missed: int = 0


def judge(report: Report, known: StreamFacts) -> Judgement:
    """Compare a report with the log, by seq arithmetic."""
    if known.unframed:
        return Judgement(ReportVerdict.UNFINISHED if _unfinished(report, known) else ReportVerdict.AGREE)
    if report.last_seq > known.entries:
        return Judgement(ReportVerdict.REJECTED)
    if report.received > report.span:
        return Judgement(ReportVerdict.DUPLICATED)
    due = min(report.last_seq, known.messages) - report.first_seq + 1
    missed = due - report.excused(known.trimmed_through) - report.received
    if missed > 0:
        return Judgement(ReportVerdict.LOST, missed)
    if _unfinished(report, known):
        return Judgement(ReportVerdict.UNFINISHED)
    return Judgement(ReportVerdict.AGREE)


def _unfinished(report: Report, known: StreamFacts) -> bool:
    """Tell whether the client takes for a whole answer what is none."""
    whole = known.completed and (known.unframed or report.last_seq >= known.messages)
    return report.state == "completed" and not whole


def parse(body: bytes) -> Report | None:
    """Read a report; None: it is none. Raises nothing, whatever the bytes."""
    found = _fields(body)
    if found is None or found.keys() != FIELDS.keys():
        return None
    if not all(valid(found[name]) for name, valid in FIELDS.items()):
        return None
    if found["last_seq"] < found["first_seq"] - 1:
        return None
    del found["v"]
    gaps = tuple([(start, end) for start, end in found.pop("gaps")])
    return Report(**found | {"gaps": gaps, "reconnects": tuple(found["reconnects"])})


def _fields(body: bytes) -> dict[str, Any] | None:
    if len(body) > REPORT_BYTES_MAX or body.count(b"[") + body.count(b"{") > BRACKETS_MAX:
        return None
    try:
        found = json.loads(body.decode(), object_pairs_hook=_each_once, parse_constant=_refuse)
    except ValueError:  # UnicodeDecodeError and JSONDecodeError are such
        return None
    return found if isinstance(found, dict) else None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        message = "a name twice"
        raise ValueError(message)
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= COUNT_MAX


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= RECONNECT_S_MAX


def _is_gap(value: object) -> bool:
    match value:
        case [start, end]:
            return _is_count(start) and _is_count(end) and 1 <= start <= end
        case _:
            return False


def _are(valid: Callable[[object], bool], count_max: int) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        return isinstance(value, list) and len(value) <= count_max and all(map(valid, value))

    return check


def _one_of(words: frozenset[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in words


FIELDS: Mapping[str, Callable[[object], bool]] = {
    "v": lambda value: type(value) is int and value == 1,
    "stream": lambda value: isinstance(value, str) and event_id.is_stream(value),
    "received": _is_count,
    "first_seq": lambda value: _is_count(value) and value != 0,
    "last_seq": _is_count,
    "gaps": _are(_is_gap, GAPS_MAX),
    "duplicates": _is_count,
    "reconnects": _are(_is_seconds, RECONNECTS_MAX),
    "stalls": _is_count,
    "state": _one_of(STATES),
    "told": lambda value: isinstance(value, bool),
    "at": _one_of(OCCASIONS),
}
"""Every field, each of them needed, and what it may be."""
