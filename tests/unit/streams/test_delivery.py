"""The ledger: every message received is delivered, lost, unread or still held, and counted once."""

from typing import cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.observability.labels import LossReason
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.streams.delivery import HOLES_MAX, NEVER_MAX, DeliveryLedger, Proof
from sidecar.streams.replay_log import LogGap, ReplayLog


class Count:
    """A counter child."""

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: int = 1) -> None:
        self.value += amount


class Numbers:
    """What the ledger writes of a route's metrics."""

    def __init__(self) -> None:
        self.messages_received = self.messages_delivered = self.messages_replayed = 0
        self.unread_messages = self.messages_acknowledged = self.messages_confirmed = 0
        self.messages_lost = {reason: Count() for reason in LossReason}


class Book:
    """A log and its ledger."""

    def __init__(self, events: int = 0) -> None:
        self.numbers = Numbers()
        self.log = ReplayLog()
        self.ledger = DeliveryLedger(self.log, cast("RouteMetrics", self.numbers))
        self.append(events)

    def append(self, count: int) -> None:
        self.log.append_all([b"x"] * count)
        self.ledger.take(count)

    def trim(self, keep: int) -> None:
        first = self.log.first_seq
        self.log.trim(keep, 10**9)
        self.ledger.trimmed(first)

    def seal(self) -> None:
        self.ledger.sealed_seq = self.log.last_seq + 1
        self.log.append(b"terminal")
        self.log.closed = True

    def tell_gap(self, after: int) -> int:
        gap = self.log.gap_before(after)
        assert gap is not None
        self.ledger.missed(gap)
        return self.log.first_seq - 1

    @property
    def lost(self) -> int:
        return self.numbers.messages_lost[LossReason.WINDOW].value

    @property
    def residual(self) -> int:
        n = self.numbers
        gone = n.messages_delivered + self.lost + n.unread_messages
        return n.messages_received - gone - self.ledger.undelivered


def test_what_one_reader_is_written_is_delivered_and_what_it_is_written_again_is_replayed() -> None:
    book = Book(5)
    book.ledger.deliver(0, 3)
    book.ledger.deliver(1, 4)
    assert (book.numbers.messages_delivered, book.numbers.messages_replayed, book.ledger.undelivered) == (
        4,
        2,
        1,
    )


def test_what_is_written_piece_by_piece_is_delivered_once_each() -> None:
    book = Book(9)
    for after, through in ((0, 2), (2, 5), (5, 6), (6, 9)):
        book.ledger.deliver(after, through)
        assert book.numbers.messages_delivered == through
    assert (book.numbers.messages_replayed, book.residual) == (0, 0)


def test_a_second_reader_delivers_nothing_twice() -> None:
    book = Book(5)
    for _ in range(2):
        book.ledger.deliver(0, 5)
    assert (book.numbers.messages_delivered, book.numbers.messages_replayed, book.residual) == (5, 5, 0)


def test_the_terminal_of_the_sidecar_is_no_message() -> None:
    book = Book(2)
    book.seal()
    book.ledger.deliver(0, 3)
    assert (book.numbers.messages_delivered, book.ledger.undelivered, book.residual) == (2, 0, 0)
    book.ledger.deliver(2, 3)
    assert (book.numbers.messages_delivered, book.numbers.messages_replayed) == (2, 0)


def test_what_was_trimmed_unseen_is_lost_when_a_client_is_told() -> None:
    book = Book(10)
    book.trim(4)
    assert (book.lost, book.ledger.undelivered) == (0, 10)
    assert book.tell_gap(0) == 6
    assert (book.lost, book.ledger.undelivered, book.residual) == (6, 4, 0)


def test_a_second_client_that_is_told_the_same_gap_loses_nothing_more() -> None:
    book = Book(10)
    book.trim(4)
    book.tell_gap(0)
    book.tell_gap(2)
    assert (book.lost, book.numbers.messages_lost[LossReason.TRIMMED].value, book.residual) == (6, 4, 0)


def test_what_was_trimmed_while_it_was_being_written_is_delivered() -> None:
    book = Book(10)
    book.ledger.deliver(0, 4)
    book.trim(2)
    book.ledger.deliver(4, 10)
    assert (book.numbers.messages_delivered, book.lost, book.residual) == (10, 0, 0)
    book.ledger.close()
    assert book.numbers.unread_messages == 0


def test_a_client_that_has_more_than_was_known_to_be_written_to_it_has_had_it_delivered() -> None:
    book = Book(10)
    book.ledger.deliver(0, 4)
    book.ledger.deliver(7, 10)
    assert (book.numbers.messages_delivered, book.numbers.messages_replayed, book.residual) == (10, 0, 0)


