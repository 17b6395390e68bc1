"""What the admin listener tells of one stream: where it stands, and the history that explains it."""

from sidecar.stream import Stream


def summary(stream: Stream) -> dict[str, object]:
    """Return one row of the stream list; ``lag`` is how many events the slowest reader is behind."""
    now, log = stream.clock(), stream.log
    positions = [reader.position for reader in stream.readers]
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
        "readers": len(positions),
        "lag": log.held(min(positions)) if positions else None,
        "log_bytes": log.bytes_held,
        "trace": stream.trace or None,
    }


def detail(stream: Stream) -> dict[str, object]:
    """Return all that is known of a stream, with its timeline; ``at_s`` counts from its start."""
    error = stream.ending.error if stream.ending is not None else None
    return {
        **summary(stream),
        "family": stream.verdict.family,
        "code": error.code if error is not None else None,
        "reason": error.message if error is not None else None,
        "timeline": [{"at_s": round(at_s, 3), "what": what} for at_s, what in stream.timeline],
    }
