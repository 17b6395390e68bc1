"""The soak test replays by seed, finds planted defects and detects growth."""

import random
import re
import shutil
import sys
from asyncio.subprocess import STDOUT
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from tests.kit.client import SSEClient
from tests.kit.user_process import run_to_end
from tests.soak.backend import SoakBackend
from tests.soak.measures import MIB, ProcessSample, slope, warm
from tests.soak.page import DATA, PAGE, PICTURE, page, picture
from tests.soak.round import RoundOutcome
from tests.soak.schedule import (
    CHAOS_S,
    CROWD,
    CROWDED_FROM,
    DEED_ROWS,
    DEEDS,
    ROWS,
    SCHEDULE,
    Schedule,
    ScheduledFault,
    ScheduledVisit,
)
from tests.soak.shrink import shrunk
from tests.soak.soak import CROWDED_ROUNDS, RESULT, SidecarFigures, SoakResult, growth, schedules
from tests.soak.story import story, write
from tests.soak.testimony import BrokenPromise

ROOT = Path(__file__).parents[2]
ROUNDS = 60
PLAY_S = 100.0

READS = ScheduledVisit(0, 0.0, 0, "steady", "raw", "reads", "/v1/chat", "POST", 11)
CUT_OFF = replace(READS, deed="is cut off", path="/feed", method="GET")
PEOPLE = Schedule(
    1,
    0,
    (ScheduledFault(1.0, "latency", "steady/1", 0.5), ScheduledFault(2.5, "fin", "backend")),
    tuple(
        replace(visit, number=number, person=number, seed=number + 1)
        for number, visit in enumerate([READS, CUT_OFF] * 6)
    ),
)

DEFECTS = {
    "missing": ("self.position = position\n", "self.position = position + bool(position)\n"),
    "ending": (
        "            self._connection.abort()\n        else:\n            await self._end_cleanly()\n",
        "        await self._end_cleanly()\n",
    ),
}
"""By the rule that each breaks: what one line of the subscriber is, and what it becomes."""


def samples(*rss_mib: float, files: int = 20) -> list[ProcessSample]:
    return [ProcessSample(60.0 * n, int(mib * MIB), files, 2, 5) for n, mib in enumerate(rss_mib)]


class TestSchedule:
    def test_a_seed_and_a_round_determine_the_schedule(self) -> None:
        assert Schedule.of(7, 3) == Schedule.of(7, 3)
        assert len({Schedule.of(seed, number) for seed in range(3) for number in range(3)}) == 9

    def test_a_long_run_begins_with_rounds_of_twice_as_many_visits(self) -> None:
        usual, crowded = Schedule.of(7, 0), Schedule.of(7, CROWDED_FROM)
        assert len(crowded.visits) == CROWD * len(usual.visits)
        long, short = (islice(schedules([7, 8], seconds, CHAOS_S), 5) for seconds in (1800.0, 300.0))
        assert [one.number for one in long] == [*range(CROWDED_FROM, CROWDED_FROM + CROWDED_ROUNDS), 0]
        assert [one.number for one in short] == [0, 1, 2, 3, 4]

    def test_a_schedule_survives_the_way_over_a_file(self) -> None:
        schedule = Schedule.of(7, 3)
        assert SCHEDULE.validate_json(SCHEDULE.dump_json(schedule)) == schedule

    def test_every_kind_of_fault_and_every_deed_has_its_turn(self) -> None:
        rounds = [Schedule.of(1, number) for number in range(ROUNDS)]
        faults = Counter(fault.kind for schedule in rounds for fault in schedule.faults)
        deeds = Counter((visit.client, visit.deed) for schedule in rounds for visit in schedule.visits)
        assert set(faults) == set(ROWS)
        assert set(deeds) == {(client, deed) for client, each in DEEDS.items() for deed in each}
        assert {deed for _, deed in deeds} >= set(DEED_ROWS)

    def test_only_the_mortal_sidecar_is_ended(self) -> None:
        rounds = [Schedule.of(1, number) for number in range(ROUNDS)]
        ended = [fault for schedule in rounds for fault in schedule.faults if fault.kind.startswith("kill")]
        assert {fault.target for fault in ended} == {"mortal"}


