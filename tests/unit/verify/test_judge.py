"""The judgement of a scenario, from records written by hand: what counts as lost, twice, silent, late."""

import re
from collections.abc import Sequence
from dataclasses import replace

from sidecar.client import Event, Gap, State
from sidecar.verify.findings import Findings
from sidecar.verify.judge import judge
from sidecar.verify.person import Handed, Person, ShownState, UserRequest
from sidecar.verify.reader import VerifyingReader
from sidecar.verify.results import ScenarioResult
from sidecar.verify.scenarios import EXPERIENCE, HANDOFF, SLOW, Scenario, ScenarioPart
from sidecar.verify.stage import Played
from sidecar.verify.subject import Subject
from sidecar.verify.truth import truth_of
from sidecar.verify.wire import RecordedConnection

MESSAGES = [Event("message", f"m{seq}") for seq in range(1, 6)]
WHOLE = (1, 2, 3, 4, 5)
COMPLETE = (State.COMPLETED, "Complete.")
BROKEN = (State.FAILED, "The connection was lost. Given up after 2 attempts.")
OPEN = (State.OPEN, "Connected.")


def reader(
    name: str, seqs: Sequence[int], end: tuple[State, str] = COMPLETE, end_s: float = 9.0, gap: int = 0
) -> VerifyingReader:
    """Return somebody who was given these messages, a second apart, and shown this in the end."""
    person = Person(name, UserRequest(url="http://a/"), stall_s=3, seed=0)
    person.handed += [Handed(float(at), MESSAGES[seq - 1]) for at, seq in enumerate(seqs, 1)]
    person.seen += [ShownState(0.5, *OPEN), ShownState(end_s, *end)]
    if gap:
        person.gaps.append((0.6, Gap(1, gap, "trimmed")))
    asked = RecordedConnection("GET", "http://a/", "", 0.5)
    asked.over_at_s = end_s
    person.connections.append(asked)
    return VerifyingReader(person, name, "http://a/")


def judged(
    *readers: VerifyingReader, scenario: Scenario = HANDOFF, part: ScenarioPart | None = None
) -> ScenarioResult:
    played = Played(
        part or ScenarioPart(name="part"), list(readers), truth_of(MESSAGES), 0.0, ended_at_s=20.0
    )
    subject = Subject("a", "http://a/", UserRequest(url="http://a/"), 3.0)
    return judge(Findings(scenario, subject, [played], []), 1, 20.0)


def numbers_of(result: ScenarioResult) -> list[list[str]]:
    """Return the numbers that each reason names."""
    return [re.findall(r"\d+(?:\.\d+)?", reason) for reason in result.reasons]


def test_whole_answers_pass() -> None:
    result = judged(reader("a", WHOLE), reader("b", WHOLE))
    assert (result.verdict, result.reasons, result.completion) == ("passed", [], 1.0)


def test_an_answer_that_looks_whole_with_a_hole_is_lost_and_silent() -> None:
    result = judged(reader("a", WHOLE), reader("b", (1, 2, 4, 5)), reader("c", (1, 2)))
    assert (result.completed, result.lost, result.silent) == (1, 4, 2)
    assert numbers_of(result) == [["1", "3", "100"], ["4"], ["2"]]


def test_an_answer_that_broke_off_and_said_so_is_not_complete_but_nothing_is_lost_in_silence() -> None:
    result = judged(reader("a", (1, 2), BROKEN))
    assert (result.completed, result.lost, result.silent) == (0, 0, 0)
    assert numbers_of(result) == [["0", "1", "100"]]


def test_a_promise_of_95_percent_bears_one_broken_answer_of_twenty() -> None:
    fine = [reader(f"r{number}", WHOLE) for number in range(19)]
    assert judged(*fine, reader("a", (1, 2), BROKEN), scenario=SLOW).reasons == []
    assert judged(*fine[1:], reader("a", (1, 2), BROKEN), scenario=SLOW).completion < 0.95


def test_messages_that_a_gap_tells_of_are_not_lost() -> None:
    result = judged(reader("a", (3, 4, 5), gap=2))
    assert (result.verdict, result.lost, result.gaps) == ("passed", 0, 1)


def test_a_message_that_is_shown_twice_is_counted_even_if_all_is_there() -> None:
    result = judged(reader("a", (1, 2, 1, 2, 3, 4, 5)))
    assert (result.completed, result.duplicates) == (1, 2)
    assert numbers_of(result) == [["2"]]


def test_who_is_left_with_an_open_stream_that_says_nothing_saw_nothing() -> None:
    assert judged(reader("a", (1, 2), OPEN)).silent == 1


def test_a_failure_has_to_be_told_within_ten_seconds_and_not_as_an_end() -> None:
    part = ScenarioPart(name="reset", ends="fails")
    told = judged(reader("a", (1, 2), BROKEN, end_s=10.0), scenario=EXPERIENCE, part=part)
    assert told.reasons == []
    late = judged(reader("a", (1, 2), BROKEN, end_s=13.0), scenario=EXPERIENCE, part=part)
    assert numbers_of(late) == [["11.0", "10"]]
    silent = judged(reader("a", (1, 2)), scenario=EXPERIENCE, part=part)
    assert (silent.silent, silent.shown[0].silent) == (1, True)


def test_somebody_who_never_noticed_the_silence_has_not_recovered_from_it() -> None:
    part = replace(ScenarioPart(name="silent path"), recovers=True)
    assert len(judged(reader("a", WHOLE), part=part).reasons) == 1
