"""Holds the streams: finds them by id and principal, keeps their budgets, lets them expire, drains them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.config.routes import CANARY_ROUTE, RoutePolicy
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.observability.metrics import Census, Metrics
from sidecar.sse.event_id import RANDOM_BYTES, Signer, handle
from sidecar.streams.idempotency import IdempotencyStore
from sidecar.streams.states import Audience, StreamState
from sidecar.streams.stream import Stream
from sidecar.streams.timer_wheel import TimerWheel

PRESSURE_OVER_RATIO = 0.9
"""Streams that wait for room look again once the logs are down to this part of their budget."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """Bounds over all streams."""

    streams_max: int = 10_000
    streams_per_principal_max: int = 1_000
    log_bytes_total_max: int = 256 * 1024 * 1024


class Hub:
    """All streams of one process. ``entropy`` returns random bytes, ``on_settled`` is told each outcome."""

    def __init__(  # noqa: PLR0913, PLR0917 - what streams are made with, each with a name
        self,
        signer: Signer,
        metrics: Metrics,
        wheel: TimerWheel,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes],
        budgets: Budgets | None = None,
        on_settled: Callable[[Stream, Outcome], None] = lambda _stream, _outcome: None,
    ) -> None:
        self._signer = signer
        self._metrics = metrics
        self.wheel = wheel
        self._clock = clock
        self._entropy = entropy
        self._budgets = budgets or Budgets()
        self._on_settled = on_settled
        self._finished: dict[str, Stream] = {}
        self._per_principal: Counter[bytes] = Counter()
        self._under_pressure = False
        self.idempotency = IdempotencyStore(self._budgets.streams_max)
        self.streams: dict[str, Stream] = {}
        self.canaries: dict[str, Stream] = {}
        """Those of ``streams`` that no user started, the oldest first; they take no stream from users."""
        self.log_bytes = 0
        metrics.observe_hub(self.census)

    def create(self, policy: RoutePolicy, principal: bytes) -> Stream:
        """Start a logical stream; above a budget it is served too, but does not outlive its reader."""
        stream = Stream(
            self._signer.token(self._entropy(RANDOM_BYTES), principal),
            policy,
            principal,
            metrics=self._metrics.route(policy.name),
            owner=self,
            wheel=self.wheel,
            clock=self._clock,
        )
        if policy.name == CANARY_ROUTE:  # a witness must see its stream through when users are refused
            self.canaries[stream.handle] = stream
        else:
            stream.linger_refused = self._over_budget(principal)
        self._per_principal[principal] += 1
        self.streams[stream.handle] = stream
        return stream

    def _over_budget(self, principal: bytes) -> bool:
        budgets = self._budgets
        room = budgets.streams_max + len(self.canaries)
        while len(self.streams) >= room and self._evict():
            pass
        over_all = len(self.streams) >= room
        return over_all or self._per_principal[principal] >= budgets.streams_per_principal_max

    def verify(self, stream_id: str, principal: bytes) -> None:
        """Raise StreamNotFound unless the token is ours and this principal's."""
        if not self._signer.verify(stream_id, principal):
            raise errors.StreamNotFound

    def find(self, stream_id: str) -> Stream | None:
        """Return a stream by its handle, or by a token that was verified before; None: it is gone."""
        return self.streams.get(handle(stream_id))

    def grew(self, stream: Stream, size: int) -> bool:
        """See Owner: finished streams go first when the logs are above their budget."""
        self.log_bytes += size
        if self.log_bytes > self._budgets.log_bytes_total_max:
            while size > 0 and self.pressed() and self._evict(spare=stream):
                pass
            self._under_pressure = self.pressed()
            return self._under_pressure
        if self._under_pressure and self.log_bytes < self._budgets.log_bytes_total_max * PRESSURE_OVER_RATIO:
            self._under_pressure = False
            for waiting in list(self.streams.values()):
                if waiting.room is not None:
                    waiting.room()
        return False

    def pressed(self) -> bool:
        """See Owner."""
        return self.log_bytes > self._budgets.log_bytes_total_max

    def ended(self, stream: Stream) -> None:
        """See Owner: only what is settled may be evicted; somebody may be back for the rest of others."""
        if stream.outcome is not None:
            self._may_be_evicted(stream)

    def settled(self, stream: Stream, outcome: Outcome) -> None:
        """See Owner."""
        if stream.state is StreamState.ENDED:
            self._may_be_evicted(stream)
        self._on_settled(stream, outcome)

    def _may_be_evicted(self, stream: Stream) -> None:
        """Offer a finished stream for eviction; a canary's would make room for no user."""
        if stream.handle not in self.canaries:
            self._finished[stream.handle] = stream

    def released(self, stream: Stream) -> None:
        """See Owner."""
        if self.streams.pop(stream.handle, None) is None:
            return
        self._finished.pop(stream.handle, None)
        self.canaries.pop(stream.handle, None)
        self.idempotency.forget(stream.id)
        self._per_principal[stream.principal] -= 1
        if not self._per_principal[stream.principal]:
            del self._per_principal[stream.principal]

    def _evict(self, spare: Stream | None = None) -> bool:
        """Let go of the stream that was finished first and that nobody reads; False: there is none."""
        for stream in self._finished.values():
            if not stream.readers and stream is not spare:
                stream.note("evicted: budget")
                stream.expire()
                return True
        return False

    def close(self) -> None:
        """End what is left, at the end of the process: told to nobody any more, but counted."""
        for stream in list(self.streams.values()):
            stream.stop(Outcome.SIDECAR_ERROR, errors.Draining)
            stream.expire()

    def census(self) -> dict[str, Census]:
        """Count what is held, per route, for the gauges."""
        rows: dict[str, Counter[str]] = {}
        for stream in self.streams.values():
            row = rows.setdefault(stream.policy.name, Counter())
            undelivered = stream.ledger.undelivered
            row["streams_active"] += stream.outcome is None
            row["streams_detached"] += stream.outcome is None and stream.audience is not Audience.ATTACHED
            row["subscribers"] += len(stream.readers)
            row["log_bytes"] += stream.log.bytes_held
            row["log_messages_undelivered"] += undelivered
            row["log_messages_delivered"] += max(0, len(stream.log) - undelivered)
        return {route: Census(**row) for route, row in rows.items()}
