"""Promises of the history checker: sound histories pass, and each rule fails on a history planted for it."""

from math import nan

import pytest

from sidecar.verify.history import (
    Attached,
    Finished,
    HistoryEvent,
    Kind,
    Left,
    Opened,
    Received,
    Record,
    Sent,
)
from sidecar.verify.invariants import check

BACKEND: list[Record] = [Opened("s"), Sent("s", 1, "a"), Sent("s", 2, "b"), Sent("s", 3, "c")]
WHOLE: list[Record] = [*BACKEND, Finished("s")]
FAILED: list[Record] = [*BACKEND, Finished("s", whole=False)]


def got(*seqs: int) -> list[Record]:
    return [Received("ann", "s", seq, "abc"[seq - 1]) for seq in seqs]


def told(kind: Kind) -> Record:
    return HistoryEvent("ann", "s", kind)


def gap(missed_from: int, missed_through: int) -> Record:
    return HistoryEvent("ann", "s", "gap", missed_from, missed_through)


def resumed(after: int) -> Record:
    return Attached("ann", "s", after)


BOB: list[Record] = [
    Opened("t", "bob"),
    Sent("t", 1, "x"),
    Attached("bob", "t", 0, "bob"),
    Received("bob", "t", 1, "x"),
]
LEFT = Left("ann", "s")
CLEAN, TERMINAL, ABORT, NO_CONTENT = (told(kind) for kind in ("clean_end", "terminal", "abort", "no_content"))

SOUND: dict[str, list[Record]] = {
    "nothing happened": [],
    "all of it, then the clean end": [*WHOLE, *got(1, 2, 3), CLEAN],
    "the client's records before the backend's": [*got(1, 2, 3), CLEAN, *WHOLE],
    "cut and resumed": [*WHOLE, *got(1), LEFT, resumed(1), *got(2), ABORT, resumed(2), *got(3), CLEAN],
    "read again from the start on purpose": [*WHOLE, *got(1, 2, 3), CLEAN, resumed(0), *got(1, 2, 3), CLEAN],
    "finished and fully read: 204": [*WHOLE, *got(1, 2, 3), LEFT, resumed(3), NO_CONTENT],
    "an explicit gap": [*WHOLE, *got(1), LEFT, resumed(1), gap(2, 2), *got(3), CLEAN],
    "a gap up to the end": [*WHOLE, gap(1, 3), CLEAN],
    "failed: the terminal, then the abort": [*FAILED, *got(1, 2, 3), TERMINAL, ABORT],
    "failed: the rest and the terminal on resume, then 204": [
        *[*FAILED, *got(1, 2), ABORT, resumed(2), *got(3), TERMINAL, ABORT],
        *[resumed(4), NO_CONTENT],
    ],
    "failed: the terminal again for one who asks from before it": [
        *[*FAILED, *got(1, 2, 3), TERMINAL, ABORT],
        *[resumed(2), *got(3), TERMINAL, ABORT],
    ],
    "left in the middle and never came back": [*FAILED, *got(1), LEFT],
    "still going on": [*BACKEND, *got(1, 2)],
    "a stranger's connection that was cut": [
        *[*WHOLE, Attached("bob", "s", 0, "bob"), HistoryEvent("bob", "s", "abort"), Left("bob", "s")],
    ],
    "two clients, two streams": [*WHOLE, *got(1, 2, 3), CLEAN, *BOB],
}

