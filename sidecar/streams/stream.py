"""One logical stream: an append-only log, the readers at their positions in it, and how it ends.

Every reader, first or resumed or late, is a cursor over the same log, so replay and live are one code path.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from sidecar.config.routes import RoutePolicy
from sidecar.observability import errors
from sidecar.observability.labels import Outcome, ReconnectEnd, Side, SilentDisposition, UnprovenReason
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.sse import event_id
from sidecar.sse.verdict import Ending, StreamVerdict
from sidecar.streams import stall, states
from sidecar.streams.ledger import DeliveryLedger
from sidecar.streams.passthrough import Passthrough
from sidecar.streams.replay_log import LogGap, ReplayLog
from sidecar.streams.source import Source
from sidecar.streams.states import Audience, AudienceCommand, AudienceEvent, Command, StreamInput, StreamState
from sidecar.streams.subscribers import Reader, Subscribers
from sidecar.streams.timer_wheel import TimerWheel

TIMELINE_MAX = 64
"""Lines of one stream's history; the oldest go first."""

PRESSED_BYTES_MAX = 64 * 1024
"""What one log may keep while all of them together are above their budget."""

OVERFLOWED = "an event above the size limit: passed through from here, not resumable"


class Owner(Protocol):
    """Who holds the streams and their budgets."""

    def grew(self, stream: "Stream", size: int) -> bool:
        """The log of ``stream`` grew by ``size`` bytes, or shrank; tells whether all logs are pressed."""
        ...

    def ended(self, stream: "Stream") -> None:
        """No more will be appended to ``stream``."""
        ...

    def settled(self, stream: "Stream", outcome: Outcome) -> None:
        """The outcome of ``stream`` is known and counted."""
        ...

    def released(self, stream: "Stream") -> None:
        """The log of ``stream`` is no longer needed."""
        ...

    def pressed(self) -> bool:
        """Whether the logs of all streams together are above their budget."""
        ...


