"""The replay log against a plain list that forgets nothing."""

import sys

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.streams.replay_log import COMPACT_MIN, READ_BYTES_MAX, READ_EVENTS_MAX, LogGap, ReplayLog


def log_of(*events: bytes) -> ReplayLog:
    log = ReplayLog()
    for event in events:
        log.append(event)
    return log


def test_a_new_log_is_empty_and_its_first_seq_will_be_1() -> None:
    log = ReplayLog()
    assert (len(log), log.first_seq, log.last_seq, log.bytes_held) == (0, 1, 0, 0)
    assert log.read(0) == []
    assert log.gap_before(0) is None


def test_events_are_numbered_in_order_and_read_after_a_position() -> None:
    log = log_of(b"a", b"bb")
    assert log.append_all([b"c", b"dd", b""]) == 3
    assert (log.first_seq, log.last_seq, log.bytes_held) == (1, 5, 6)
    assert [log.read(after) for after in range(6)] == [
        [b"a", b"bb", b"c", b"dd", b""],
        [b"bb", b"c", b"dd", b""],
        [b"c", b"dd", b""],
        [b"dd", b""],
        [b""],
        [],
    ]


def test_appending_nothing_gives_out_no_seq() -> None:
    log = log_of(b"a")
    assert log.append_all([]) == 0
    assert log.last_seq == 1


def test_one_read_is_bounded_in_events() -> None:
    log = log_of(*[b"x"] * (READ_EVENTS_MAX + 5))
    assert len(log.read(0)) == READ_EVENTS_MAX
    assert len(log.read(READ_EVENTS_MAX)) == 5


