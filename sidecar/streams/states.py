"""The states of a stream and of its audience, as tables.

A table names the commands; ``stream`` performs them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class StreamState(StrEnum):
    """Where the upstream side of a stream stands."""

    OPENING = "opening"
    STREAMING = "streaming"
    STALLED = "stalled"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    EXPIRED = "expired"


class StreamInput(StrEnum):
    """What can happen to the upstream side."""

    BYTES = "bytes"
    SILENCE = "silence"
    IDLE = "idle"
    LOST = "lost"
    LOST_RESUMABLE = "lost, may be asked again"
    END = "end"
    STOP = "stop"
    RETENTION_OVER = "retention over"


class Command(StrEnum):
    """What the shell does on the way from one state to the next."""

    DECLARE_STALL = "declare stall"
    STALL_FALSE_ALARM = "stall was a false alarm"
    STALL_RECOVERED = "stall recovered"
    STALL_FAILED = "stall failed"
    RECONNECT = "reconnect upstream"
    CLOSE_UPSTREAM = "close upstream"
    SEAL = "seal log"
    RETAIN = "start retention"
    RELEASE = "release log"


class Transition(NamedTuple):
    """The next state and the commands, in order, that lead there."""

    state: StreamState
    commands: tuple[Command, ...] = ()


_SEAL = (Command.CLOSE_UPSTREAM, Command.SEAL, Command.RETAIN)
_SEAL_STALLED = (Command.STALL_FAILED, *_SEAL)

STREAM: Mapping[tuple[StreamState, StreamInput], Transition] = {
    (StreamState.OPENING, StreamInput.BYTES): Transition(StreamState.STREAMING),
    (StreamState.OPENING, StreamInput.LOST): Transition(StreamState.ENDED, _SEAL),
    (StreamState.OPENING, StreamInput.IDLE): Transition(StreamState.ENDED, _SEAL),
    (StreamState.OPENING, StreamInput.END): Transition(StreamState.ENDED, _SEAL),
    (StreamState.OPENING, StreamInput.STOP): Transition(StreamState.ENDED, _SEAL),
    (StreamState.STREAMING, StreamInput.BYTES): Transition(StreamState.STREAMING),
    (StreamState.STREAMING, StreamInput.SILENCE): Transition(StreamState.STALLED, (Command.DECLARE_STALL,)),
    (StreamState.STREAMING, StreamInput.IDLE): Transition(StreamState.ENDED, _SEAL),
    (StreamState.STREAMING, StreamInput.LOST): Transition(StreamState.ENDED, _SEAL),
    (StreamState.STREAMING, StreamInput.LOST_RESUMABLE): Transition(
        StreamState.RECONNECTING, (Command.CLOSE_UPSTREAM, Command.RECONNECT)
    ),
    (StreamState.STREAMING, StreamInput.END): Transition(StreamState.ENDED, _SEAL),
    (StreamState.STREAMING, StreamInput.STOP): Transition(StreamState.ENDED, _SEAL),
    (StreamState.STALLED, StreamInput.BYTES): Transition(StreamState.STREAMING, (Command.STALL_FALSE_ALARM,)),
    (StreamState.STALLED, StreamInput.IDLE): Transition(StreamState.ENDED, _SEAL_STALLED),
    (StreamState.STALLED, StreamInput.LOST): Transition(StreamState.ENDED, _SEAL_STALLED),
    (StreamState.STALLED, StreamInput.LOST_RESUMABLE): Transition(
        StreamState.RECONNECTING, (Command.CLOSE_UPSTREAM, Command.RECONNECT)
    ),
    (StreamState.STALLED, StreamInput.END): Transition(StreamState.ENDED, _SEAL_STALLED),
    (StreamState.STALLED, StreamInput.STOP): Transition(StreamState.ENDED, _SEAL_STALLED),
    (StreamState.RECONNECTING, StreamInput.BYTES): Transition(
        StreamState.STREAMING, (Command.STALL_RECOVERED,)
    ),
    (StreamState.RECONNECTING, StreamInput.LOST): Transition(StreamState.ENDED, _SEAL_STALLED),
    (StreamState.RECONNECTING, StreamInput.LOST_RESUMABLE): Transition(
        StreamState.RECONNECTING, (Command.CLOSE_UPSTREAM, Command.RECONNECT)
    ),
    (StreamState.RECONNECTING, StreamInput.END): Transition(StreamState.ENDED, _SEAL_STALLED),
    (StreamState.RECONNECTING, StreamInput.STOP): Transition(StreamState.ENDED, _SEAL_STALLED),
    (StreamState.ENDED, StreamInput.STOP): Transition(StreamState.ENDED),
    (StreamState.ENDED, StreamInput.RETENTION_OVER): Transition(StreamState.EXPIRED, (Command.RELEASE,)),
    (StreamState.EXPIRED, StreamInput.STOP): Transition(StreamState.EXPIRED),
}


def step(state: StreamState, event: StreamInput) -> Transition | None:
    """Return the transition of an event, or None if it changes nothing."""
    return STREAM.get((state, event))


class Audience(StrEnum):
    """Whether a stream has a reader."""

    ATTACHED = "attached"
    DETACHED = "detached"
    GONE = "gone"


class AudienceEvent(StrEnum):
    """What can happen to the readers of a stream."""

    JOIN = "join"
    LAST_LEFT = "last one left"
    LINGER_OVER = "linger over"


class AudienceCommand(StrEnum):
    """What the shell does about it."""

    START_LINGER = "start linger"
    STOP_LINGER = "stop linger"
    GIVE_UP = "give up on the client"


class AudienceStep(NamedTuple):
    """The next state of the audience and what to do."""

    state: Audience
    commands: tuple[AudienceCommand, ...] = ()


AUDIENCE: Mapping[tuple[Audience, AudienceEvent], AudienceStep] = {
    (Audience.ATTACHED, AudienceEvent.JOIN): AudienceStep(Audience.ATTACHED),
    (Audience.ATTACHED, AudienceEvent.LAST_LEFT): AudienceStep(
        Audience.DETACHED, (AudienceCommand.START_LINGER,)
    ),
    (Audience.DETACHED, AudienceEvent.JOIN): AudienceStep(Audience.ATTACHED, (AudienceCommand.STOP_LINGER,)),
    (Audience.DETACHED, AudienceEvent.LINGER_OVER): AudienceStep(Audience.GONE, (AudienceCommand.GIVE_UP,)),
    (Audience.GONE, AudienceEvent.JOIN): AudienceStep(Audience.GONE),
    (Audience.GONE, AudienceEvent.LAST_LEFT): AudienceStep(Audience.GONE),
}


def diagrams() -> tuple[str, str]:
    """Return both tables as Mermaid diagrams, for ARCHITECTURE.md."""
    stream = _diagram(StreamState.OPENING, STREAM, StreamState.EXPIRED)
    return stream, _diagram(Audience.ATTACHED, AUDIENCE, Audience.GONE)


def _diagram(
    start: StrEnum,
    table: Mapping[tuple[StreamState, StreamInput], Transition]
    | Mapping[tuple[Audience, AudienceEvent], AudienceStep],
    end: StrEnum,
) -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {start}"]
    for (state, event), (target, commands) in table.items():
        label = f"{event} / {', '.join(commands)}" if commands else str(event)
        lines.append(f"    {state} --> {target}: {label}")
    lines.append(f"    {end} --> [*]")
    return "\n".join(lines)
