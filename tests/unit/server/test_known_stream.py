"""The known stream: it has everything that streams are made of, and what is due of it is written by hand."""

import random
from itertools import accumulate

import pytest

from sidecar.server.canary.known_stream import EVENTS, LINE_ENDS, KnownStream, _event, difference
from sidecar.server.canary.probe import EVENTS_AGAIN

SEEDS = range(50)
TOTAL_BYTES_MAX = 64 * 1024
"""Above it a canary would be made to wait when all logs together are above their budget."""

DUE = [b"data: a\nid: s.1\n\n", b"data: b\nid: s.2\n\n"]


def test_the_same_seed_makes_the_same_bytes() -> None:
    assert KnownStream(7).pieces == KnownStream(7).pieces
    assert b"".join(KnownStream(7).pieces) != b"".join(KnownStream(8).pieces)


def test_the_first_event_says_which_canary_it_is_and_the_last_is_its_only_terminal() -> None:
    known = KnownStream(7)
    assert known.due("s", 0)[0] == b"data: canary 7\nid: s.1\n\n"
    assert known.due("s", EVENTS - 1) == [b"event: canary-over\ndata: 40\nid: s.40\n\n"]
    assert sum(b"canary-over" in event.wire for event in known.events) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_every_stream_has_every_kind_of_line_and_is_cut_well_inside(seed: int) -> None:
    known = KnownStream(seed)
    body = b"".join(known.pieces)
    assert body == b"".join(event.wire for event in known.events)
    assert len(body) < TOTAL_BYTES_MAX
    for sign in (
        b"\ndata\n",
        b"\n: ",
        b"\nid: own-",
        b"\nretry: 2500",
        b"\nx-unknown: ",
        b"\nevent: canary-",
    ):
        assert sign in b"\n" + body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert 1 <= known.events_in_half < EVENTS


def test_wherever_it_is_cut_there_is_something_to_come_back_with_and_something_to_come_back_for() -> None:
    for seed in range(1_000):
        assert EVENTS_AGAIN < KnownStream(seed).events_in_half < EVENTS, f"seed {seed}"


def test_pieces_end_in_the_middle_of_events_and_of_line_ends() -> None:
    ends = [set(accumulate(map(len, KnownStream(seed).pieces))) for seed in SEEDS]
    bodies = [b"".join(KnownStream(seed).pieces) for seed in SEEDS]
    cut_pairs = [body[end - 1 : end + 1] for body, cuts in zip(bodies, ends, strict=True) for end in cuts]
    assert b"\r\n" in cut_pairs
    assert {end for end in LINE_ENDS if any(end in body for body in bodies)} == set(LINE_ENDS)


@pytest.mark.parametrize(
    ("lines", "due"),
    [
        (["data: x"], b"data: x\n"),
        (["id: 7", "data: x", "id:8"], b"data: x\n"),
        ([": c", "", "data: x"], b": c\ndata: x\n"),
        (["event: e", "data:", "data"], b"event: e\ndata:\ndata\n"),
        (["data: id: 7"], b"data: id: 7\n"),
    ],
)
def test_what_is_due_has_line_feeds_only_and_no_id_of_the_backend(lines: list[str], due: bytes) -> None:
    assert _event(lines, random.Random(1)).due == due


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (b"".join(DUE), None),
        (b"", "event 6: got nothing more, due b'data: a\\nid: s.1\\n\\n'"),
        (DUE[0], "event 7: got nothing more, due b'data: b\\nid: s.2\\n\\n'"),
        (DUE[1], "event 6: got b'data: b\\nid: s.2\\n\\n', due b'data: a\\nid: s.1\\n\\n'"),
        (DUE[0] + b"data: c\n", "event 7: got b'data: c\\n', due b'data: b\\nid: s.2\\n\\n'"),
        (DUE[0] + DUE[0], "event 7: got b'data: a\\nid: s.1\\n\\n', due b'data: b\\nid: s.2\\n\\n'"),
        (b"".join(DUE) + b"!", "event 8: got b'!', due nothing more"),
    ],
)
def test_the_first_event_that_differs_is_named(heard: bytes, said: str | None) -> None:
    assert difference(DUE, heard, after=5) == said


def test_a_difference_deep_in_a_long_event_is_shown_where_it_is() -> None:
    due, heard = b"data: " + b"x" * 5000 + b"Y", b"data: " + b"x" * 5000 + b"Z"
    said = difference([due], heard)
    assert said is not None
    assert "xxxZ'" in said
    assert "xxxY'" in said
    assert len(said) < 200