class TestShrinking:
    async def test_what_does_not_matter_goes_and_what_does_stays(self) -> None:
        whole = Schedule.of(5, 0)
        fault, visits = whole.faults[3], {whole.visits[10], whole.visits[170]}

        async def still_broken(schedule: Schedule) -> bool:
            return fault in schedule.faults and visits <= set(schedule.visits)

        shortest = await shrunk(whole, still_broken, runs_max=1000)
        assert shortest == replace(whole, faults=(fault,), visits=shortest.visits)
        assert set(shortest.visits) == visits

    async def test_what_breaks_without_any_fault_needs_none(self) -> None:
        whole = Schedule.of(5, 0)

        async def still_broken(schedule: Schedule) -> bool:
            return whole.visits[7] in schedule.visits

        assert await shrunk(whole, still_broken) == replace(whole, faults=(), visits=(whole.visits[7],))

    async def test_shrinking_is_bounded_and_keeps_the_shortest_schedule(self) -> None:
        whole, played = Schedule.of(5, 0), 0

        async def still_broken(schedule: Schedule) -> bool:
            nonlocal played
            played += 1
            return bool(schedule.faults)

        shortest = await shrunk(whole, still_broken, runs_max=3)
        assert played == 3
        assert (len(shortest.faults), len(shortest.visits)) == (len(whole.faults), len(whole.visits) // 4)


class TestGrowth:
    def test_a_straight_line_has_its_slope(self) -> None:
        grown = slope(samples(*(50 + 0.1 * n for n in range(30))))
        assert grown.mib_per_hour == pytest.approx(6, abs=0.01)
        assert grown.confidence == pytest.approx(0, abs=0.01)

    def test_noise_has_no_slope_that_one_could_be_sure_of(self) -> None:
        seed = random.SystemRandom().randrange(10**9)
        print(f"seed {seed}")  # noqa: T201 - shown when it fails
        sure = 0
        for number in range(200):
            chance = random.Random(seed + number)
            measured = slope(samples(*(60 + chance.gauss(0, 0.5) for _ in range(30))))
            sure += abs(measured.mib_per_hour) > measured.confidence
        assert sure < 40  # about 10 of 200 are expected

    def test_the_warm_up_does_not_count(self) -> None:
        assert [sample.at_s for sample in warm(samples(*range(10)))] == [180 + 60.0 * n for n in range(7)]

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_few_samples_say_nothing(self, count: int) -> None:
        assert slope(samples(*range(count))).confidence == float("inf")

    def test_a_process_that_holds_more_and_more_is_named(self) -> None:
        leaks = samples(*(50 + n for n in range(30)))
        files = [replace(sample, files=20 + 2 * n) for n, sample in enumerate(samples(*[50] * 30))]
        even = samples(*[50, 51] * 15)
        told = [
            [*growth("it", SidecarFigures(1, each, slope(warm(each))), 1800)] for each in (leaks, files, even)
        ]
        assert [[re.findall(r"\d+(?:\.\d+)?", line) for line in lines] for lines in told] == [
            [["60.0"]],
            [["40", "68"]],
            [],
        ]


def test_a_story_has_the_violation_the_faults_and_the_command(tmp_path: Path) -> None:
    whole = Schedule.of(5, 2)
    shortest = replace(whole, faults=(ScheduledFault(1.5, "stall", "backend", 2.0),), visits=(READS,))
    broken = RoundOutcome(whole, 1.0, (BrokenPromise("missing", "a reader missed 3."),), Counter())
    told = story(broken, shortest, tmp_path / "broken.json")
    for words in (
        "Seed 5, round 2: 1 broken promises.",
        "[missing] a reader missed 3.",
        f"1 of {len(whole.faults)} faults and 1 of 220 visits",
        "1.50 s  backend: stall for 2 s (row 8)",
        "0.00 s  person 0 (raw client) at steady: question 0, POST /v1/chat, reads, answer 11",
        "python -m tests.soak --seed 5 --round 2",
        f"python -m tests.soak --replay {tmp_path}/broken.json",
    ):
        assert words in told


class TestFiguresPage:
    """The page of the figures says what the data of the run say, and nothing else."""

    def test_the_page_of_a_run_is_made_of_the_data_beside_it(self) -> None:
        for data in DATA.parent.glob(DATA.name):
            result = RESULT.validate_json(data.read_bytes())
            assert PAGE.read_text() == page(result)
            assert PICTURE.read_text() == picture(result.sidecars["steady"])

    def test_every_figure_of_a_run_that_was_broken_is_told(self) -> None:
        held = samples(*(60 + n / 10 for n in range(9)))
        result = SoakResult(
            command="python -m tests.soak --minutes 9",
            machine="a machine",
            seconds=540,
            seeds=[4, 5],
            rounds=9,
            streams=1234,
            answers=1300,
            faults={"kill": 3},
            rows=[26],
            counts={"cancelled": 17},
            recovered_p50_s=0.25,
            recovered_p95_s=3.5,
            recovered_count=321,
            broken=["seed 4, round 0: [missing] a reader missed 3."],
            sidecars={"steady": SidecarFigures(1, held, slope(warm(held)))},
        )
        told = page(result)
        for words in (
            "**Broken promises: 1.**",
            "* seed 4, round 0: [missing] a reader missed 3.",
            "| Time | 9.0 min |",
            "| Streams that the backend began | 1234 |",
            "| kill | 26 | 3 |",
            "| cancelled | 17 |",
            "0.25 s, 3.50 s",
            "+6.00 MiB an hour",
        ):
            assert words in told
        assert picture(result.sidecars["steady"]).count("<circle") == 9


async def test_a_stalled_answer_that_is_cut_ends_at_the_cut() -> None:
    backend = SoakBackend()
    async with backend.up:
        client = SSEClient("127.0.0.1", backend.up.port)
        async with client.open("GET", "/feed?visit=1&seed=1", [("X-Ask", "1")]):
            (generation,) = backend.talking
            backend.speaks.clear()
            await backend.break_all("reset")
            assert backend.over_for_s(generation.name) > 0
            backend.speaks.set()
    assert generation.whole is False
    assert generation.over_at_s == generation.ended_at_s


async def played(schedule: Schedule, directory: Path, *more: str) -> tuple[int, str]:
    file = directory / "schedule.json"
    write(schedule, file)
    command = (sys.executable, "-m", "tests.soak", "--replay", str(file), *more)
    code, said, _ = await run_to_end(*command, within_s=PLAY_S, cwd=ROOT, stderr=STDOUT)
    return code, said


@pytest.mark.slow
@pytest.mark.timeout(PLAY_S)
@pytest.mark.parametrize("rule", DEFECTS)
async def test_a_planted_defect_is_found_and_its_story_told(rule: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sidecar", tmp_path / "sidecar", ignore=shutil.ignore_patterns("__pycache__"))
    subscriber = tmp_path / "sidecar" / "streams" / "subscriber.py"
    right, wrong = DEFECTS[rule]
    code = subscriber.read_text()
    assert code.count(right) == 1
    subscriber.write_text(code.replace(right, wrong))
    status, said = await played(PEOPLE, tmp_path, "--code", str(tmp_path))
    assert (status, f"  [{rule}] " in said) == (1, True), said
    assert "backend: fin (row 6)" in said


@pytest.mark.slow
@pytest.mark.timeout(PLAY_S)
async def test_without_a_defect_the_same_people_find_nothing(tmp_path: Path) -> None:
    status, said = await played(PEOPLE, tmp_path)
    assert (status, "0 broken" in said) == (0, True), said
