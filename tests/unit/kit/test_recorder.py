"""Promises of the recorder: what the fake upstream and the raw client saw becomes a checked history."""

import pytest

from sidecar.verify.history import Attached, Finished, HistoryEvent, Left, Opened, Received, Record, Sent
from tests.kit.client import SSEClient
from tests.kit.eventsource import DispatchedEvent
from tests.kit.fake_upstream import Ending, FakeUpstream, plain, sse
from tests.kit.recorder import Recorder, data_hash, is_terminal

TRUTH = sse(b"data: a\n\ndata: b\n\n")
ONE = b"data: a\nid: s.1\n\n"
TWO = b"data: b\nid: s.2\n\n"
GAP = b'event: sse-gap\ndata: {"missed_from": 1, "missed_through": 1, "reason": "trimmed"}\n\n'
TERMINAL = b'event: sse-error\ndata: {"error": {"code": "x"}}\nid: s.3\n\n'
A, B = data_hash(DispatchedEvent("message", "a")), data_hash(DispatchedEvent("message", "b"))


async def record(
    recorder: Recorder, *answers: bytes, then: Ending = "end", whole: bool = True
) -> list[Record]:
    """Let a backend send the truth, and one client read these answers, each as the resume of the one before.

    Returns the client's records.
    """
    async with FakeUpstream() as up:
        client = SSEClient(up.host, up.port)
        up.script(TRUTH)
        await client.fetch("GET", "/")
        recorder.upstream("s", up.requests[0], whole=whole)
        assert recorder.history == [Opened("s"), Sent("s", 1, A), Sent("s", 2, B), Finished("s", whole)]
        for answer in answers:
            up.script(sse(answer, then=then) if answer else plain(204))
            recorder.client("ann", "s", await client.fetch("GET", "/"))
    return recorder.history[4:]


async def test_a_sound_run_is_sound() -> None:
    recorder = Recorder()
    assert await record(recorder, ONE + TWO, b"") == [
        Attached("ann", "s", 0),
        Received("ann", "s", 1, A),
        Received("ann", "s", 2, B),
        HistoryEvent("ann", "s", "clean_end"),
        Attached("ann", "s", 2),
        HistoryEvent("ann", "s", "no_content"),
    ]
    recorder.assert_sound()


async def test_a_gap_a_terminal_and_an_abort_take_positions() -> None:
    recorder = Recorder()
    assert await record(recorder, GAP + TWO + TERMINAL, b"", then="fin", whole=False) == [
        Attached("ann", "s", 0),
        HistoryEvent("ann", "s", "gap", 1, 1),
        Received("ann", "s", 2, B),
        HistoryEvent("ann", "s", "terminal"),
        HistoryEvent("ann", "s", "abort"),
        Attached("ann", "s", 3),
        HistoryEvent("ann", "s", "no_content"),
    ]
    recorder.assert_sound()


@pytest.mark.parametrize(
    ("answer", "rule"),
    [(TWO, "missing"), (ONE + TWO.replace(b"data: b", b"data: B"), "bytes"), (ONE + ONE + TWO, "twice")],
)
async def test_a_fault_on_the_wire_is_found(answer: bytes, rule: str) -> None:
    recorder = Recorder()
    await record(recorder, answer)
    assert [violation.rule for violation in recorder.violations()] == [rule]
    with pytest.raises(AssertionError, match="ann on s"):
        recorder.assert_sound()


async def test_end_and_terminal_events_are_not_content() -> None:
    async with FakeUpstream(lambda _: sse(ONE + b"event: sse-end\ndata: {}\n\n", TERMINAL)) as up:
        response = await SSEClient(up.host, up.port).fetch("GET", "/")
        recorder = Recorder()
        recorder.upstream("s", up.requests[0], whole=None)
        recorder.client("ann", "s", response)
    assert Received("ann", "s", 1, A) in recorder.history
    assert [type(entry) for entry in recorder.history] == [
        Opened,
        Sent,
        Sent,
        Attached,
        Received,
        HistoryEvent,
        HistoryEvent,
    ]


async def test_a_client_that_cuts_has_left_and_resumes_where_it_was() -> None:
    recorder = Recorder()
    async with FakeUpstream() as up:
        client = SSEClient(up.host, up.port)
        up.script(sse(ONE + TWO), sse(TWO))
        async with client.open() as response:
            await response.cut_after(20)
            recorder.client("ann", "s", response)
        recorder.client("ann", "s", await client.fetch("GET", "/"))
    assert recorder.history == [
        Attached("ann", "s", 0),
        Received("ann", "s", 1, A),
        Left("ann", "s"),
        Attached("ann", "s", 1),
        Received("ann", "s", 2, B),
        HistoryEvent("ann", "s", "clean_end"),
    ]


async def test_unstamped_events_count_unless_among_stamped_ones() -> None:
    async with FakeUpstream(lambda _: sse(b"data: a\n\n")) as up:
        response = await SSEClient(up.host, up.port).fetch("GET", "/")
    recorder = Recorder()
    recorder.client("ann", "s", response, stamped=False, after=6)
    assert recorder.history[1] == Received("ann", "s", 7, A)
    with pytest.raises(ValueError, match="not stamped"):
        recorder.client("ann", "s", response)


async def test_an_error_is_no_stream() -> None:
    async with FakeUpstream(lambda _: plain(404)) as up:
        response = await SSEClient(up.host, up.port).fetch("GET", "/")
    with pytest.raises(ValueError, match="404 Not Found"):
        Recorder().client("ann", "s", response)


@pytest.mark.parametrize(
    ("event", "terminal"),
    [
        (DispatchedEvent("sse-error", ""), True),
        (DispatchedEvent("error", "{}"), True),
        (DispatchedEvent("message", '{"error": {"message": "x"}}'), True),
        (DispatchedEvent("message", '{"error": null, "id": 1}'), False),
        (DispatchedEvent("message", '["error"]'), False),
        (DispatchedEvent("message", "[DONE]"), False),
        (DispatchedEvent("message", "error"), False),
    ],
)
def test_terminals_of_every_family_are_known(event: DispatchedEvent, terminal: bool) -> None:
    assert is_terminal(event) is terminal
