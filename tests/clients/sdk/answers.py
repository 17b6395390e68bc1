"""The cases of every SDK, and what its application must have read."""

from tests.clients.sdk.front import COURSE, HEARTBEATS_MIN, SLOW_MS, STREAM_TYPE, TEXT, SdkEndpoint
from tests.clients.sdk.seen import SdkResult

FAULTS = ("reset", "truncate", "no_terminal", "error", "empty")
AT_ONCE: dict[str, object] = {**COURSE, "interval_ms": 0}
SLOWLY: dict[str, object] = {**COURSE, "interval_ms": SLOW_MS}
STAMPED = {"Accept": STREAM_TYPE}
REPEATABLE = {"Idempotency-Key": "question-1"}


def faulty(fault: str) -> dict[str, object]:
    """Return the query of an answer that fails."""
    return {**AT_ONCE, "fault": fault}


def assert_the_same(front: SdkEndpoint, direct: SdkResult, *relayed: SdkResult) -> None:
    """Check that relayed answers equal the direct one, despite heartbeats."""
    assert (direct.text, direct.error) == (TEXT, "")
    for seen in relayed:
        assert seen.content == direct.content
    assert front.heartbeats >= HEARTBEATS_MIN * len(relayed)
    assert front.sc.outcomes() == {"completed": len(relayed)}


def assert_one_generation(front: SdkEndpoint, cut: SdkResult, again: SdkResult) -> None:
    """Check that a cut is an error, and a repeat reads the same answer."""
    assert cut.error
    assert TEXT.startswith(cut.text)
    assert (again.text, again.error) == (TEXT, "")
    assert len(front.accepts) == 1
    assert front.sc.outcomes() == {"completed": 1}


def assert_told(front: SdkEndpoint, *relayed: SdkResult) -> None:
    """Check that every application got an error after a part of the answer."""
    for seen in relayed:
        assert seen.error
        assert TEXT.startswith(seen.text)
    assert "completed" not in front.sc.outcomes()
    assert sum(front.sc.outcomes().values()) == len(relayed)