PLANTED: dict[str, tuple[list[Record], str]] = {
    "missing in the middle": (
        [*WHOLE, *got(1, 3), CLEAN],
        "ann on s missed 2 before it received 3, without an explicit gap.",
    ),
    "missing at the start": (
        [*BACKEND, *got(3)],
        "ann on s missed 1 to 2 before it received 3, without an explicit gap.",
    ),
    "missing before the clean end": (
        [*WHOLE, *got(1, 2), CLEAN],
        "ann on s missed 3 before its clean_end, without an explicit gap.",
    ),
    "missing before the terminal": (
        [*FAILED, *got(1), TERMINAL],
        "ann on s missed 2 to 3 before its terminal, without an explicit gap.",
    ),
    "missing before the 204": (
        [*WHOLE, *got(1, 2), LEFT, resumed(2), NO_CONTENT],
        "ann on s missed 3 before its no_content, without an explicit gap.",
    ),
    "missing after a resume": (
        [*BACKEND, *got(1), LEFT, resumed(1), *got(3)],
        "ann on s missed 2 before it received 3, without an explicit gap.",
    ),
    "missing more than the gap says": (
        [*BACKEND, gap(2, 2), *got(3)],
        "ann on s missed 1 before the gap 2 to 2, without an explicit gap.",
    ),
    "a gap that names nothing": (
        [*BACKEND, gap(3, 2), *got(1)],
        "ann on s was told of a gap that is none: 3 to 2.",
    ),
    "twice on one connection": ([*BACKEND, *got(1, 2, 2)], "ann on s received 2 twice."),
    "twice after its own resume": (
        [*BACKEND, *got(1, 2), LEFT, resumed(2), *got(2, 3)],
        "ann on s received 2 twice.",
    ),
    "before the position it asked for": (
        [*BACKEND, Attached("ann", "s", 2), *got(2)],
        "ann on s received 2 after 2.",
    ),
    "out of order, after a gap that was none": (
        [*BACKEND, gap(1, 2), *got(3, 1)],
        "ann on s received 1 after 3.",
    ),
    "other bytes": (
        [*BACKEND, Received("ann", "s", 1, "z")],
        "ann on s received 1 with other bytes than the backend sent.",
    ),
    "an event made up": (
        [*BACKEND, *got(1, 2, 3), Received("ann", "s", 4, "d")],
        "ann on s received 4, which the backend never sent.",
    ),
    "an event of an unknown stream": (
        [Received("ann", "u", 1, "a")],
        "ann on u received 1, which the backend never sent.",
    ),
    "an event after the clean end": (
        [*WHOLE, *got(1, 2, 3), CLEAN, *got(3)],
        "ann on s received 3 after the end.\nann on s received 3 twice.",
    ),
    "an event after the terminal": (
        [*FAILED, gap(1, 3), TERMINAL, *got(3)],
        "ann on s received 3 after the end.\nann on s received 3 after 3.",
    ),
    "an event after the abort, without a resume": (
        [*BACKEND, *got(1), ABORT, *got(2)],
        "ann on s received 2 after the end.",
    ),
    "two terminals": ([*FAILED, *got(1, 2, 3), TERMINAL, TERMINAL], "ann on s got a second terminal."),
    "a second terminal after resuming behind it": (
        [*FAILED, *got(1, 2, 3), TERMINAL, ABORT, resumed(4), TERMINAL],
        "ann on s got a second terminal.",
    ),
    "a terminal after a clean end": (
        [*BACKEND, *got(1, 2, 3), CLEAN, TERMINAL],
        "ann on s got a terminal after its clean_end.",
    ),
    "a terminal of a stream that ended well": (
        [*WHOLE, *got(1, 2, 3), TERMINAL],
        "ann on s got a terminal, but the stream ended well.",
    ),
    "a failure that looks like an end": (
        [*FAILED, *got(1, 2, 3), CLEAN],
        "ann on s got a clean end, but the stream failed.",
    ),
    "a clean end after the terminal": (
        [*FAILED, *got(1, 2, 3), TERMINAL, CLEAN],
        "ann on s got a clean end, but the stream failed.",
    ),
    "204 instead of the terminal": (
        [*FAILED, *got(1, 2, 3), ABORT, resumed(3), NO_CONTENT],
        "ann on s got no_content and never the terminal of a failed stream.",
    ),
    "left hanging": ([*WHOLE, *got(1, 2, 3)], "ann on s was never told that the stream is over."),
    "left hanging after a resume": (
        [*WHOLE, *got(1, 2, 3), LEFT, resumed(3)],
        "ann on s was never told that the stream is over.",
    ),
    "aborted without the terminal": (
        [*FAILED, *got(1, 2, 3), ABORT],
        "ann on s was aborted without the terminal, and the history ends there.",
    ),
    "another principal's event": (
        [*BACKEND, Attached("bob", "s", 0, "bob"), Received("bob", "s", 1, "a")],
        "bob on s learned of a stream of '', not of 'bob': event 1.",
    ),
    "another principal's ending": (
        [*BACKEND, Attached("bob", "s", 3, "bob"), HistoryEvent("bob", "s", "no_content")],
        "bob on s learned of a stream of '', not of 'bob': its no_content.",
    ),
    "another principal's gap": (
        [*BACKEND, Attached("bob", "s", 0, "bob"), HistoryEvent("bob", "s", "gap", 1, 2)],
        "bob on s learned of a stream of '', not of 'bob': its gap.",
    ),
    "two upstream requests": ([Opened("s"), *BACKEND], "s took 2 upstream requests, not one."),
    "an upstream request that nobody recorded": ([Sent("s", 1, "a")], "s took 0 upstream requests, not one."),
    "a truth with a hole": (
        [Opened("s"), Sent("s", 1, "a"), Sent("s", 3, "c")],
        "The backend's own events of s do not count 1, 2, 3: [1, 3].",
    ),
    "a truth that repeats itself": (
        [Opened("s"), Sent("s", 1, "a"), Sent("s", 1, "a")],
        "The backend's own events of s do not count 1, 2, 3: [1, 1].",
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_history_has_no_violation(name: str) -> None:
    assert check(SOUND[name]) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_and_nothing_else_and_told_in_a_sentence(name: str) -> None:
    history, sentences = PLANTED[name]
    assert "\n".join(str(violation) for violation in check(history)) == sentences


def test_every_rule_has_a_history_that_breaks_it() -> None:
    broken = {violation.rule for history, _ in PLANTED.values() for violation in check(history)}
    assert broken == {
        *[
            "missing",
            "twice",
            "order",
            "bytes",
            "invented",
            "ending",
            "untold",
            "principal",
            "upstream",
            "truth",
        ],
    }


def test_two_clients_are_judged_apart() -> None:
    history = [*WHOLE, *got(1, 2, 3), CLEAN, Received("bob", "s", 1, "a"), Left("bob", "s")]
    assert check(history) == []


def ended_at(ended_s: float, attached_s: float, told_s: float) -> list[Record]:
    attached, end = Attached("ann", "s", at_s=attached_s), HistoryEvent("ann", "s", "no_content", at_s=told_s)
    return [*BACKEND, Finished("s", at_s=ended_s), attached, *got(1, 2, 3), end]


@pytest.mark.parametrize("history", [ended_at(10, 1, 14.9), ended_at(10, 60, 64.9), ended_at(10, 1, nan)])
def test_who_was_told_in_time_was_not_told_late(history: list[Record]) -> None:
    assert check(history, told_within_s=5) == []


@pytest.mark.parametrize("history", [ended_at(10, 1, 15.5), ended_at(10, 60, 65.5)])
def test_who_was_told_too_late_is_named(history: list[Record]) -> None:
    (late,) = check(history, told_within_s=5)
    assert late.rule == "late"
    assert all(fact in str(late) for fact in ("ann", "no_content", "0.5 s"))
    assert check(history) == []