def test_a_client_that_says_it_has_everything_has_had_it_delivered() -> None:
    book = Book(10)
    book.ledger.confirm(10)
    assert (book.numbers.messages_delivered, book.numbers.messages_replayed, book.ledger.undelivered) == (
        10,
        0,
        0,
    )


def test_a_client_that_says_it_has_more_than_there_is_proves_nothing() -> None:
    book = Book(10)
    book.ledger.confirm(11)
    assert (book.numbers.messages_delivered, book.ledger.undelivered) == (0, 10)


def test_what_is_acknowledged_and_confirmed_is_counted_once_in_each_tier() -> None:
    book = Book(10)
    book.ledger.deliver(0, 8)
    for seq in (3, 2, 5):
        book.ledger.acknowledge(seq)
    assert (book.numbers.messages_acknowledged, book.numbers.messages_confirmed) == (5, 0)
    for seq in (4, 4, 2):
        book.ledger.confirm(seq)
    assert (book.numbers.messages_acknowledged, book.numbers.messages_confirmed) == (5, 4)
    book.ledger.confirm(8)
    assert (book.numbers.messages_acknowledged, book.numbers.messages_confirmed) == (8, 8)


def test_the_terminal_of_the_sidecar_is_neither_acknowledged_nor_confirmed() -> None:
    book = Book(2)
    book.seal()
    book.ledger.deliver(0, 3)
    book.ledger.acknowledge(3)
    book.ledger.confirm(3)
    assert (book.numbers.messages_acknowledged, book.numbers.messages_confirmed) == (2, 2)


def test_a_position_that_nobody_can_have_confirms_nothing() -> None:
    book = Book(10)
    book.ledger.confirm(11)
    assert (book.numbers.messages_acknowledged, book.numbers.messages_confirmed) == (0, 0)


def test_what_a_client_never_got_is_not_confirmed_by_what_came_after() -> None:
    book = Book(4)
    book.ledger.deliver(0, 4)
    book.append(6)
    book.trim(3)
    assert book.tell_gap(4) == 7
    book.ledger.deliver(7, 10)
    book.ledger.acknowledge(9)
    book.ledger.confirm(10)
    assert (
        book.numbers.messages_delivered,
        book.numbers.messages_acknowledged,
        book.numbers.messages_confirmed,
    ) == (7, 7, 7)


def test_a_gap_told_after_its_messages_were_confirmed_takes_nothing_back() -> None:
    book = Book(10)
    book.ledger.deliver(0, 10)
    book.ledger.confirm(6)
    book.trim(2)
    book.tell_gap(3)
    book.ledger.confirm(10)
    assert (book.numbers.messages_acknowledged, book.numbers.messages_confirmed) == (8, 8)


def test_runs_that_did_not_reach_everybody_are_bounded_and_what_lies_before_is_not_counted_any_more() -> None:
    numbers = Numbers()
    proof = Proof(cast("RouteMetrics", numbers))
    for start in range(10, 10 * (NEVER_MAX + 3), 10):
        proof.never(start, start + 1)
    assert len(proof._never) == NEVER_MAX
    proof.confirm(40)
    assert (numbers.messages_acknowledged, numbers.messages_confirmed) == (16, 16)


@pytest.mark.parametrize(
    ("runs", "kept"),
    [
        ([(5, 6), (1, 2)], [(1, 2), (5, 6)]),
        ([(1, 2), (3, 4)], [(1, 4)]),
        ([(1, 2), (4, 5), (2, 4)], [(1, 5)]),
        ([(1, 9), (3, 4)], [(1, 9)]),
        ([(3, 2)], []),
    ],
)
def test_runs_that_touch_are_one(runs: list[tuple[int, int]], kept: list[tuple[int, int]]) -> None:
    proof = Proof(cast("RouteMetrics", Numbers()))
    for run in runs:
        proof.never(*run)
    assert proof._never == kept


def test_what_nobody_was_written_is_unread_when_the_log_goes() -> None:
    book = Book(10)
    book.ledger.deliver(0, 3)
    book.trim(5)
    book.ledger.close()
    assert (book.numbers.unread_messages, book.ledger.undelivered, book.residual) == (7, 0, 0)


