"""What has to hold on a sidecar's wire: one connection for each rule, and one that breaks none."""

from collections.abc import Sequence

import pytest

from sidecar.verify.truth import Truth, data_hash
from sidecar.verify.wire import Ended, ReceivedBlock, RecordedConnection
from sidecar.verify.wire_rules import breaches

STREAM = "s1" + "A" * 40
TRUTH = Truth(tuple(data_hash("message", f"m{seq}") for seq in range(1, 6)))


def event(seq: int, data: str = "", *before: str) -> tuple[str, ...]:
    return (*before, f"data: {data or f'm{seq}'}", f"id: {STREAM}.{seq}")


GAP = ("event: sse-gap", 'data: {"missed_from":1,"missed_through":2,"reason":"trimmed"}')
FAILURE = ("event: sse-error", 'data: {"error":{"code":"x"}}', f"id: {STREAM}.3")


def broken(blocks: Sequence[tuple[str, ...]], after: int = 0, ended: Ended = "lost") -> list[str]:
    connection = RecordedConnection("GET", "http://a/", f"{STREAM}.{after}" if after else "", 0.0)
    connection.headers = {"sse-stream": STREAM}
    connection.blocks.extend(ReceivedBlock(1.0, lines) for lines in blocks)
    connection.end(ended)
    return [breach.rule for breach in breaches([connection], "a", TRUTH)]


@pytest.mark.parametrize(
    ("blocks", "after", "ended"),
    [
        ([event(1), event(2, "", ": hb idle=1")], 0, "lost"),
        ([event(3), event(4)], 2, "lost"),
        ([GAP, event(3), event(4)], 0, "clean"),
        ([event(1), event(2), FAILURE], 0, "lost"),
        ([event(5), ("event: sse-end", 'data: {"events":5,"last_seq":5}')], 4, "clean"),
        ([("retry: 1000",), event(1, "", "retry: 1000")], 0, "left"),
    ],
)
def test_what_a_sidecar_may_send_breaks_nothing(
    blocks: list[tuple[str, ...]], after: int, ended: Ended
) -> None:
    assert broken(blocks, after, ended) == []


def test_an_event_that_was_had_before_is_replayed() -> None:
    assert broken([event(2), event(3)], after=2) == ["replayed"]


def test_an_event_that_comes_twice_on_a_connection_is_twice() -> None:
    assert broken([event(1), event(2), event(2)]) == ["twice"]


def test_an_event_that_is_left_out_is_missing() -> None:
    assert broken([event(1), event(3)]) == ["missing"]
    assert broken([event(4)], after=2) == ["missing"]


def test_a_start_that_is_left_out_and_not_told_is_a_gap() -> None:
    assert broken([event(3), event(4)]) == ["gap"]


def test_a_seq_that_belongs_to_another_message_is_wrong() -> None:
    assert broken([event(1, "m2")]) == ["seq"]


def test_a_message_that_the_backend_never_sent_has_other_bytes() -> None:
    assert broken([event(1, "m0")]) == ["bytes"]


def test_an_id_before_another_field_is_not_last() -> None:
    assert broken([(f"id: {STREAM}.1", "data: m1")]) == ["id-last"]


def test_a_heartbeat_between_the_fields_of_an_event_is_in_its_middle() -> None:
    assert broken([("data: m1", ": hb idle=3", f"id: {STREAM}.1")]) == ["heartbeat"]


def test_a_failure_that_ends_cleanly_looks_like_an_end() -> None:
    assert broken([event(1), event(2), FAILURE], ended="clean") == ["clean-end"]


def test_a_server_without_stream_ids_is_not_judged_by_them() -> None:
    connection = RecordedConnection("GET", "http://a/", "", 0.0)
    connection.blocks.append(ReceivedBlock(1.0, ("id: 5", "data: m0")))
    assert list(breaches([connection], "a", TRUTH)) == []
