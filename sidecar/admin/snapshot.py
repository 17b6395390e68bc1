"""The state and the timeline of one stream, for the admin listener."""

from sidecar.observability.labels import Outcome
from sidecar.streams.states import Audience
from sidecar.streams.stream import Stream

WHY: dict[Outcome, str] = {
    Outcome.COMPLETED: "It ran to its end and a client was given all of it.",
    Outcome.CLIENT_CANCELLED: "It was cancelled: by its client, or by an operator (see the timeline).",
    Outcome.CLIENT_LEFT: "Its client closed the connection properly and did not come back in time.",
    Outcome.CLIENT_ABANDONED: "Its client's connection broke and nobody came back in time.",
    Outcome.UPSTREAM_ERROR: "The backend failed, or said so itself.",
    Outcome.UPSTREAM_TRUNCATED: "The backend's answer stopped before its end.",
    Outcome.STALL_UNRECOVERED: "The backend fell silent and did not come back.",
    Outcome.RESUME_EXPIRED: "Its client came back too late: what it had missed was no longer kept.",
    Outcome.SIDECAR_ERROR: "The sidecar itself ended it: a defect, or the end of the process.",
    Outcome.ORPHANED: "The sidecar that had it died.",
}
"""How a stream ended, in words for whoever is on call."""


def summary(stream: Stream) -> dict[str, object]:
    """Return one row of the stream list.

    ``lag`` is the number of events that the slowest reader is behind.
    """
    now, log = stream.clock(), stream.log
    return {
        "id": stream.handle,
        "route": stream.policy.name,
        "kind": stream.policy.kind,
        "state": stream.state,
        "audience": stream.audience,
        "outcome": stream.outcome,
        "age_s": round(now - stream.started_at, 3),
        "idle_s": round(now - stream.last_byte_at, 3),
        "events": log.last_seq,
        "delivered_seq": stream.ledger.delivered_seq,
        "readers": len(stream.readers),
        "away_s": _away_s(stream, now),
        "lag": lag_of(stream),
        "log_bytes": log.bytes_held,
        "trace": stream.trace or None,
    }


def detail(stream: Stream) -> dict[str, object]:
    """Return a stream with its timeline; ``at_s`` counts from its start."""
    error = stream.ending.error if stream.ending is not None else None
    return {
        **summary(stream),
        "family": stream.verdict.family,
        "code": error.code if error is not None else None,
        "reason": error.message if error is not None else None,
        "cause": error.cause if error is not None else None,
        "remedy": error.remedy if error is not None else None,
        "why": WHY[stream.outcome] if stream.outcome is not None else None,
        "positions": sorted(reader.position for reader in stream.readers),
        "timeline": [{"at_s": round(at_s, 3), "what": what} for at_s, what in stream.timeline],
    }


def lag_of(stream: Stream) -> int | None:
    """Return the lag of the slowest reader in events, or None."""
    positions = [reader.position for reader in stream.readers]
    return stream.log.held(min(positions)) if positions else None


def _away_s(stream: Stream, now: float) -> float | None:
    """Return how long a stream has waited for a reader, in s, or None."""
    if stream.audience is not Audience.DETACHED:
        return None
    return round(now - stream.subscribers.detached_at, 3)
