"""The standard's parser, the Python client and the framing agree."""

import pytest

from sidecar.client.event_parser import EventParser
from sidecar.sse.framing import Framer
from tests.kit.eventsource import DispatchedEvent, Parser
from tests.kit.rendered import STREAM_ID, rendered
from tests.kit.wire_cases import CASES, WireCase

CASES_MIN = 60

cases = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def test_there_are_enough_cases_and_each_has_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= CASES_MIN


@cases
def test_the_cases_are_what_the_standard_says(case: WireCase) -> None:
    parser = Parser()
    events = parser.feed(case.wire)
    assert (events, parser.last_event_id, parser.retry_ms) == case[2:]


@cases
def test_the_python_client_reads_every_case_however_it_is_cut(case: WireCase) -> None:
    for chunks in case.cuts():
        assert _read(chunks) == case[2:], chunks


@cases
def test_what_the_framing_passes_on_means_the_same_unstamped(case: WireCase) -> None:
    for chunks in case.cuts():
        events, partial = _framed(chunks)
        seen, _, retry_ms = _read([rendered(events, stamped=False) + partial])
        assert (seen, retry_ms) == (case.events, case.retry_ms), chunks


@cases
def test_a_framed_and_stamped_stream_means_the_same_except_its_ids(case: WireCase) -> None:
    wanted = [
        DispatchedEvent(event.type, event.data, f"{STREAM_ID}.{seq}")
        for seq, event in enumerate(case.events, 1)
    ]
    for chunks in case.cuts():
        events, _ = _framed(chunks)
        assert _read([rendered(events, stamped=True)])[0] == wanted, chunks


def _read(chunks: list[bytes]) -> tuple[list[DispatchedEvent], str, int | None]:
    parser = EventParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    seen = [DispatchedEvent(event.type, event.data, event.id) for event in events]
    return seen, parser.last_event_id, parser.retry_ms


def _framed(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    framer = Framer()
    events = [event for chunk in chunks for event in framer.feed(chunk)]
    assert not framer.overflowed
    return events, framer.end()
