"""The blocks that the sidecar adds to a stream.

They have no id, because they are not in the log.
"""

from sidecar.sse.json_events import event_of


def gap_event(missed_from: int, missed_through: int | None, reason: str) -> bytes:
    """Return the ``sse-gap`` block, with its blank line."""
    body: dict[str, object] = {"missed_from": missed_from, "missed_through": missed_through, "reason": reason}
    return event_of(b"sse-gap", body) + b"\n"


def end_event(events: int, last_seq: int) -> bytes:
    """Return the ``sse-end`` block, with its blank line."""
    return event_of(b"sse-end", {"events": events, "last_seq": last_seq}) + b"\n"
