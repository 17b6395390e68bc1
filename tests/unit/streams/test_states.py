"""The lifecycle tables: nothing that happens late or twice does harm, and every way leads to the end."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.streams.states import (
    AUDIENCE,
    STREAM,
    Audience,
    AudienceCommand,
    AudienceEvent,
    Command,
    StreamInput,
    StreamState,
    diagrams,
    step,
)

ARCHITECTURE = Path(__file__).parents[3] / "ARCHITECTURE.md"

ENDINGS = {StreamInput.LOST, StreamInput.IDLE, StreamInput.END, StreamInput.STOP}
STALL_ENDS = {Command.STALL_FALSE_ALARM, Command.STALL_RECOVERED, Command.STALL_FAILED}


def run(
    events: list[StreamInput], state: StreamState = StreamState.OPENING
) -> tuple[StreamState, list[Command]]:
    """Take steps as the shell does: an event that is not in the table changes nothing."""
    commands: list[Command] = []
    for event in events:
        found = step(state, event)
        if found is not None:
            state = found.state
            commands += found.commands
    return state, commands


@pytest.mark.parametrize(("state", "event"), sorted(set(product(StreamState, StreamInput)) - set(STREAM)))
def test_an_event_that_comes_too_late_or_too_early_is_harmless(
    state: StreamState, event: StreamInput
) -> None:
    assert step(state, event) is None
    assert run([event], state) == (state, [])


def test_an_answer_that_goes_well() -> None:
    state, commands = run([StreamInput.BYTES, StreamInput.BYTES, StreamInput.END, StreamInput.RETENTION_OVER])
    assert state is StreamState.EXPIRED
    assert commands == [Command.CLOSE_UPSTREAM, Command.SEAL, Command.RETAIN, Command.RELEASE]


def test_a_stall_that_was_a_false_alarm() -> None:
    state, commands = run([StreamInput.BYTES, StreamInput.SILENCE, StreamInput.BYTES])
    assert (state, commands) == (StreamState.STREAMING, [Command.DECLARE_STALL, Command.STALL_FALSE_ALARM])


def test_a_stall_that_nothing_ends_fails_the_stream() -> None:
    state, commands = run([StreamInput.BYTES, StreamInput.SILENCE, StreamInput.IDLE])
    assert state is StreamState.ENDED
    assert commands == [
        Command.DECLARE_STALL,
        Command.STALL_FAILED,
        Command.CLOSE_UPSTREAM,
        Command.SEAL,
        Command.RETAIN,
    ]


def test_an_upstream_that_is_lost_and_comes_back() -> None:
    state, commands = run(
        [StreamInput.BYTES, StreamInput.SILENCE, StreamInput.LOST_RESUMABLE, StreamInput.BYTES]
    )
    assert state is StreamState.STREAMING
    assert commands == [
        Command.DECLARE_STALL,
        Command.CLOSE_UPSTREAM,
        Command.RECONNECT,
        Command.STALL_RECOVERED,
    ]


def test_an_upstream_that_does_not_come_back_fails_the_stream() -> None:
    state, commands = run([StreamInput.BYTES, StreamInput.LOST_RESUMABLE, StreamInput.LOST])
    assert state is StreamState.ENDED
    assert commands[-3:] == [Command.CLOSE_UPSTREAM, Command.SEAL, Command.RETAIN]


@pytest.mark.parametrize(
    "state", [s for s in StreamState if s not in {StreamState.ENDED, StreamState.EXPIRED}]
)
def test_a_stop_ends_a_stream_whatever_it_is_doing(state: StreamState) -> None:
    found, commands = run([StreamInput.STOP, StreamInput.STOP], state)
    assert found is StreamState.ENDED
    assert commands.count(Command.CLOSE_UPSTREAM) == 1
    assert commands.index(Command.CLOSE_UPSTREAM) < commands.index(Command.SEAL)


@settings(max_examples=500)
@given(st.lists(st.sampled_from(StreamInput), max_size=40))
def test_in_any_schedule_the_log_is_sealed_and_released_at_most_once_and_in_that_order(
    events: list[StreamInput],
) -> None:
    state, commands = run(events)
    marks = [c for c in commands if c in {Command.SEAL, Command.RETAIN, Command.RELEASE}]
    assert marks == [Command.SEAL, Command.RETAIN, Command.RELEASE][: len(marks)]
    assert (Command.SEAL in commands) == (state in {StreamState.ENDED, StreamState.EXPIRED})
    assert (Command.RELEASE in commands) == (state is StreamState.EXPIRED)


@settings(max_examples=500)
@given(st.lists(st.sampled_from(StreamInput), max_size=40))
def test_in_any_schedule_every_stall_that_is_declared_ends_once(events: list[StreamInput]) -> None:
    state, commands = run(events)
    open_stalls = 0
    for command in commands:
        open_stalls += command is Command.DECLARE_STALL
        if command in STALL_ENDS:
            open_stalls = 0
        assert open_stalls <= 1
    assert not open_stalls or state in {StreamState.STALLED, StreamState.RECONNECTING}


@settings(max_examples=500)
@given(st.lists(st.sampled_from(StreamInput), max_size=40))
def test_in_any_schedule_nothing_is_asked_of_an_upstream_after_the_end(events: list[StreamInput]) -> None:
    _, commands = run(events)
    if Command.SEAL in commands:
        after = commands[commands.index(Command.SEAL) :]
        assert not {Command.RECONNECT, Command.CLOSE_UPSTREAM, Command.DECLARE_STALL} & set(after)


def test_no_state_but_the_last_is_a_dead_end() -> None:
    for state in set(StreamState) - {StreamState.EXPIRED}:
        assert StreamState.EXPIRED in _reachable(state)
    assert _reachable(StreamState.EXPIRED) == {StreamState.EXPIRED}


def test_every_state_can_be_reached_and_every_event_and_command_is_used() -> None:
    assert _reachable(StreamState.OPENING) == set(StreamState)
    assert {event for _, event in STREAM} == set(StreamInput)
    assert {command for found in STREAM.values() for command in found.commands} == set(Command)


def _reachable(start: StreamState) -> set[StreamState]:
    seen = {start}
    while more := {found.state for (state, _), found in STREAM.items() if state in seen} - seen:
        seen |= more
    return seen


# -- the audience --------------------------------------------------------------------------------------------


def audience(events: list[AudienceEvent]) -> tuple[Audience, list[AudienceCommand]]:
    state, commands = Audience.ATTACHED, list[AudienceCommand]()
    for event in events:
        found = AUDIENCE.get((state, event))
        if found is not None:
            state = found.state
            commands += found.commands
    return state, commands


def test_a_client_that_comes_back_in_time_stops_the_clock() -> None:
    state, commands = audience([AudienceEvent.JOIN, AudienceEvent.LAST_LEFT, AudienceEvent.JOIN])
    assert state is Audience.ATTACHED
    assert commands == [AudienceCommand.START_LINGER, AudienceCommand.STOP_LINGER]


def test_nobody_is_given_up_on_twice_and_who_reads_later_changes_nothing() -> None:
    gone = [AudienceEvent.LAST_LEFT, AudienceEvent.LINGER_OVER]
    state, commands = audience([*gone, AudienceEvent.JOIN, *gone])
    assert state is Audience.GONE
    assert commands == [AudienceCommand.START_LINGER, AudienceCommand.GIVE_UP]


@given(st.lists(st.sampled_from(AudienceEvent), max_size=30))
def test_in_any_schedule_linger_starts_and_stops_in_turn_and_the_client_is_given_up_on_at_most_once(
    events: list[AudienceEvent],
) -> None:
    _, commands = audience(events)
    assert commands.count(AudienceCommand.GIVE_UP) <= 1
    for number, command in enumerate(commands):
        assert (command is AudienceCommand.START_LINGER) == (number % 2 == 0)


def test_every_state_event_and_command_of_the_audience_is_used() -> None:
    assert {state for state, _ in AUDIENCE} == set(Audience)
    assert {event for _, event in AUDIENCE} == set(AudienceEvent)
    assert {command for found in AUDIENCE.values() for command in found.commands} == set(AudienceCommand)


# -- the diagrams --------------------------------------------------------------------------------------------


def test_the_diagrams_show_every_row_of_the_tables() -> None:
    stream, readers = diagrams()
    assert stream.startswith("stateDiagram-v2\n    [*] --> opening\n")
    assert "    streaming --> stalled: silence / declare stall\n" in stream
    assert "    streaming --> streaming: bytes\n" in stream
    assert stream.endswith("\n    expired --> [*]")
    assert stream.count(" --> ") == len(STREAM) + 2
    assert readers.startswith("stateDiagram-v2\n    [*] --> attached\n")
    assert readers.count(" --> ") == len(AUDIENCE) + 2


@pytest.mark.parametrize("number", [0, 1])
def test_the_architecture_page_shows_the_diagrams_as_the_program_draws_them(number: int) -> None:
    assert f"```mermaid\n{diagrams()[number]}\n```" in ARCHITECTURE.read_text()
