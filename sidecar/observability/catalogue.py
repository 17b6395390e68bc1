"""The metric catalogue.

It declares each metric once. The registry, the docs, the rules and the panels read it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

from sidecar.config.routes import ROUTES_MAX
from sidecar.observability.labels import (
    LOSS_STAGES,
    CodeClass,
    DuplicateDisposition,
    DuplicateStage,
    JournalOp,
    LogState,
    Outcome,
    ReconnectEnd,
    ReportVerdict,
    ResumeResult,
    Side,
    SilentDisposition,
    SilentKind,
    StallEnd,
    UnprovenReason,
)
from sidecar.observability.slo import SLO_OBJECTIVES

Kind = Literal["counter", "gauge", "histogram"]

RECONNECT_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 30, 60)
STALL_BUCKETS = (0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 120)
FIRST_MESSAGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 120)
GAP_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
SERIES_PER_ROUTE_MAX = 250
SERIES_OF_PROCESS_MAX = 125
SERIES_MAX = (ROUTES_MAX + 2) * SERIES_PER_ROUTE_MAX + SERIES_OF_PROCESS_MAX
"""Series of one sidecar, whatever its clients send: all routes there can be, ``default`` and the canary's."""

IO_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family.

    ``rows`` holds the combinations of values that the labels after ``route`` can take: the closed set
    from which every series is created at 0.
    """

    name: str
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ((),)
    buckets: tuple[float, ...] = ()
    key: int | None = None

    @property
    def kind(self) -> Kind:
        """Return the Prometheus type; only counters end in ``_total``."""
        if self.name.endswith("_total"):
            return "counter"
        return "histogram" if self.buckets else "gauge"

    @property
    def per_route(self) -> bool:
        """Tell whether every route has its own series."""
        return self.labels[:1] == ("route",)

    @property
    def label_values(self) -> dict[str, tuple[str, ...]]:
        """Return the values of each label except ``route`` and ``version``."""
        closed = self.labels[1:] if self.per_route else self.labels
        columns = zip(*self.rows, strict=True)
        return {label: tuple(dict.fromkeys(column)) for label, column in zip(closed, columns, strict=False)}

    def series(self, routes: Iterable[str], version: str) -> Iterator[tuple[str, ...]]:
        """Yield the label values of every series that exists from the start."""
        if self.labels == ("version",):
            yield (version,)
            return
        heads: Iterable[tuple[str, ...]] = [(route,) for route in routes] if self.per_route else [()]
        for head, row in product(heads, self.rows):
            yield (*head, *row)


def _rows(*sets: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return every combination of the given label values, as plain strings."""
    return tuple(tuple(str(value) for value in row) for row in product(*sets))


def _per_route(name: str, unit: str, text: str, buckets: tuple[float, ...] = ()) -> Metric:
    """Declare a metric that has one series per route."""
    return Metric(name, unit, text, ("route",), buckets=buckets)


KEY_METRICS = (
    Metric(
        "sse_streams_finished_total",
        "streams",
        "Logical streams that reached an end, by how they ended.",
        ("route", "outcome"),
        _rows(Outcome),
        key=1,
    ),
    Metric(
        "sse_reconnect_duration_seconds",
        "seconds",
        "Seconds from noticing a lost connection to forwarding the next byte, or to giving up.",
        ("route", "side", "outcome"),
        _rows(Side, ReconnectEnd),
        RECONNECT_BUCKETS,
        key=2,
    ),
    Metric(
        "sse_messages_lost_total",
        "messages",
        "Messages proven never to reach the client, by sequence number.",
        ("route", "stage", "reason"),
        tuple((stage, str(why)) for why, stage in LOSS_STAGES.items()),
        key=3,
    ),
    Metric(
        "sse_messages_duplicated_total",
        "messages",
        "Messages seen again with an id already seen on the stream.",
        ("route", "stage", "disposition"),
        _rows(DuplicateStage, DuplicateDisposition),
        key=4,
    ),
    Metric(
        "sse_silent_failures_total",
        "streams",
        "Streams that failed while looking healthy; leaked if the client was not told.",
        ("route", "kind", "disposition"),
        _rows(SilentKind, SilentDisposition),
        key=5,
    ),
    Metric(
        "sse_stall_detection_seconds",
        "seconds",
        "Seconds from the last upstream byte to declaring a stall.",
        ("route",),
        buckets=STALL_BUCKETS,
        key=6,
    ),
    Metric(
        "sse_stall_recovery_seconds",
        "seconds",
        "Seconds from declaring a stall to its end.",
        ("route", "outcome"),
        _rows(StallEnd),
        STALL_BUCKETS,
        key=6,
    ),
)

