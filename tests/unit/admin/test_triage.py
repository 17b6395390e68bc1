"""The list of streams begins with the one to look at first."""

from sidecar.admin import triage
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.sse.verdict import Ending
from sidecar.streams.states import StreamInput
from sidecar.streams.stream import Stream
from tests.kit.held import Held, HeldReader


def _stalled(held: Held) -> Stream:
    stream = held.stream(events=1)
    stream.advance(StreamInput.SILENCE)
    return stream


def _failed(held: Held) -> Stream:
    stream = held.stream(events=1)
    stream.advance(StreamInput.LOST, stream.verdict.broken(errors.UpstreamReset))
    return stream


def _behind(held: Held, lag: int) -> Stream:
    stream = held.stream(events=lag + 1)
    stream.join(HeldReader(1))
    return stream


def _detached(held: Held) -> Stream:
    stream, reader = held.stream(events=1), HeldReader(1)
    stream.join(reader)
    stream.leave(reader, cleanly=True, done=False)
    return stream


def _reconnecting(held: Held) -> Stream:
    stream = held.stream(events=1)
    stream.advance(StreamInput.LOST_RESUMABLE)
    return stream


def _completed(held: Held) -> Stream:
    stream, reader = held.stream(events=1), HeldReader(1)
    stream.join(reader)
    stream.advance(StreamInput.END, Ending(Outcome.COMPLETED, None))
    stream.read_to_end()
    return stream


async def test_what_is_wrong_now_comes_before_what_went_wrong_and_that_before_what_goes_well() -> None:
    held = Held()
    wanted = [
        _stalled(held),
        _reconnecting(held),
        _failed(held),
        _behind(held, 9),
        _behind(held, 2),
        _detached(held),
        _behind(held, 0),
        _completed(held),
    ]
    assert triage.worst(reversed(wanted), 100) == wanted
    assert triage.worst(wanted, 3) == wanted[:3]


async def test_of_two_that_are_stalled_the_one_that_is_silent_for_longer_comes_first() -> None:
    held = Held()
    first = _stalled(held)
    held.now += 5
    second = _stalled(held)
    assert triage.worst([second, first], 2) == [first, second]


async def test_of_two_that_failed_the_later_one_comes_first() -> None:
    held = Held()
    first = _failed(held)
    held.now += 5
    second = _failed(held)
    assert triage.worst([first, second], 2) == [second, first]
