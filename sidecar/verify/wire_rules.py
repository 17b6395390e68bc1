"""The rules on a sidecar's wire bytes, as pure checks.

* An event id is the last field of its block; otherwise fetch-event-source loses an event.
* Each seq comes once, in order after the requested position, with its data.
* Missing seqs have a gap, and comments are between events only.
* A failed stream has no clean end.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sidecar.client.told import ERROR, GAP, OWN_EVENTS
from sidecar.sse import event_id
from sidecar.verify.results import Breach
from sidecar.verify.truth import Truth, data_hash
from sidecar.verify.wire import ReceivedBlock, RecordedConnection

HEARTBEAT = ("hb",)


def breaches(connections: Iterable[RecordedConnection], who: str, truth: Truth | None) -> Iterator[Breach]:
    """Yield the violations on one client's connections to a sidecar."""
    for connection in connections:
        if connection.stream:
            yield from _Reading(connection, who, truth).breaches()


class _Reading:
    """One connection, read block by block."""

    def __init__(self, connection: RecordedConnection, who: str, truth: Truth | None) -> None:
        asked = event_id.parse(connection.after)
        self._connection = connection
        self._who = who
        self._truth = truth
        self._after = asked.seq if asked is not None and asked.stream == connection.stream else 0
        self._expected = self._after + 1
        self._failed = False

    def breaches(self) -> Iterator[Breach]:
        for block in self._connection.blocks:
            yield from self._comments(block)
            if block.value("event") == GAP:
                self._gap(block)
            else:
                self._failed |= tells_failure(block)
                yield from self._event(block)
        if self._failed and self._connection.ended == "clean":
            yield self._breach("clean-end", "got a clean end, although the stream had failed.")

    def _comments(self, block: ReceivedBlock) -> Iterator[Breach]:
        names = [name for name, _ in block.fields]
        first = next((at for at, name in enumerate(names) if name), len(names))
        for name, value in block.fields[first:]:
            if not name and value.split(" ")[0] in HEARTBEAT:
                yield self._breach("heartbeat", "got a heartbeat in the middle of an event.")

    def _gap(self, block: ReceivedBlock) -> None:
        said = _object(block.data or "")
        through = said.get("missed_through")
        if isinstance(through, int) and said.get("reason") == "beyond":
            self._expected = int(said.get("missed_from", self._expected))
        elif isinstance(through, int):
            self._expected = through + 1

    def _event(self, block: ReceivedBlock) -> Iterator[Breach]:
        own = [value for name, value in block.fields if name == "id"]
        known = event_id.parse(own[-1]) if own else None
        if known is None or known.stream != self._connection.stream:
            return
        if block.fields[-1][0] != "id":
            yield self._breach("id-last", f"got event {known.seq} with its id before other fields.")
        yield from self._place(known.seq)
        yield from self._content(known.seq, block)
        self._expected = max(self._expected, known.seq + 1)

    def _place(self, seq: int) -> Iterator[Breach]:
        if seq <= self._after:
            yield self._breach("replayed", f"asked for what comes after {self._after}, and got {seq} again.")
        elif seq < self._expected:
            yield self._breach("twice", f"got {seq} after {self._expected - 1} on one connection.")
        elif seq > self._expected:
            missed = f"{self._expected} to {seq - 1}" if seq > self._expected + 1 else str(self._expected)
            rule = "gap" if self._expected == 1 and self._after == 0 else "missing"
            yield self._breach(rule, f"got {seq}, but never {missed}, and no gap was told.")

    def _content(self, seq: int, block: ReceivedBlock) -> Iterator[Breach]:
        truth, data = self._truth, block.data
        kind = block.value("event") or "message"
        if truth is None or data is None or kind in OWN_EVENTS or tells_failure(block):
            return
        content = data_hash(kind, data)
        if truth.is_at(seq, content):
            return
        if content in truth.hashes:
            meant = truth.hashes.index(content) + 1
            yield self._breach("seq", f"got message {meant} of the answer under the seq {seq}.")
        else:
            yield self._breach("bytes", f"got {seq} with other bytes than the backend sent.")

    def _breach(self, rule: str, what: str) -> Breach:
        return Breach(rule=rule, sentence=f"{self._who} {what}")


def tells_failure(block: ReceivedBlock) -> bool:
    """Tell whether a block is a terminal that says that the stream has failed."""
    kind = block.value("event")
    return kind in (ERROR, "error") or bool(_object(block.data or "").get("error"))


def _object(data: str) -> dict[str, Any]:
    if not data.startswith("{"):
        return {}
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