@pytest.mark.parametrize(
    ("sizes", "read"),
    [
        ([READ_BYTES_MAX // 2, READ_BYTES_MAX // 2, 1], 2),
        ([READ_BYTES_MAX // 2, READ_BYTES_MAX // 2 + 1, 1], 1),
        ([READ_BYTES_MAX, 1], 1),
        ([1, READ_BYTES_MAX, 1], 1),
        ([READ_BYTES_MAX * 10, 1], 1),
        ([1, READ_BYTES_MAX * 10, 1], 1),
    ],
)
def test_one_read_is_bounded_in_bytes_but_hands_out_at_least_one_event(sizes: list[int], read: int) -> None:
    assert len(log_of(*(b"x" * size for size in sizes)).read(0)) == read


def test_the_newest_event_is_read_whatever_its_size() -> None:
    assert log_of(b"a", b"x" * READ_BYTES_MAX * 2).read(1) == [b"x" * READ_BYTES_MAX * 2]


def test_the_oldest_go_first_until_the_log_fits() -> None:
    log = log_of(b"aaaa", b"bbb", b"cc", b"d")
    assert log.trim(3, 100) == 4
    assert log.trim(3, 3) == 3
    assert (log.first_seq, log.last_seq, log.bytes_held, log.read(2)) == (3, 4, 3, [b"cc", b"d"])
    assert log.trim(0, 100) == 3
    assert (log.first_seq, log.last_seq, len(log)) == (5, 4, 0)


def test_nothing_above_the_slowest_reader_is_trimmed() -> None:
    log = log_of(b"a", b"b", b"c")
    assert log.trim(0, 0, through=2) == 2
    assert (log.first_seq, log.read(2)) == (3, [b"c"])
    assert log.trim(0, 0, through=0) == 0


def test_a_reader_behind_the_log_is_told_what_it_missed_and_refused_to_read_past_it() -> None:
    log = log_of(b"a", b"b", b"c")
    log.trim(1, 100)
    assert log.gap_before(0) == LogGap(1, 2, "trimmed")
    assert log.gap_before(1) == LogGap(2, 2, "trimmed")
    assert log.gap_before(2) is None
    for after in (0, 1):
        with pytest.raises(LookupError, match=f"seq {after + 1} is trimmed"):
            log.read(after)


def test_a_reader_behind_an_empty_log_is_told_too() -> None:
    log = log_of(b"a", b"b")
    log.trim(0, 0)
    assert log.gap_before(1) == LogGap(2, 2, "trimmed")
    with pytest.raises(LookupError):
        log.read(1)


def test_a_reader_beyond_the_log_is_told_and_finds_nothing() -> None:
    log = log_of(b"a")
    assert log.gap_before(4) == LogGap(2, 4, "beyond")
    assert log.read(4) == []


@pytest.mark.parametrize(
    ("gap", "missed"),
    [(LogGap(3, 3, "trimmed"), 1), (LogGap(3, 9, "trimmed"), 7), (LogGap(3, None, "expired"), 0)],
)
def test_a_gap_knows_how_many_messages_are_proven_missing(gap: LogGap, missed: int) -> None:
    assert gap.missed == missed


def test_trimmed_events_and_their_slots_are_given_back() -> None:
    log = log_of(*[b"x" * 100] * (COMPACT_MIN * 8))
    full = sys.getsizeof(log._events)
    log.trim(COMPACT_MIN, 10**9)
    assert sys.getsizeof(log._events) < full / 2
    assert log.read(log.last_seq - COMPACT_MIN) == [b"x" * 100] * COMPACT_MIN


def test_a_window_that_moves_for_ever_holds_no_more_than_twice_its_size() -> None:
    log = ReplayLog()
    for number in range(10_000):
        log.append(b"%d" % number)
        log.trim(100, 10**9)
        assert len(log._events) <= 100 + max(COMPACT_MIN, 101)
    assert log.read(log.last_seq - 1) == [b"9999"]


@pytest.mark.parametrize(("after", "held"), [(0, 2), (2, 2), (3, 1), (4, 0), (9, 0)])
def test_a_reader_lags_behind_by_what_is_held_above_its_position(after: int, held: int) -> None:
    log = log_of(b"a", b"b", b"c", b"d")
    log.trim(2, 100)
    assert log.held(after) == held


class AnySchedule(RuleBasedStateMachine):
    """Append, read, trim in any order; the model is the list of all events and where it begins."""

    def __init__(self) -> None:
        super().__init__()
        self.log = ReplayLog()
        self.events: list[bytes] = []
        self.trimmed = 0

    @rule(sizes=st.lists(st.integers(0, 50) | st.just(READ_BYTES_MAX // 3), max_size=40))
    def append_all(self, sizes: list[int]) -> None:
        new = [b"%d" % (len(self.events) + n) + b"x" * size for n, size in enumerate(sizes)]
        assert self.log.append_all(new) == sum(map(len, new))
        self.events += new

    @rule()
    def append(self) -> None:
        self.log.append(b"one")
        self.events.append(b"one")

    @rule(
        events_max=st.integers(0, 150),
        bytes_max=st.integers(0, 100_000),
        through=st.none() | st.integers(0, 300),
    )
    def trim(self, events_max: int, bytes_max: int, through: int | None) -> None:
        kept = self.events[self.trimmed :]
        gone = 0
        while kept and (len(kept) > events_max or sum(map(len, kept)) > bytes_max):
            if through is not None and self.trimmed >= through:
                break
            gone += len(kept.pop(0))
            self.trimmed += 1
        assert self.log.trim(events_max, bytes_max, through) == gone

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        after = data.draw(st.integers(self.trimmed, len(self.events) + 3), "after")
        found = self.log.read(after)
        assert found == self.events[after : after + len(found)]
        assert len(found) <= READ_EVENTS_MAX
        assert len(found) <= 1 or sum(map(len, found)) <= READ_BYTES_MAX
        assert found or after >= len(self.events)
        if after < len(self.events):
            more = self.events[after : after + len(found) + 1]
            full = len(more) > READ_EVENTS_MAX or sum(map(len, more)) > READ_BYTES_MAX
            assert full or len(more) == len(found), "a read takes all that fits"

    @precondition(lambda self: self.trimmed)
    @rule(data=st.data())
    def read_behind(self, data: st.DataObject) -> None:
        after = data.draw(st.integers(0, self.trimmed - 1), "after")
        assert self.log.gap_before(after) == LogGap(after + 1, self.trimmed, "trimmed")
        with pytest.raises(LookupError):
            self.log.read(after)

    @rule(data=st.data())
    def gap(self, data: st.DataObject) -> None:
        after = data.draw(st.integers(self.trimmed, len(self.events) + 3), "after")
        beyond = LogGap(len(self.events) + 1, after, "beyond") if after > len(self.events) else None
        assert self.log.gap_before(after) == beyond

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        kept = self.events[self.trimmed :]
        assert (len(self.log), self.log.bytes_held) == (len(kept), sum(map(len, kept)))
        assert (self.log.first_seq, self.log.last_seq) == (self.trimmed + 1, len(self.events))
        assert len(self.log._events) <= max(COMPACT_MIN, 2 * len(kept)) + COMPACT_MIN


TestAnySchedule = AnySchedule.TestCase
TestAnySchedule.settings = settings(max_examples=200, stateful_step_count=40)
TestAnySchedule = pytest.mark.slow(TestAnySchedule)


@pytest.mark.parametrize(
    ("seq", "size", "found"), [(4, 0, 4), (4, 1, 3), (4, 10, 3), (4, 11, 2), (9, 1, 3), (4, 999, 0)]
)
def test_it_tells_behind_which_seq_so_many_bytes_lie(seq: int, size: int, found: int) -> None:
    log = ReplayLog()
    log.append_all([b"x" * 10] * 4)
    log.trim(2, 1000)
    assert log.before(seq, size) == found
