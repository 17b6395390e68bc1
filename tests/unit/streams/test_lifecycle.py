"""The lifecycle as a function of time: states, linger and retention."""

from typing import Any

import pytest

from sidecar.config.routes import RoutePolicy
from sidecar.streams.lifecycle import Lifecycle
from sidecar.streams.states import Command, StreamInput, StreamState

LINGER_S, RETAIN_S = 60.0, 300.0


def lifecycle(*, lingers: bool = True, ended_at: float | None = None, **options: Any) -> Lifecycle:
    """Return the lifecycle of a stream that started at 0 s."""
    life = Lifecycle(RoutePolicy(linger_s=LINGER_S, retain_s=RETAIN_S, **options), 0.0, lingers=lingers)
    life.step(StreamInput.BYTES)
    if ended_at is not None:
        life.step(StreamInput.END)
        life.ended_at = ended_at
    return life


def test_a_step_returns_its_commands_in_order() -> None:
    life = lifecycle()
    assert life.step(StreamInput.END) == (Command.CLOSE_UPSTREAM, Command.SEAL, Command.RETAIN)
    assert life.state is StreamState.ENDED


@pytest.mark.parametrize("event", [StreamInput.BYTES, StreamInput.RETENTION_OVER])
def test_a_step_that_changes_nothing_is_none(event: StreamInput) -> None:
    life = lifecycle()
    assert life.step(event) is None
    assert life.state is StreamState.STREAMING


@pytest.mark.parametrize(
    ("options", "resumable", "paused", "until"),
    [
        ({}, True, False, 10 + LINGER_S),
        ({"on_disconnect": "cancel"}, True, False, 10.0),
        ({"lingers": False}, True, False, 10.0),
        ({}, False, False, 10.0),
        ({"on_disconnect": "continue"}, True, False, None),
        ({"on_disconnect": "continue"}, True, True, 10 + LINGER_S),
    ],
    ids=["linger", "cancel", "above a budget", "not resumable", "continue", "continue but paused"],
)
def test_a_stream_without_a_reader_lingers_as_its_route_says(
    options: dict[str, Any], resumable: bool, paused: bool, until: float | None
) -> None:
    assert lifecycle(**options).linger_until(10.0, resumable=resumable, paused=paused) == until


@pytest.mark.parametrize(("detached_at", "ended_at"), [(10.0, 20.0), (20.0, 10.0)])
def test_an_ended_stream_lingers_from_the_later_of_both(detached_at: float, ended_at: float) -> None:
    life = lifecycle(ended_at=ended_at, on_disconnect="cancel")
    assert life.linger_until(detached_at, resumable=True, paused=False) == 20 + LINGER_S


def test_retention_begins_with_the_end() -> None:
    assert lifecycle().retained_until(None) is None
    assert lifecycle(ended_at=20.0).retained_until(None) == 20 + RETAIN_S


def test_retention_does_not_end_before_the_linger() -> None:
    life = lifecycle(ended_at=20.0)
    assert life.retained_until(20 + RETAIN_S + 5) == 20 + RETAIN_S + 5
    assert life.retained_until(30.0) == 20 + RETAIN_S
