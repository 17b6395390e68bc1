"""The blocks that the sidecar adds to a stream."""

from sidecar.sse.control_events import end_event, gap_event


def test_a_gap_event_is_a_whole_block_without_an_id() -> None:
    assert gap_event(3, 9, "trimmed") == (
        b'event: sse-gap\ndata: {"missed_from":3,"missed_through":9,"reason":"trimmed"}\n\n'
    )


def test_a_gap_event_with_an_unknown_end_says_null() -> None:
    assert gap_event(3, None, "expired") == (
        b'event: sse-gap\ndata: {"missed_from":3,"missed_through":null,"reason":"expired"}\n\n'
    )


def test_an_end_event_is_a_whole_block_without_an_id() -> None:
    assert end_event(7, 8) == b'event: sse-end\ndata: {"events":7,"last_seq":8}\n\n'