class Stream:
    """A stream's state; the lifecycle tables decide. Used from the event loop's thread only."""

    __slots__ = (
        "__weakref__",
        "_ended_at",
        "_owner",
        "_stall",
        "clock",
        "crowded",
        "ending",
        "fields",
        "handle",
        "id",
        "last_byte_at",
        "ledger",
        "linger_refused",
        "log",
        "metrics",
        "outcome",
        "partial",
        "policy",
        "principal",
        "quick_resumes",
        "raw",
        "resumed_at",
        "retry_said",
        "room",
        "source",
        "started_at",
        "state",
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
        owner: Owner,
        wheel: TimerWheel,
        clock: Callable[[], float],
    ) -> None:
        self.id = stream_id
        self.handle = event_id.handle(stream_id)
        self.policy = policy
        self.principal = principal
        self.metrics = metrics
        self.wheel = wheel
        self.clock = clock
        self._owner = owner
        self.log = ReplayLog()
        self.ledger = DeliveryLedger(self.log, metrics)
        self.raw: Passthrough | None = None
        self.verdict = StreamVerdict(policy.complete_on, live=policy.kind == "live")
        self.state = StreamState.OPENING
        self.fields: list[tuple[bytes, bytes]] = []
        self.partial = b""
        self.ending: Ending | None = None
        self.outcome: Outcome | None = None
        self.source: Source | None = None
        self.room: Callable[[], None] | None = None
        self.linger_refused = False
        self.crowded = False
        """Some bound is reached: ask ``full`` before more is read."""
        self.quick_resumes = 0
        self.retry_said = False
        self.resumed_at = float("-inf")
        self.trace = ""
        self.started_at = self.last_byte_at = self._ended_at = clock()
        self.subscribers = Subscribers(self.started_at, endless=policy.kind == "live")
        self._stall = stall.Stall(metrics)
        self.timeline: deque[tuple[float, str]] = deque(maxlen=TIMELINE_MAX)
        self.wheel_slot: int | None = None
        metrics.streams_started += 1
        self.note("started")

    def note(self, what: str) -> None:
        """Write a line of the stream's history."""
        self.timeline.append((self.clock() - self.started_at, what))

    def accept(self, events: list[bytes]) -> None:
        """Append events: the one way into the log; readers are woken after."""
        log, policy = self.log, self.policy
        after = log.last_seq
        pressed = self._owner.grew(self, log.append_all(events))
        self.ledger.take(len(events))
        self.crowded = (
            pressed
            or log.bytes_held > policy.log_bytes_max
            or log.last_seq - log.first_seq >= policy.log_events_max
        )
        for reader in self.subscribers.readers:
            reader.appended(events, after)

    def pass_through(self, chunk: bytes) -> None:
        """Hand on bytes that are no longer framed."""
        if self.raw is None:
            self.raw = Passthrough()
            self.metrics.continuity_unproven[UnprovenReason.OVERSIZE_EVENT].inc()
            self.note(OVERFLOWED)
            self.crowded = True
        self.raw.append(chunk)
        self._wake()

    def trim(self, events_max: int, bytes_max: int, through: int | None) -> None:
        """Drop the oldest events, none above ``through``."""
        first = self.log.first_seq
        size = self.log.trim(events_max, bytes_max, through)
        if size:
            self.ledger.trimmed(first)
            self._owner.grew(self, -size)

    @property
    def full(self) -> bool:
        """Whether the upstream has to wait; what all readers have is trimmed first."""
        if self.raw is not None:
            return self.raw.full
        events_max, bytes_max = self.policy.log_events_max, self.policy.log_bytes_max
        if self._owner.pressed():
            bytes_max = min(bytes_max, PRESSED_BYTES_MAX)
        if len(self.log) <= events_max and self.log.bytes_held <= bytes_max:
            return False
        if self.policy.kind == "live":
            self.trim(events_max, bytes_max, None)
            return False
        if self.readers:
            self.trim(events_max, bytes_max, min(reader.proven for reader in self.readers))
        return len(self.log) > events_max or self.log.bytes_held > bytes_max

    def wait_for_room(self, resume: Callable[[], None] | None) -> None:
        """Have ``resume`` called whenever there may be room again; None: no longer."""
        self.room = resume
        if not self.readers:
            self._plan()

    def advance(self, event: StreamInput, ending: Ending | None = None) -> None:
        """Take a step of the lifecycle; ``ending`` says how, for the steps that end the stream."""
        step = states.step(self.state, event)
        if step is None or (step.state is self.state and not step.commands):
            return
        self.state = step.state
        self.note(str(event) if ending is None or ending.error is None else f"{event}: {ending.error.code}")
        for command in step.commands:
            self._perform(command, ending)

    def _perform(self, command: Command, ending: Ending | None) -> None:
        source = self.source
        if command is Command.SEAL:
            self._seal(ending or self.verdict.broken(errors.InternalError))
        elif command is Command.DECLARE_STALL:
            self._stall.declare(self.clock(), self.last_byte_at, self.exemplar)
        elif command in stall.ENDS:
            self._stall.over(stall.ENDS[command], self.clock(), self.exemplar)
        elif command is Command.RECONNECT and source is not None:
            source.reopen()
        elif command is Command.CLOSE_UPSTREAM and source is not None:
            source.close()
        elif command is Command.RETAIN:
            self._retain()
        elif command is Command.RELEASE:
            self._release()

    def _retain(self) -> None:
        self._ended_at = self.clock()
        self._owner.ended(self)
        self._plan()

    def _seal(self, ending: Ending) -> None:
        """Close the log; a failure leaves its terminal in it, so that whoever comes back is told too."""
        self.ending = ending
        if ending.error is not None and not ending.told and self.raw is None:
            told = self.verdict.provider.failure_event(ending.error, self.id)
            self.ledger.sealed_seq = self.log.last_seq + 1
            self.log.append(told)
            self._owner.grew(self, len(told))
        self.log.closed = True
        if ending.silent is not None:
            self.metrics.silent_failures[ending.silent, SilentDisposition.SURFACED].inc()
        if ending.outcome is not Outcome.COMPLETED or self._all_written():
            self.settle(ending.outcome)
        self._wake()

    def _all_written(self) -> bool:
        """Whether a reader that said goodbye had everything: many leave right at the protocol's terminal."""
        return (
            not self.readers
            and self.subscribers.left_cleanly
            and not self.ledger.undelivered
            and self.ledger.received > 0
        )

    def settle(self, outcome: Outcome) -> None:
        """Count how the logical stream ended: once, whatever comes later."""
        if self.outcome is None:
            self.outcome = outcome
            self.metrics.streams_finished[outcome].inc(1, self.exemplar)
            self.note(f"outcome: {outcome}")
            self._owner.settled(self, outcome)

    def stop(self, outcome: Outcome, error: type[errors.SidecarError]) -> None:
        """End the stream from this side, now; after its end this only settles what was still open.

        An answer that has shown its terminal, or its error, ends as that: all it lacks is its body's end.
        """
        shown = self.verdict.complete or self.verdict.error_seen
        self.advance(StreamInput.STOP, self.verdict.broken(error) if shown else Ending(outcome, error))
        self.settle(outcome)

    @property
    def exemplar(self) -> dict[str, str]:
        """What a metric's exemplar says of this stream."""
        return {"stream_id": self.handle}

    @property
    def readers(self) -> dict[Reader, None]:
        """The connections that read now."""
        return self.subscribers.readers

    @property
    def audience(self) -> Audience:
        """Whether anybody reads, or is expected back."""
        return self.subscribers.state

    def join(self, reader: Reader) -> None:
        """A connection begins to read."""
        self._audience(self.subscribers.join(reader))
        self.note(f"reader joined after seq {reader.position}")

    def leave(self, reader: Reader, *, cleanly: bool, done: bool) -> None:
        """A connection reads no more; ``done``: it had everything, there is nothing to come back for."""
        self.note(f"reader {'done' if done else 'left' if cleanly else 'lost'} at seq {reader.position}")
        commands = self.subscribers.leave(reader, self.clock(), cleanly=cleanly, done=done)
        if self.room is not None:
            self.room()
        if self.ending is not None and self._all_written():
            self.settle(self.ending.outcome)
        self._audience(commands)
        if not self.readers:
            self._plan()

    def resumed(self, reader: Reader) -> None:
        """The first bytes after a return were written."""
        took = self.subscribers.returned(self.clock())
        if took is not None:
            self.metrics.reconnect_duration_seconds[Side.CLIENT, ReconnectEnd.RESUMED].observe(
                took, self.exemplar
            )
            self.note(f"reader back after {took:.1f} s, at seq {reader.position}")

    def read_to_end(self) -> None:
        """A reader was written everything there will ever be."""
        if self.ending is not None:
            self.settle(self.ending.outcome)

    def missed(self, gap: LogGap) -> None:
        """A reader was told a gap."""
        self.ledger.missed(gap)
        self.note(f"gap told: {gap.missed_from} to {gap.missed_through}, {gap.reason}")

    def trim_raw(self) -> None:
        """Give back the unframed bytes that every reader has."""
        if self.raw is not None and self.readers:
            self.raw.trim(min(reader.raw_offset for reader in self.readers))
        if self.room is not None:
            self.room()

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

    def _linger_until(self) -> float | None:
        """Until when a stream without readers goes on, in loop time; None: to its end, whenever that is."""
        if self.state is StreamState.ENDED:
            return max(self.subscribers.detached_at, self._ended_at) + self.policy.linger_s
        if self.raw is not None or self.linger_refused or self.policy.on_disconnect == "cancel":
            return self.subscribers.detached_at
        if self.policy.on_disconnect == "continue" and self.room is None:
            return None
        return self.subscribers.detached_at + self.policy.linger_s

    def _plan(self) -> None:
        """Be visited when the next of linger and retention is over."""
        due = self.visit(self.clock())
        if due is None:
            self.wheel.discard(self)
        else:
            self.wheel.add(self, due)

    def visit(self, now: float) -> float | None:
        """See Visited: end linger and retention."""
        if self.readers or self.audience is Audience.ATTACHED or self.state is StreamState.EXPIRED:
            return None  # attached without a reader: the first one is about to join
        due = None
        if self.audience is Audience.DETACHED:
            due = self._linger_until()
            if due is not None and now >= due:
                self._audience(self.subscribers.step(AudienceEvent.LINGER_OVER))
                due = None
        if self.state is not StreamState.ENDED:
            return due
        retained_until = self._ended_at + self.policy.retain_s
        if due is not None and self.outcome is None:
            retained_until = max(retained_until, due)  # somebody may be back for the rest until then
        if now >= retained_until:
            self.advance(StreamInput.RETENTION_OVER)
            return None
        return retained_until if due is None else min(due, retained_until)

    def expire(self) -> None:
        """Let go of the log of an ended stream before its time."""
        self.advance(StreamInput.RETENTION_OVER)

    def _release(self) -> None:
        self._audience(self.subscribers.step(AudienceEvent.LINGER_OVER))
        self.settle(self.subscribers.outcome)
        self.ledger.close()
        self.wheel.discard(self)
        self.source = None
        self._owner.grew(self, -self.log.bytes_held)
        self._owner.released(self)
