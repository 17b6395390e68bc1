"""What people in a load have to be given is what the backend sends, whatever it does in between."""

from urllib.parse import parse_qs, urlsplit

import pytest

from sidecar.client import Event
from sidecar.client.event_parser import EventParser
from sidecar.client.told import failure_of
from sidecar.demo.answers import MODEL_DEFAULT, AiSdk
from sidecar.demo.faults import DemoFault
from sidecar.observability.labels import Outcome
from sidecar.verify.load.talk import (
    FAILURE_EVERY,
    FAILURE_FROM,
    FAILURES,
    FAMILIES,
    MESSAGES,
    Pace,
    RequestStyle,
    UserDialogue,
    content,
    draw,
)
from tests.kit.client import SSEClient
from tests.kit.demo_backend import demo_backend

PACE = Pace(interval_s=0.001, stall_s=1)
ENDS_BADLY = [fault for fault in FAILURES if fault not in (DemoFault.STATUS, DemoFault.STALL)]


def talk(family: RequestStyle, fault: DemoFault | None = None, *, number: int = 0) -> UserDialogue:
    return UserDialogue(number, family, 20, PACE, f"seed {number}", fault, 10)


async def sent(backend: SSEClient, asked: UserDialogue) -> list[Event]:
    """What the backend sends, but for its own word that it has failed."""
    response = await backend.fetch("POST", asked.target, body=asked.body)
    events = EventParser().feed(response.raw)
    return [event for event in events if failure_of(event) is None]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.path)
async def test_the_truth_of_a_whole_answer_is_what_the_backend_sends(family: RequestStyle) -> None:
    async with demo_backend() as backend:
        for fault in (None, DemoFault.CRLF, DemoFault.CR, DemoFault.BOM, DemoFault.STALL):
            asked = talk(family, fault)
            events = await sent(backend, asked)
            assert [content(event.type, event.data) for event in events] == asked.truth(), fault
            assert not asked.fails
            assert asked.outcome is Outcome.COMPLETED


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.path)
@pytest.mark.parametrize("fault", ENDS_BADLY)
async def test_the_truth_of_an_answer_that_fails_is_what_came_before(
    family: RequestStyle, fault: DemoFault
) -> None:
    async with demo_backend() as backend:
        asked = talk(family, fault, number=FAILURE_FROM)
        events = await sent(backend, asked)
        assert [content(event.type, event.data) for event in events] == asked.truth()
        assert asked.fails


def test_ids_that_are_made_up_for_each_request_are_no_content() -> None:
    answers = [AiSdk(MODEL_DEFAULT, str(MESSAGES)) for _ in range(2)]
    openings = [next(answer.opening()).decode() for answer in answers]
    assert openings[0] != openings[1]
    assert content("message", openings[0]) == content("message", openings[1])


def test_the_same_seed_and_number_ask_the_same() -> None:
    for number in range(FAILURE_EVERY):
        (one, chance), (two, same) = draw(number, 5, PACE), draw(number, 5, PACE)
        assert (one, chance.random()) == (two, same.random())
    assert draw(1, 5, PACE)[0] != draw(1, 6, PACE)[0]


def test_one_answer_of_four_hundred_fails_each_time_in_another_way() -> None:
    for seed in range(3):
        drawn = [draw(number, seed, PACE)[0] for number in range(FAILURE_EVERY * len(FAILURES))]
        failing = [each for each in drawn if each.fails]
        assert [each.fault for each in failing] == [*FAILURES]
        assert all(each.number % FAILURE_EVERY >= FAILURE_FROM for each in failing)
        assert any(each.recovers for each in drawn)


def test_what_is_asked_says_pace_and_fault() -> None:
    asked = talk(FAMILIES[0], DemoFault.STALL)
    said = parse_qs(urlsplit(asked.target).query)
    assert said == {
        "n": ["20"],
        "interval_ms": ["1"],
        "seed": ["seed 0"],
        "fault": ["stall"],
        "at": ["10"],
        "stall_s": ["1"],
    }
    for_good = talk(FAMILIES[0], DemoFault.STALL, number=FAILURE_FROM)
    assert "stall_s" not in for_good.target