STREAM_METRICS = (
    _per_route("sse_streams_started_total", "streams", "Logical streams that began."),
    _per_route("sse_streams_active", "streams", "Logical streams that have not reached an end."),
    _per_route("sse_streams_detached", "streams", "Active logical streams that no client is reading."),
    _per_route("sse_subscribers", "connections", "Client connections reading a log."),
    _per_route("sse_messages_received_total", "messages", "Messages read from the backend."),
    _per_route(
        "sse_messages_delivered_total",
        "messages",
        "Messages written to a client, each counted once per logical stream, at its first write.",
    ),
    _per_route(
        "sse_messages_acknowledged_total",
        "messages",
        "Delivered messages that a client's kernel has acknowledged, each counted once per logical stream.",
    ),
    _per_route(
        "sse_messages_confirmed_total",
        "messages",
        "Delivered messages that a client has confirmed, each counted once per logical stream.",
    ),
    _per_route(
        "sse_messages_replayed_total",
        "messages",
        "Messages written to a client from the log, again or late.",
    ),
    _per_route(
        "sse_unread_messages_total",
        "messages",
        "Messages read from the backend after the client had left permanently.",
    ),
    _per_route("sse_heartbeats_total", "heartbeats", "Heartbeats written to clients."),
    _per_route(
        "sse_generations_saved_total",
        "requests",
        "Resumes and joined retries that needed no new request to the backend.",
    ),
    _per_route(
        "sse_time_to_first_message_seconds",
        "seconds",
        "Seconds from the request to the first message of its stream.",
        FIRST_MESSAGE_BUCKETS,
    ),
    _per_route(
        "sse_message_gap_seconds",
        "seconds",
        "Seconds between a message and the one before it, as read from the backend.",
        GAP_BUCKETS,
    ),
    _per_route("sse_log_bytes", "bytes", "Bytes held in replay logs."),
    Metric(
        "sse_log_messages",
        "messages",
        "Messages held in replay logs; undelivered: not yet written to a client.",
        ("route", "state"),
        _rows(LogState),
    ),
)

PROOF_METRICS = (
    Metric(
        "sse_resumes_total",
        "requests",
        "Requests with a position, by result.",
        ("result",),
        _rows(ResumeResult),
    ),
    Metric(
        "sse_continuity_unproven_total",
        "episodes",
        "Episodes in which a loss of messages is unknown.",
        ("route", "reason"),
        _rows(UnprovenReason),
    ),
    Metric(
        "sse_client_reports_total",
        "reports",
        "Client reports, by verdict.",
        ("verdict",),
        _rows(ReportVerdict),
    ),
    _per_route("sse_client_missed_messages_total", "messages", "Messages that a client reports as missing."),
    Metric(
        "sse_canary_mismatches_total",
        "streams",
        "Canary streams that arrived changed or incomplete.",
    ),
    Metric(
        "sse_canary_last_pass_timestamp_seconds",
        "seconds",
        "Unix time of the last canary stream that arrived unchanged; 0 before the first.",
    ),
)

PROCESS_METRICS = (
    Metric(
        "sse_log_budget_bytes", "bytes", "Bytes that all replay logs together may hold: log_bytes_total_max."
    ),
    Metric(
        "sse_requests_total",
        "requests",
        "Requests by the class of their status; aborted: the response was incomplete.",
        ("route", "code_class"),
        _rows(CodeClass),
    ),
    _per_route(
        "sse_upstream_connect_seconds", "seconds", "Seconds to open a connection to the backend.", IO_BUCKETS
    ),
    Metric(
        "sse_journal_operation_seconds",
        "seconds",
        "Duration of a journal operation in seconds.",
        ("op",),
        _rows(JournalOp),
        IO_BUCKETS,
    ),
    Metric(
        "sse_journal_errors_total", "operations", "Journal operations that failed.", ("op",), _rows(JournalOp)
    ),
    Metric(
        "sse_event_loop_lag_seconds",
        "seconds",
        "Seconds by which the event loop was late for a timer.",
        buckets=IO_BUCKETS,
    ),
    Metric(
        "sse_watchdog_last_pass_timestamp_seconds",
        "seconds",
        "Unix time of the stall watchdog's last pass over every stream.",
    ),
    Metric(
        "sse_slo_objective_ratio",
        "ratio",
        "Required share of good events of an objective.",
        ("slo",),
        _rows(SLO_OBJECTIVES),
    ),
    Metric("sse_build_info", "", "Version of the running sidecar; always 1.", ("version",)),
)

CATALOGUE: tuple[Metric, ...] = (*KEY_METRICS, *STREAM_METRICS, *PROOF_METRICS, *PROCESS_METRICS)
