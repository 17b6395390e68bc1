"""One stream: its log, its readers and its end.

Every reader, first or resumed or late, is a cursor over the same log, so replay and live are one code path.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.config.routes import RoutePolicy
from sidecar.observability import errors
from sidecar.observability.labels import Outcome, ReconnectEnd, Side, SilentDisposition, UnprovenReason
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.sse import event_id
from sidecar.sse.verdict import Ending, StreamVerdict
from sidecar.streams import stall
from sidecar.streams.lifecycle import Lifecycle
from sidecar.streams.log_budget import LogBudget
from sidecar.streams.passthrough import Passthrough
from sidecar.streams.replay_log import LogGap
from sidecar.streams.resume_pace import ResumePace
from sidecar.streams.states import Audience, AudienceCommand, AudienceEvent, Command, StreamInput, StreamState
from sidecar.streams.storage import StreamStorage
from sidecar.streams.subscribers import Reader, Subscribers
from sidecar.streams.timer_wheel import TimerWheel

TIMELINE_MAX = 64
"""Lines of one stream's history; the oldest go first."""

OVERFLOWED = "an event above the size limit: passed through from here, not resumable"


@dataclass(frozen=True, slots=True)
class StreamHooks:
    """What a stream calls at its end, its outcome and its release."""

    on_ended: Callable[["Stream"], None]
    on_settled: Callable[["Stream", Outcome], None]
    on_released: Callable[["Stream"], None]


