"""The lifecycle of one stream: its state, linger and retention."""

from sidecar.config.routes import RoutePolicy
from sidecar.streams import states
from sidecar.streams.states import Command, StreamInput, StreamState


class Lifecycle:
    """The state of a stream, by the table in ``states``.

    Times are in seconds of one clock. ``lingers``: the stream waits for a client that disconnected, as its
    route says.
    """

    __slots__ = ("_policy", "ended_at", "lingers", "state")

    def __init__(self, policy: RoutePolicy, now: float, *, lingers: bool) -> None:
        self._policy = policy
        self.state = StreamState.OPENING
        self.lingers = lingers
        self.ended_at = now

    def step(self, event: StreamInput) -> tuple[Command, ...] | None:
        """Take a step; return its commands, or None if nothing changes."""
        step = states.step(self.state, event)
        if step is None or (step.state is self.state and not step.commands):
            return None
        self.state = step.state
        return step.commands

    def linger_until(self, detached_at: float, *, resumable: bool, paused: bool) -> float | None:
        """Return when a stream without readers ends; None: with its upstream.

        ``paused``: the upstream waits for a reader, so it cannot end.
        """
        policy = self._policy
        if self.state is StreamState.ENDED:
            return max(detached_at, self.ended_at) + policy.linger_s
        if not resumable or not self.lingers or policy.on_disconnect == "cancel":
            return detached_at
        if policy.on_disconnect == "continue" and not paused:
            return None
        return detached_at + policy.linger_s

    def retained_until(self, lingers_until: float | None) -> float | None:
        """Return when the log of an ended stream expires.

        That is not before a linger ends. None: the stream has not ended.
        """
        if self.state is not StreamState.ENDED:
            return None
        retained_until = self.ended_at + self._policy.retain_s
        return retained_until if lingers_until is None else max(retained_until, lingers_until)