def test_positions_nobody_can_have_and_streams_that_are_gone_lose_nothing() -> None:
    book = Book(3)
    book.ledger.missed(LogGap(4, 9, "beyond"))
    book.ledger.missed(LogGap(4, None, "expired"))
    assert (book.lost, book.ledger.undelivered) == (0, 3)
    assert book.numbers.messages_lost[LossReason.TRIMMED].value == 0


def test_runs_of_unseen_messages_are_bounded_and_the_oldest_becomes_unread() -> None:
    book = Book()
    for _ in range(HOLES_MAX + 3):
        book.append(2)
        book.trim(0)
        book.append(1)
        book.ledger.deliver(book.log.last_seq - 1, book.log.last_seq)
    assert len(book.ledger._holes) == HOLES_MAX
    assert (book.numbers.unread_messages, book.ledger.undelivered, book.residual) == (6, 2 * HOLES_MAX, 0)


class AnyDelivery(RuleBasedStateMachine):
    """Several readers, each between a read and the end of its write; the model keeps a mark per message."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.mark: dict[int, str] = {}
        self.readers: list[int] = []
        self.writing: dict[int, int] = {}
        self.replayed = self.told_again = 0

    def _set(self, seqs: range, mark: str) -> int:
        """Mark the messages that have none yet; return how many had one."""
        known = [seq for seq in seqs if seq in self.mark]
        fresh = [seq for seq in known if self.mark[seq] == "held"]
        self.mark.update(dict.fromkeys(fresh, mark))
        return len(known) - len(fresh)

    @precondition(lambda self: not self.book.log.closed)
    @rule(count=st.integers(1, 9))
    def append(self, count: int) -> None:
        self.book.append(count)
        last = self.book.log.last_seq
        self.mark.update(dict.fromkeys(range(last - count + 1, last + 1), "held"))

    @precondition(lambda self: not self.book.log.closed)
    @rule(keep=st.integers(0, 12))
    def trim(self, keep: int) -> None:
        self.book.trim(keep)

    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        self.readers.append(data.draw(st.integers(0, self.book.log.last_seq), "position"))

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(0, self.book.log.last_seq + 3), "seq")
        self.book.ledger.confirm(seq)
        if seq <= self.book.log.last_seq:
            self._set(range(self.book.log.first_seq, seq + 1), "delivered")

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """Take the next step of one reader: finish or lose its write, or tell it a gap, or begin a write."""
        reader = data.draw(st.integers(0, len(self.readers) - 1), "reader")
        log, after = self.book.log, self.readers[reader]
        through = self.writing.pop(reader, None)
        if through is not None:
            if data.draw(st.booleans(), "arrived"):
                self.book.ledger.deliver(after, through)
                self._set(range(log.first_seq, after + 1), "delivered")
                self.replayed += self._set(range(after + 1, through + 1), "delivered")
                self.readers[reader] = through
                if data.draw(st.booleans(), "acknowledged"):
                    self.book.ledger.acknowledge(through)
        elif after + 1 < log.first_seq:
            self.told_again += self._set(range(after + 1, log.first_seq), "lost")
            self.readers[reader] = self.book.tell_gap(after)
        elif events := log.read(after):
            self.writing[reader] = after + data.draw(st.integers(1, len(events)), "events")

    @precondition(lambda self: not self.book.log.closed)
    @rule()
    def seal(self) -> None:
        self.book.seal()

    @precondition(lambda self: self.book.log.closed)
    @rule()
    def close(self) -> None:
        self.book.ledger.close()
        self._set(range(1, self.book.log.last_seq), "unread")

    @invariant()
    def every_message_is_counted_once(self) -> None:
        marks = list(self.mark.values())
        numbers = self.book.numbers
        assert numbers.messages_received == len(marks) == self.book.ledger.received
        assert numbers.messages_delivered == marks.count("delivered")
        assert numbers.unread_messages == marks.count("unread")
        assert self.book.lost == marks.count("lost")
        assert self.book.ledger.undelivered == marks.count("held")
        assert numbers.messages_lost[LossReason.TRIMMED].value == self.told_again
        assert self.book.residual == 0

    @invariant()
    def each_tier_is_part_of_the_one_below(self) -> None:
        numbers = self.book.numbers
        assert 0 <= numbers.messages_confirmed <= numbers.messages_acknowledged <= numbers.messages_delivered

    @invariant()
    def what_is_written_again_is_replayed(self) -> None:
        assert self.book.numbers.messages_replayed == self.replayed


TestAnySchedule = AnyDelivery.TestCase
TestAnySchedule.settings = settings(max_examples=400, stateful_step_count=40)
TestAnySchedule = pytest.mark.slow(TestAnySchedule)
