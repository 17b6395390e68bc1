"""What is asked of every SDK: the cases, and what must hold of what its applications saw."""

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
    """Check that nothing was added to a whole answer, lost from it or changed, in spite of heartbeats."""
    assert (direct.text, direct.error) == (TEXT, "")
    for seen in relayed:
        assert seen.content == direct.content
    assert front.heartbeats >= HEARTBEATS_MIN * len(relayed)
    assert front.sc.outcomes() == {"completed": len(relayed)}


def assert_one_generation(front: SdkEndpoint, cut: SdkResult, again: SdkResult) -> None:
    """Check that a cut was told, and that asking again gave the answer that was already being written."""
    assert cut.error
    assert TEXT.startswith(cut.text)
    assert (again.text, again.error) == (TEXT, "")
    assert len(front.accepts) == 1
    assert front.sc.outcomes() == {"completed": 1}


def assert_told(front: SdkEndpoint, *relayed: SdkResult) -> None:
    """Check that every application got an error, after nothing that was not part of the answer."""
    for seen in relayed:
        assert seen.error
        assert TEXT.startswith(seen.text)
    assert "completed" not in front.sc.outcomes()
    assert sum(front.sc.outcomes().values()) == len(relayed)
