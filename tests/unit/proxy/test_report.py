"""A report is read strictly and judged by arithmetic; any bytes are read without harm."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.observability.labels import ReportVerdict
from sidecar.proxy.report import (
    BRACKETS_MAX,
    COUNT_MAX,
    FIELDS,
    GAPS_ALL,
    GAPS_MAX,
    RECONNECT_S_MAX,
    RECONNECTS_MAX,
    REPORT_BYTES_MAX,
    STATES,
    Judgement,
    Report,
    StreamFacts,
    judge,
    parse,
)
from tests.kit.reporting import HONEST, STREAM, said

AGREE, LOST, DUPLICATED = ReportVerdict.AGREE, ReportVerdict.LOST, ReportVerdict.DUPLICATED
UNFINISHED, REJECTED = ReportVerdict.UNFINISHED, ReportVerdict.REJECTED
WHOLE = StreamFacts(entries=5, messages=5, trimmed_through=0, completed=True)


def report(**changed: Any) -> Report:
    found = parse(said(**changed))
    assert found is not None, changed
    return found


class TestReading:
    def test_a_report_says_what_it_says(self) -> None:
        body = said(
            received=38,
            last_seq=40,
            gaps=[[5, 6]],
            duplicates=2,
            reconnects=[1.08, 0.9, 3],
            stalls=1,
            at="recovery",
        )
        assert parse(body) == Report(
            stream=STREAM,
            received=38,
            first_seq=1,
            last_seq=40,
            gaps=((5, 6),),
            duplicates=2,
            reconnects=(1.08, 0.9, 3),
            stalls=1,
            state="completed",
            told=True,
            at="recovery",
        )

    @pytest.mark.parametrize("name", FIELDS)
    def test_no_field_may_be_missing(self, name: str) -> None:
        assert parse(json.dumps({key: HONEST[key] for key in HONEST if key != name}).encode()) is None

    def test_no_field_may_be_added(self) -> None:
        assert parse(said(user="me")) is None

    def test_no_field_may_come_twice(self) -> None:
        assert parse(said()[:-1] + b', "received": 5}') is None

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("v", 2),
            ("v", True),
            ("v", 1.0),
            ("v", "1"),
            ("stream", ""),
            ("stream", STREAM[:-1]),
            ("stream", STREAM + "A"),
            ("stream", STREAM[:-1] + "é"),
            ("stream", 5),
            ("stream", None),
            ("received", -1),
            ("received", 5.0),
            ("received", True),
            ("received", "5"),
            ("received", None),
            ("received", [5]),
            ("received", COUNT_MAX + 1),
            ("first_seq", 0),
            ("first_seq", -1),
            ("first_seq", 7),
            ("first_seq", False),
            ("last_seq", -1),
            ("last_seq", 1.5),
            ("gaps", None),
            ("gaps", {}),
            ("gaps", [5, 6]),
            ("gaps", [[5]]),
            ("gaps", [[5, 6, 7]]),
            ("gaps", [[6, 5]]),
            ("gaps", [[0, 1]]),
            ("gaps", [[1, 2.0]]),
            ("gaps", [["1", "2"]]),
            ("gaps", [[True, True]]),
            ("gaps", [[5, None]]),
            ("gaps", [[1, 1]] * (GAPS_MAX + 1)),
            ("duplicates", -1),
            ("duplicates", 0.5),
            ("duplicates", True),
            ("reconnects", None),
            ("reconnects", 1.0),
            ("reconnects", [-0.1]),
            ("reconnects", [True]),
            ("reconnects", ["1"]),
            ("reconnects", [[1]]),
            ("reconnects", [RECONNECT_S_MAX + 1]),
            ("reconnects", [1] * (RECONNECTS_MAX + 1)),
            ("stalls", -1),
            ("stalls", False),
            ("state", ""),
            ("state", "happy"),
            ("state", 1),
            ("state", None),
            ("told", 1),
            ("told", "true"),
            ("told", None),
            ("at", "start"),
            ("at", []),
        ],
    )
    def test_a_wrong_value_makes_it_no_report(self, name: str, value: object) -> None:
        assert parse(said(**{name: value})) is None

    @pytest.mark.parametrize(
        "number", [b"NaN", b"Infinity", b"-Infinity", b"1e308", b"1e999", b"-1e308", b"9" * 3000]
    )
    @pytest.mark.parametrize("name", ["received", "last_seq", "reconnects"])
    def test_no_number_is_too_strange_to_be_refused(self, name: str, number: bytes) -> None:
        number = b"[%b]" % number if name == "reconnects" else number
        value = json.dumps(HONEST[name]).encode()
        body = said().replace(b'"%b": %b' % (name.encode(), value), b'"%b": %b' % (name.encode(), number))
        assert body != said()
        assert parse(body) is None

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"5",
            b'"text"',
            b"{",
            said()[:-1],
            said() + b"x",
            said() + said(),
            b"\xff" + said(),
            b"\xef\xbb\xbf" + said(),
            said().decode().encode("utf-16"),
            b"[" * 1000 + b"]" * 1000,
            b'{"a":' * 1000 + b"1" + b"}" * 1000,
            b"[" * BRACKETS_MAX + b"]" * BRACKETS_MAX,
            b"\x1f\x8b\x08\x00",
            said() + b" " * REPORT_BYTES_MAX,
        ],
    )
    def test_what_is_no_object_of_these_fields_is_no_report(self, body: bytes) -> None:
        assert parse(body) is None

    def test_a_report_may_be_as_long_as_the_bound_and_no_longer(self) -> None:
        padding = b" " * (REPORT_BYTES_MAX - len(said()))
        assert parse(said() + padding) is not None
        assert parse(said() + padding + b" ") is None

    def test_the_longest_lists_that_are_allowed_are_read(self) -> None:
        gaps = [[n, n] for n in range(1, GAPS_MAX + 1)]
        assert len(report(gaps=gaps, reconnects=[0.5] * RECONNECTS_MAX).gaps) == GAPS_MAX

    def test_a_client_that_has_received_nothing_can_say_so(self) -> None:
        assert report(received=0, last_seq=0, state="failed").span == 0
        assert report(received=0, first_seq=8, last_seq=7).span == 0

    @pytest.mark.parametrize("state", sorted(STATES))
    def test_a_client_has_left_if_it_closed_or_its_page_is_hidden(self, state: str) -> None:
        assert report(state=state).goodbye is (state == "closed")
        assert report(state=state, at="pagehide").goodbye is True

    @given(st.binary(max_size=REPORT_BYTES_MAX + 9))
    @example(b"\x00")
    def test_any_bytes_are_harmless(self, body: bytes) -> None:
        assert parse(body) is None

    @given(
        st.dictionaries(
            st.sampled_from([*FIELDS, "other"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
                ),
                max_leaves=8,
            ),
        )
    )
    def test_any_object_is_harmless(self, fields: dict[str, Any]) -> None:
        found = parse(said(**fields))
        if found is not None:
            judge(found, WHOLE)


class TestJudging:
    def test_who_has_everything_agrees(self) -> None:
        assert judge(report(), WHOLE) == (AGREE, 0)

    def test_who_is_not_yet_at_the_end_agrees_too(self) -> None:
        assert judge(report(received=3, last_seq=3, state="open", at="recovery"), WHOLE) == (AGREE, 0)

    def test_who_began_in_the_middle_owes_only_what_came_after(self) -> None:
        assert judge(report(received=2, first_seq=4), WHOLE) == (AGREE, 0)

    def test_a_message_that_did_not_come_and_was_not_announced_is_lost(self) -> None:
        assert judge(report(received=3), WHOLE) == (LOST, 2)

    def test_an_announced_gap_is_no_loss_if_the_log_had_dropped_it(self) -> None:
        trimmed = StreamFacts(entries=40, messages=40, trimmed_through=10, completed=True)
        assert judge(report(received=38, last_seq=40, gaps=[[5, 6]]), trimmed) == (AGREE, 0)
        assert judge(report(received=37, last_seq=40, gaps=[[5, 6]]), trimmed) == (LOST, 1)

    def test_a_gap_that_nobody_can_have_announced_is_a_loss(self) -> None:
        held = StreamFacts(entries=40, messages=40, trimmed_through=5, completed=True)
        assert judge(report(received=38, last_seq=40, gaps=[[5, 6]]), held) == (LOST, 1)

    def test_gaps_that_overlap_are_counted_once_and_only_within_the_span(self) -> None:
        trimmed = StreamFacts(entries=40, messages=40, trimmed_through=40, completed=True)
        gaps = [[8, 9], [5, 8], [1, 2], [39, 60]]
        assert judge(report(received=0, first_seq=2, last_seq=40, gaps=gaps), trimmed) == (
            LOST,
            39 - 5 - 1 - 2,
        )

    def test_a_client_with_more_gaps_than_it_can_list_owes_nothing_of_what_the_log_has_dropped(self) -> None:
        trimmed = StreamFacts(entries=1000, messages=1000, trimmed_through=900, completed=True)
        gaps = [[n, n] for n in range(1, 2 * GAPS_ALL, 2)]
        assert judge(report(received=100, last_seq=1000, gaps=gaps), trimmed) == (AGREE, 0)
        assert judge(report(received=99, last_seq=1000, gaps=gaps), trimmed) == (LOST, 1)
        assert judge(report(received=100, last_seq=1000, gaps=gaps[1:]), trimmed).verdict is LOST

    def test_more_messages_than_there_are_seqs_are_duplicates(self) -> None:
        assert judge(report(received=6), WHOLE) == (DUPLICATED, 0)
        assert judge(report(received=6, duplicates=1), WHOLE) == (DUPLICATED, 0)

    def test_duplicates_that_were_dropped_spoil_nothing(self) -> None:
        assert judge(report(duplicates=7), WHOLE) == (AGREE, 0)

    @pytest.mark.parametrize(
        "known",
        [WHOLE._replace(completed=False), WHOLE._replace(entries=6, messages=6)],
        ids=["the stream did not complete", "there are later messages"],
    )
    def test_who_takes_for_whole_what_is_not_is_told_apart(self, known: StreamFacts) -> None:
        assert judge(report(), known) == (UNFINISHED, 0)
        assert judge(report(state="failed"), known) == (AGREE, 0)

    def test_nobody_can_have_more_than_there_is(self) -> None:
        assert judge(report(received=6, last_seq=6), WHOLE) == (REJECTED, 0)

    @pytest.mark.parametrize("received", [4, 5])
    def test_the_terminal_of_the_sidecar_may_be_counted_or_not(self, received: int) -> None:
        failed = StreamFacts(entries=5, messages=4, trimmed_through=0, completed=False)
        assert judge(report(received=received, state="failed"), failed) == (AGREE, 0)

    def test_what_passed_without_seqs_is_not_counted(self) -> None:
        unframed = WHOLE._replace(unframed=True)
        assert judge(report(received=9, last_seq=99), unframed) == (AGREE, 0)
        assert judge(report(received=1, last_seq=1), unframed._replace(completed=False)) == (UNFINISHED, 0)

    @given(st.integers(0, 50), st.integers(0, 60), st.integers(1, 60), st.integers(0, 60), st.integers(0, 60))
    def test_what_is_missed_is_never_more_than_there_is(
        self, entries: int, received: int, first: int, last: int, trimmed: int
    ) -> None:
        last = max(last, first - 1)
        known = StreamFacts(entries, entries, min(trimmed, entries), completed=True)
        judged: Judgement = judge(report(received=received, first_seq=first, last_seq=last), known)
        assert 0 <= judged.missed <= entries
        assert (judged.missed > 0) is (judged.verdict is LOST)