class Stream:
    """One stream; used from the event loop's thread only.

    The tables in ``states`` decide its transitions.
    """

    __slots__ = (
        "__weakref__",
        "_hooks",
        "_lifecycle",
        "_stall",
        "_storage",
        "_upstream",
        "clock",
        "ending",
        "fields",
        "handle",
        "id",
        "last_byte_at",
        "ledger",
        "log",
        "metrics",
        "outcome",
        "pace",
        "partial",
        "policy",
        "pressure",
        "principal",
        "started_at",
        "subscribers",
        "timeline",
        "trace",
        "verdict",
        "wheel",
        "wheel_slot",
    )

    def __init__(  # noqa: PLR0913 - what a stream is made of, each with a name
        self,
        stream_id: str,
        policy: RoutePolicy,
        principal: bytes,
        *,
        metrics: RouteMetrics,
        budget: LogBudget,
        hooks: StreamHooks,
        wheel: TimerWheel,
        clock: Callable[[], float],
        lingers: bool = True,
    ) -> None:
        """Start a stream; without ``lingers`` it ends with its last reader."""
        now = clock()
        self.id = stream_id
        self.handle = event_id.handle(stream_id)
        self.policy = policy
        self.principal = principal
        self.metrics = metrics
        self.wheel = wheel
        self.clock = clock
        self._hooks = hooks
        self._storage = StreamStorage(policy, metrics, budget)
        self.log = self._storage.log
        self.ledger = self._storage.ledger
        self.pressure = self._storage.pressure
        self.verdict = StreamVerdict(policy.complete_on, live=policy.kind == "live")
        self._lifecycle = Lifecycle(policy, now, lingers=lingers)
        self._upstream: Mapping[Command, Callable[[], None]] = {}
        self.fields: list[tuple[bytes, bytes]] = []
        self.partial = b""
        self.ending: Ending | None = None
        self.outcome: Outcome | None = None
        self.pace = ResumePace()
        self.trace = ""
        self.started_at = self.last_byte_at = now
        self.subscribers = Subscribers(now, endless=policy.kind == "live")
        self._stall = stall.Stall(metrics)
        self.timeline: deque[tuple[float, str]] = deque(maxlen=TIMELINE_MAX)
        self.wheel_slot: int | None = None
        metrics.streams_started += 1
        self.note("started")

    def note(self, what: str) -> None:
        """Add a line to the stream's timeline."""
        self.timeline.append((self.clock() - self.started_at, what))

    def describe(self, fields: list[tuple[bytes, bytes]], trace: str) -> None:
        """Keep the response's fields for a resume, and the request's trace."""
        self.fields, self.trace = fields, trace

    def feed_from(self, *, reopen: Callable[[], None], close: Callable[[], None]) -> None:
        """Keep how the lifecycle reopens and closes the upstream."""
        self._upstream = {Command.RECONNECT: reopen, Command.CLOSE_UPSTREAM: close}

    def heard(self, now: float) -> None:
        """Note that the upstream was heard at this moment."""
        self.last_byte_at = now

    def accept(self, events: list[bytes]) -> None:
        """Append events and wake the readers."""
        after = self.log.last_seq
        self._storage.append(events)
        for reader in self.subscribers.readers:
            reader.appended(events, after)

    def pass_through(self, chunk: bytes) -> None:
        """Send on bytes that are no longer framed."""
        if self.raw is None:
            self.metrics.continuity_unproven[UnprovenReason.OVERSIZE_EVENT].inc()
            self.note(OVERFLOWED)
        self._storage.append_raw(chunk)
        self._wake()

    def trim(self, events_max: int, bytes_max: int, through: int | None) -> None:
        """Drop the oldest events, none above ``through``."""
        self._storage.trim(events_max, bytes_max, through)

    def make_room(self) -> bool:
        """Drop what all readers have; return whether the upstream may continue."""
        return self._storage.make_room(self._proven_seq)

    def _proven_seq(self) -> int | None:
        """Return the last seq that every client has, or None without one."""
        return min((reader.proven for reader in self.readers), default=None)

    def pause(self, on_drained: Callable[[], None]) -> None:
        """Pause the upstream; call ``on_drained`` when there may be room."""
        self.pressure.pause(on_drained)
        if not self.readers:
            self._plan()

    def resume(self) -> None:
        """Let the upstream continue; silence during the pause does not count."""
        self.pressure.resume()
        self.heard(self.clock())
        if not self.readers:
            self._plan()

    def finish(self, ending: Ending, partial: bytes) -> None:
        """End with the response; ``partial`` is its incomplete last block."""
        self.partial = partial
        self.advance(StreamInput.END, ending)

    def advance(self, event: StreamInput, ending: Ending | None = None) -> None:
        """Take a step of the lifecycle.

        ``ending`` is the end of the stream, for steps that end it.
        """
        commands = self._lifecycle.step(event)
        if commands is None:
            return
        self.note(str(event) if ending is None or ending.error is None else f"{event}: {ending.error.code}")
        for command in commands:
            self._perform(command, ending)

    def _perform(self, command: Command, ending: Ending | None) -> None:
        if command is Command.SEAL:
            self._seal(ending or self.verdict.broken(errors.InternalError))
        elif command is Command.DECLARE_STALL:
            self._stall.declare(self.clock(), self.last_byte_at, self.exemplar)
        elif command in stall.ENDS:
            self._stall.over(stall.ENDS[command], self.clock(), self.exemplar)
        elif command in self._upstream:
            self._upstream[command]()
        elif command is Command.RETAIN:
            self._retain()
        elif command is Command.RELEASE:
            self._release()

    def _retain(self) -> None:
        self._lifecycle.ended_at = self.clock()
        self._hooks.on_ended(self)
        self._plan()

    def _seal(self, ending: Ending) -> None:
        """Close the log; append the terminal event of a failure.

        A client that resumes later receives it too.
        """
        self.ending = ending
        if ending.error is not None and not ending.told and self.raw is None:
            self._storage.append_failure(self.verdict.provider.failure_event(ending.error, self.id))
        self.log.closed = True
        if ending.silent is not None:
            self.metrics.silent_failures[ending.silent, SilentDisposition.SURFACED].inc()
        if ending.outcome is not Outcome.COMPLETED or self._all_written():
            self.settle(ending.outcome)
        self._wake()

    def _all_written(self) -> bool:
        """Return whether the last reader left with every message.

        Many clients close at the protocol's terminal event.
        """
        return (
            not self.readers
            and self.subscribers.left_cleanly
            and not self.ledger.undelivered
            and self.ledger.received > 0
        )

    def settle(self, outcome: Outcome) -> None:
        """Count the outcome of the stream, once."""
        if self.outcome is None:
            self.outcome = outcome
            self.metrics.streams_finished[outcome].inc(1, self.exemplar)
            self.note(f"outcome: {outcome}")
            self._hooks.on_settled(self, outcome)

    def stop(self, outcome: Outcome, error: type[errors.SidecarError]) -> None:
        """End the stream from this side, or settle its outcome if it ended.

        An answer that has shown its terminal, or its error, ends as that: all it lacks is its body's end.
        """
        shown = self.verdict.complete or self.verdict.error_seen
        self.advance(StreamInput.STOP, self.verdict.broken(error) if shown else Ending(outcome, error))
        self.settle(outcome)

    @property
    def state(self) -> StreamState:
        """The state of the upstream side."""
        return self._lifecycle.state

    @property
    def lingers(self) -> bool:
        """Whether the stream waits for a client that disconnected."""
        return self._lifecycle.lingers

    @property
    def raw(self) -> Passthrough | None:
        """The bytes that are not framed; None while the stream is framed."""
        return self._storage.raw

    @property
    def exemplar(self) -> dict[str, str]:
        """Return the labels of a metric's exemplar."""
        return {"stream_id": self.handle}

    @property
    def readers(self) -> dict[Reader, None]:
        """Return the connections that read now."""
        return self.subscribers.readers

    @property
    def audience(self) -> Audience:
        """Return whether the stream has a reader, or expects one."""
        return self.subscribers.state

    def join(self, reader: Reader) -> None:
        """Add a reader."""
        self._audience(self.subscribers.join(reader))
        self.note(f"reader joined after seq {reader.position}")

    def leave(self, reader: Reader, *, cleanly: bool, done: bool) -> None:
        """Remove a reader; ``done``: it has received everything."""
        self.note(f"reader {'done' if done else 'left' if cleanly else 'lost'} at seq {reader.position}")
        commands = self.subscribers.leave(reader, self.clock(), cleanly=cleanly, done=done)
        self.pressure.drained()
        if self.ending is not None and self._all_written():
            self.settle(self.ending.outcome)
        self._audience(commands)
        if not self.readers:
            self._plan()

    def resumed(self, reader: Reader) -> None:
        """Count a reconnect: the first bytes after it were written."""
        took = self.subscribers.returned(self.clock())
        if took is not None:
            self.metrics.reconnect_duration_seconds[Side.CLIENT, ReconnectEnd.RESUMED].observe(
                took, self.exemplar
            )
            self.note(f"reader back after {took:.1f} s, at seq {reader.position}")

    def read_to_end(self) -> None:
        """Settle the outcome: a reader was sent everything."""
        if self.ending is not None:
            self.settle(self.ending.outcome)

    def missed(self, gap: LogGap) -> None:
        """Count a gap that a reader received."""
        self.ledger.missed(gap)
        self.note(f"gap told: {gap.missed_from} to {gap.missed_through}, {gap.reason}")

    def trim_raw(self) -> None:
        """Drop the unframed bytes that every reader has."""
        if self.raw is not None and self.readers:
            self.raw.trim(min(reader.raw_offset for reader in self.readers))
        self.pressure.drained()

    def _wake(self) -> None:
        for reader in self.subscribers.readers:
            reader.wake()

    def _audience(self, commands: tuple[AudienceCommand, ...]) -> None:
        for command in commands:
            if command is AudienceCommand.GIVE_UP:
                self._give_up()
            elif command is AudienceCommand.START_LINGER:
                self._plan()
            else:
                self.wheel.discard(self)

    def _give_up(self) -> None:
        outcome = self.subscribers.outcome
        waited = self.subscribers.give_up(self.clock())
        if self.outcome is None and not self.subscribers.left_cleanly:
            self.metrics.continuity_unproven[UnprovenReason.CLIENT_NEVER_RETURNED].inc()
            for seconds in waited:
                gave_up = self.metrics.reconnect_duration_seconds[Side.CLIENT, ReconnectEnd.GAVE_UP]
                gave_up.observe(seconds, self.exemplar)
        self.stop(outcome, errors.LingerOver)

    def _plan(self) -> None:
        """Plan the visit at the end of linger or retention."""
        due = self.visit(self.clock())
        if due is None:
            self.wheel.discard(self)
        else:
            self.wheel.add(self, due)

    def visit(self, now: float) -> float | None:
        """Implements Visited: end linger and retention."""
        if self.readers or self.audience is Audience.ATTACHED or self.state is StreamState.EXPIRED:
            return None  # attached without a reader: the first one is about to join
        due = None
        if self.audience is Audience.DETACHED:
            due = self._lifecycle.linger_until(
                self.subscribers.detached_at, resumable=self.raw is None, paused=self.pressure.paused
            )
            if due is not None and now >= due:
                self._audience(self.subscribers.step(AudienceEvent.LINGER_OVER))
                due = None
        # The log of a stream without an outcome stays while its client may still resume.
        retained_until = self._lifecycle.retained_until(due if self.outcome is None else None)
        if retained_until is None:
            return due
        if now >= retained_until:
            self.advance(StreamInput.RETENTION_OVER)
            return None
        return retained_until if due is None else min(due, retained_until)

    def expire(self) -> None:
        """Release the log of an ended stream early."""
        self.advance(StreamInput.RETENTION_OVER)

    def _release(self) -> None:
        self._audience(self.subscribers.step(AudienceEvent.LINGER_OVER))
        self.settle(self.subscribers.outcome)
        self._storage.release()
        self.wheel.discard(self)
        self._upstream = {}
        self._hooks.on_released(self)
