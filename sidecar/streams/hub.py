"""The streams of one process, by handle, and their budgets."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.config.routes import CANARY_ROUTE, RoutePolicy
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.observability.metrics import Census, Metrics
from sidecar.sse.event_id import RANDOM_BYTES, Signer, handle
from sidecar.streams.idempotency import IdempotencyStore
from sidecar.streams.log_budget import LogBudget
from sidecar.streams.replay_log import ReplayLog
from sidecar.streams.states import Audience, StreamState
from sidecar.streams.stream import Stream, StreamHooks
from sidecar.streams.timer_wheel import TimerWheel


@dataclass(frozen=True, slots=True)
class Budgets:
    """Bounds over all streams."""

    streams_max: int = 10_000
    streams_per_principal_max: int = 1_000
    log_bytes_total_max: int = 256 * 1024 * 1024


class Hub:
    """All streams of one process.

    ``entropy`` returns random bytes; ``on_settled`` receives each stream with its outcome.
    """

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
        self.budget = LogBudget(self._budgets.log_bytes_total_max, self._evict, self._drained)
        self._hooks = StreamHooks(self._ended, self._settled, self._released)
        self.idempotency = IdempotencyStore(self._budgets.streams_max)
        self.streams: dict[str, Stream] = {}
        self.canaries: dict[str, Stream] = {}
        """Those of ``streams`` that no user started, the oldest first; they take no stream from users."""
        metrics.observe_hub(self.census)

    def create(self, policy: RoutePolicy, principal: bytes) -> Stream:
        """Start a stream; above a budget it ends with its last reader."""
        is_canary = policy.name == CANARY_ROUTE  # it has to see its stream end while users are refused
        stream = Stream(
            self._signer.token(self._entropy(RANDOM_BYTES), principal),
            policy,
            principal,
            metrics=self._metrics.route(policy.name),
            budget=self.budget,
            hooks=self._hooks,
            wheel=self.wheel,
            clock=self._clock,
            lingers=is_canary or not self._over_budget(principal),
        )
        if is_canary:
            self.canaries[stream.handle] = stream
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
        """Return the stream of a handle or a verified token, or None."""
        return self.streams.get(handle(stream_id))

    def _drained(self) -> None:
        """Let the upstreams that wait for the budget check for room."""
        for waiting in list(self.streams.values()):
            waiting.pressure.drained()

    def _ended(self, stream: Stream) -> None:
        """Offer an ended stream for eviction, unless its client may still resume."""
        if stream.outcome is not None:
            self._may_be_evicted(stream)

    def _settled(self, stream: Stream, outcome: Outcome) -> None:
        if stream.state is StreamState.ENDED:
            self._may_be_evicted(stream)
        self._on_settled(stream, outcome)

    def _may_be_evicted(self, stream: Stream) -> None:
        """Offer a finished stream for eviction, unless it is a canary's."""
        if stream.handle not in self.canaries:
            self._finished[stream.handle] = stream

    def _released(self, stream: Stream) -> None:
        if self.streams.pop(stream.handle, None) is None:
            return
        self._finished.pop(stream.handle, None)
        self.canaries.pop(stream.handle, None)
        self.idempotency.forget(stream.id)
        self._per_principal[stream.principal] -= 1
        if not self._per_principal[stream.principal]:
            del self._per_principal[stream.principal]

    def _evict(self, spare: ReplayLog | None = None) -> bool:
        """Evict the oldest finished stream without a reader, if there is one.

        Not the stream of the log ``spare``. Return whether there was one.
        """
        for stream in self._finished.values():
            if not stream.readers and stream.log is not spare:
                stream.note("evicted: budget")
                stream.expire()
                return True
        return False

    def close(self) -> None:
        """End and count the remaining streams at the end of the process."""
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
