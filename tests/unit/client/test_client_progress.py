"""New messages, duplicates and gaps, as the Python client sees them."""

import pytest

from sidecar.client import Event, Gap
from sidecar.client.progress import GAPS_MAX, RECENT_IDS_MAX, LostOnTheWay, Progress

STREAM = "s1" + "A" * 40
OTHER = "s1" + "B" * 40
BARE = Event("message", "x")


def stamped(seq: int, stream: str = STREAM) -> Event:
    return Event("message", "x", f"{stream}.{seq}", own_id=True)


def named(name: str) -> Event:
    return Event("message", "x", name, own_id=True)


class TestWhatIsNew:
    def test_a_seq_that_was_here_is_dropped_and_counted_whenever_it_comes(self) -> None:
        progress = Progress()
        progress.answered(STREAM)
        taken = [progress.take(stamped(seq)) for seq in (1, 2, 2, 1, 3, 1)]
        assert taken == [True, True, False, False, True, False]
        assert (progress.received, progress.duplicates, progress.last_seq) == (3, 3, 3)

    def test_foreign_ids_are_compared_from_a_reconnect_to_a_new_one(self) -> None:
        progress = Progress()
        progress.answered("")
        assert [progress.take(named(name)) for name in ("a", "a", "b")] == [True, True, True]
        progress.answered("")
        assert [progress.take(named(name)) for name in ("a", "b", "c", "a")] == [False, False, True, True]
        assert progress.duplicates == 2

    def test_an_event_without_an_id_of_its_own_is_always_new(self) -> None:
        progress = Progress()
        progress.answered("")
        progress.take(named("a"))
        progress.answered("")
        assert progress.take(Event("message", "x", "a", own_id=False))

    def test_the_memory_of_ids_is_bounded(self) -> None:
        progress = Progress()
        progress.answered("")
        for number in range(RECENT_IDS_MAX + 1):
            progress.take(named(str(number)))
        progress.answered("")
        assert not progress.take(named("1"))
        assert progress.take(named("0"))

    def test_silently_missing_messages_are_requested_once_then_a_gap(self) -> None:
        progress = Progress()
        progress.answered(STREAM)
        progress.take(stamped(1))
        with pytest.raises(LostOnTheWay):
            progress.take(stamped(5))
        assert (progress.last_seq, progress.last_event_id) == (1, f"{STREAM}.1")
        progress.answered(STREAM)
        jumps = []
        for seq in (1, 5, 6):
            progress.take(stamped(seq))
            jumps.append(progress.jumped)
        assert jumps == [None, Gap(2, 4, "lost on the way"), None]
        assert list(progress.announced) == []
        assert list(progress.gaps) == [Gap(2, 4, "lost on the way")]
        with pytest.raises(LostOnTheWay):
            progress.take(stamped(8))

    def test_the_first_messages_of_a_stream_are_asked_for_as_well(self) -> None:
        progress = Progress()
        progress.answered(STREAM)
        with pytest.raises(LostOnTheWay):
            progress.take(stamped(2))
        assert progress.take(stamped(1))

    def test_what_the_server_announced_is_no_jump(self) -> None:
        progress = Progress()
        progress.answered(STREAM)
        progress.take(stamped(1))
        progress.missed(Gap(2, 4, "trimmed"))
        progress.take(stamped(5))
        assert (list(progress.gaps), list(progress.announced)) == ([Gap(2, 4, "trimmed")], [(2, 4)])

    def test_a_gap_without_an_end_ends_at_the_next_message(self) -> None:
        progress = Progress()
        progress.answered(STREAM)
        progress.missed(Gap(1, None, "expired"))
        progress.take(stamped(9))
        assert list(progress.announced) == [(1, 8)]
        assert progress.jumped is None

    def test_a_server_that_forgot_what_was_read_gives_its_numbers_again(self) -> None:
        progress = Progress("", f"{STREAM}.40")
        progress.answered(STREAM)
        progress.missed(Gap(31, 40, "beyond"))
        assert [progress.take(stamped(seq)) for seq in (30, 31, 32)] == [False, True, True]

    def test_what_a_server_gives_again_is_counted_once(self) -> None:
        progress = Progress()
        progress.answered(STREAM)
        for seq in (1, 2, 3, 4):
            progress.take(stamped(seq))
        progress.missed(Gap(3, 4, "beyond"))
        progress.take(stamped(3))
        assert (progress.counted, progress.last_seq, progress.received) == (3, 3, 5)

    def test_a_message_without_an_id_takes_no_seq_of_the_stream(self) -> None:
        progress = Progress()
        progress.answered(STREAM)
        assert [progress.take(one) for one in (stamped(1), BARE, stamped(2))] == [True, True, True]
        assert (progress.last_seq, list(progress.gaps)) == (2, [])

    def test_another_stream_is_counted_anew(self) -> None:
        progress = Progress()
        progress.answered(STREAM)
        progress.take(stamped(1))
        progress.answered(OTHER)
        assert progress.take(stamped(1, OTHER))
        assert (progress.stream, progress.first_seq, progress.counted, progress.received) == (OTHER, 1, 1, 2)

    def test_gaps_kept_are_bounded(self) -> None:
        progress = Progress()
        for number in range(GAPS_MAX + 5):
            progress.missed(Gap(2 * number + 1, 2 * number + 1, "trimmed"))
        assert len(progress.gaps) == GAPS_MAX
