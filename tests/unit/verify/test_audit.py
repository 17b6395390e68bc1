"""People's records and what was counted: each difference is said; what nobody can know is none."""

from collections import Counter
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.verify.load.account import SENTENCES_MAX, Account
from sidecar.verify.load.audit import Counted, counted, differences, eligible_of, objectives, p95
from sidecar.verify.load.books import OfItself
from sidecar.verify.prometheus_api import VectorSample

ENDS = {"completed": 900, "upstream_truncated": 2, "client_left": 50, "client_cancelled": 48}
COUNTED = Counted(
    outcomes={"completed": 900.0, "upstream_truncated": 2.0, "client_left": 50.0, "client_cancelled": 48.0},
    started=1000,
    active=0,
    reconnects=3,
    reconnect_mean_s=1.5,
    reconnect_p95_s=1.95,
    lost=0,
    duplicates=0,
    leaked=0,
    detection_p95_s=2.5,
    recovery_p95_s=None,
    loop_lag_p99_s=None,
)


def account() -> Account:
    """Of a thousand streams, two of which the backend lost."""
    return Account(streams=1000, ends=Counter(ENDS), returns=3, reconnects_s=[1.0, 1.5, 2.0])


def test_where_both_say_the_same_there_is_no_difference() -> None:
    assert differences(account(), COUNTED) == []


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"started": 1001}, "1001 were counted as started"),
        ({"active": 1}, "-1 of the streams that were counted as started neither ended nor are open"),
        ({"outcomes": {**ENDS, "completed": 899, "client_abandoned": 1}}, "900 streams are completed"),
        ({"outcomes": {**ENDS, "completed": 901, "client_left": 49}}, "counted were 901"),
        ({"reconnects": 2}, "3 to 3 reconnects; counted were 2"),
        ({"reconnects": 4}, "counted were 4"),
        ({"reconnect_p95_s": 6.0}, "p95 of reconnects is 1.95 s by people's records, and 6.00 s"),
        ({"lost": 1}, "0 lost messages; counted were 1"),
        ({"duplicates": 2}, "0 duplicates; counted were 2"),
        ({"leaked": 1}, "0 silent failures; counted were 1"),
    ],
)  # fmt: skip
def test_every_difference_is_a_sentence(said: dict[str, object], sentence: str) -> None:
    found = differences(account(), replace(COUNTED, **said))  # type: ignore[arg-type]
    assert any(sentence in each for each in found), found


@pytest.mark.parametrize(
    ("counted_s", "few", "agree"), [(3.5, 8, True), (3.5, 2, False), (3.5, 0, False), (1.1, 8, True)]
)
def test_a_p95_that_a_few_reconnects_decide_is_compared_as_closely_as_they_allow(
    counted_s: float, few: int, agree: bool
) -> None:
    people = replace(account(), returns=200, reconnects_s=[1.05] * (200 - few) + [3.2] * few)
    said = replace(COUNTED, reconnects=200, reconnect_p95_s=counted_s)
    assert (differences(people, said) == []) is agree


def test_what_only_the_sidecar_can_know_is_no_difference_as_far_as_it_goes() -> None:
    people = account()
    people.ends["client_left"] -= 2
    people.doubts["client_left|client_abandoned|completed"] += 2
    for name in ("client_left", "client_abandoned", "completed"):
        outcomes = COUNTED.outcomes | {"client_left": 48.0}
        outcomes[name] = outcomes.get(name, 0) + 2
        assert differences(people, replace(COUNTED, outcomes=outcomes)) == []
    outcomes = COUNTED.outcomes | {"client_left": 47.0, "client_abandoned": 3.0}
    assert len(differences(people, replace(COUNTED, outcomes=outcomes))) == 2


def test_a_connection_that_died_in_silence_may_have_been_missed_or_not() -> None:
    people = account()
    people.returns_in_doubt = 2
    for reconnects in (3, 4, 5):
        assert differences(people, replace(COUNTED, reconnects=reconnects)) == []
    assert differences(people, replace(COUNTED, reconnects=6)) != []


def test_a_broken_promise_is_a_difference_and_all_are_counted() -> None:
    people = account()
    for number in range(SENTENCES_MAX + 5):
        people.breach(f"promise {number}")
    found = differences(people, COUNTED)
    assert found[0] == "promise 0"
    assert found[-1].startswith(f"{SENTENCES_MAX + 5} promises were broken in all")


def test_completion_is_counted_over_what_nobody_stopped_on_purpose() -> None:
    people = account()
    people.doubts["client_left|completed"] += 1  # his own word counts: he left
    assert eligible_of(people) == (902, 900)
    completion, *_ = objectives(people, COUNTED)
    assert completion.by_clients == completion.by_prometheus == 900 / 902
    assert completion.held


@pytest.mark.parametrize(
    ("name", "people", "said"),
    [
        ("completion", {"ends": Counter({"completed": 994, "upstream_error": 6})}, {}),
        ("completion", {}, {"outcomes": {"completed": 994.0, "upstream_error": 6.0}}),
        ("reconnect mean", {"reconnects_s": [2.5]}, {}),
        ("reconnect mean", {}, {"reconnect_mean_s": 2.5}),
        ("reconnect p95", {"reconnects_s": [1.0] * 8 + [5.0] * 2}, {}),
        ("reconnect p95", {}, {"reconnect_p95_s": 4.2}),
        ("messages lost", {"lost": 1}, {}),
        ("messages lost", {}, {"lost": 1}),
        ("duplicates delivered", {"duplicates": 1}, {}),
        ("duplicates delivered", {}, {"duplicates": 1}),
        ("silent failures", {"silent": 1}, {}),
        ("silent failures", {}, {"leaked": 1}),
    ],
)
def test_an_objective_is_missed_if_either_side_says_so(
    name: str, people: dict[str, object], said: dict[str, object]
) -> None:
    found = objectives(replace(account(), **people), replace(COUNTED, **said))  # type: ignore[arg-type]
    assert [each.name for each in found if not each.held] == [name]


def test_where_nothing_was_to_be_measured_nothing_is_missed() -> None:
    nothing = replace(
        COUNTED, outcomes={}, started=0, reconnects=0, reconnect_mean_s=None, reconnect_p95_s=None
    )
    assert all(each.held for each in objectives(Account(), nothing))
    assert differences(Account(), nothing) == []
    assert nothing.completion is None


def test_accounts_add_up_and_survive_json() -> None:
    people = account()
    people.add(account())
    assert (people.streams, people.ends["completed"], len(people.reconnects_s)) == (2000, 1800, 6)
    assert Account.from_json(people.as_json()) == people


def test_p95_of_one_is_that_one_and_of_none_is_unknown() -> None:
    assert p95([]) is None
    assert p95([3.0]) == 3.0
    assert p95([float(value) for value in range(101)]) == 95.0


METRICS = """\
sse_streams_started_total{route="a"} 3
sse_streams_started_total{route="b"} 2
sse_streams_started_total{route="__canary__"} 50
sse_streams_finished_total{route="a",outcome="completed"} 3
sse_streams_finished_total{route="b",outcome="completed"} 1
sse_streams_finished_total{route="b",outcome="client_left"} 1
sse_reconnect_duration_seconds_bucket{route="a",side="client",outcome="resumed",le="1.0"} 1
sse_reconnect_duration_seconds_bucket{route="a",side="client",outcome="resumed",le="2.0"} 4
sse_reconnect_duration_seconds_bucket{route="a",side="client",outcome="resumed",le="+Inf"} 4
sse_reconnect_duration_seconds_bucket{route="a",side="upstream",outcome="resumed",le="1.0"} 0
sse_reconnect_duration_seconds_bucket{route="a",side="upstream",outcome="resumed",le="2.0"} 0
sse_reconnect_duration_seconds_bucket{route="a",side="upstream",outcome="resumed",le="+Inf"} 9
sse_reconnect_duration_seconds_count{route="a",side="client",outcome="resumed"} 4
sse_reconnect_duration_seconds_sum{route="a",side="client",outcome="resumed"} 5.0
"""


async def test_the_sidecars_own_books_are_read_as_prometheus_would_and_without_the_canary() -> None:
    families = text_string_to_metric_families(METRICS)
    samples = [
        VectorSample({"__name__": sample.name, **sample.labels}, sample.value)
        for family in families
        for sample in family.samples
    ]
    said = await counted(OfItself(samples))
    assert said.started == 5
    assert said.outcomes == {"completed": 4.0, "client_left": 1.0}
    assert said.completion == 1.0
    assert (said.reconnects, said.reconnect_mean_s) == (4.0, 1.25)
    assert said.reconnect_p95_s == pytest.approx(1 + (0.95 * 4 - 1) / 3)
    assert said.detection_p95_s is None
