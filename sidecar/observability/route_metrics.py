"""The numbers of one route, for hot code: no label lookup and no lock."""

from itertools import product

from sidecar.observability.catalogue import FIRST_MESSAGE_BUCKETS, GAP_BUCKETS
from sidecar.observability.families import Families
from sidecar.observability.histogram import Histogram
from sidecar.observability.labels import (
    LOSS_STAGES,
    CodeClass,
    DuplicateDisposition,
    DuplicateStage,
    LossReason,
    Outcome,
    ReconnectEnd,
    Side,
    SilentDisposition,
    SilentKind,
    StallEnd,
    UnprovenReason,
    code_class,
)

HOT_COUNTERS = (
    "sse_streams_started_total",
    "sse_messages_received_total",
    "sse_messages_delivered_total",
    "sse_messages_acknowledged_total",
    "sse_messages_confirmed_total",
    "sse_client_missed_messages_total",
    "sse_messages_replayed_total",
    "sse_unread_messages_total",
    "sse_heartbeats_total",
    "sse_generations_saved_total",
    "sse_messages_duplicated_total",
)
"""The counters kept as integers, or as one integer for each row of labels after the route."""

HOT_HISTOGRAMS = ("sse_time_to_first_message_seconds", "sse_message_gap_seconds")


def attribute_of(name: str) -> str:
    """Return a metric's attribute: its name without ``sse_`` and ``_total``."""
    return name.removeprefix("sse_").removesuffix("_total")


class RouteMetrics:
    """The numbers of one route, in the attributes that their metrics name.

    Code adds to integers with ``+=``. The other attributes hold bound children.

    Only the event loop's thread writes.
    """

    __slots__ = (
        "client_missed_messages",
        "continuity_unproven",
        "generations_saved",
        "heartbeats",
        "message_gap_seconds",
        "messages_acknowledged",
        "messages_confirmed",
        "messages_delivered",
        "messages_duplicated",
        "messages_lost",
        "messages_received",
        "messages_replayed",
        "reconnect_duration_seconds",
        "requests",
        "silent_failures",
        "stall_detection_seconds",
        "stall_recovery_seconds",
        "streams_finished",
        "streams_started",
        "time_to_first_message_seconds",
        "unread_messages",
        "upstream_connect_seconds",
    )

    def __init__(self, route: str, families: Families) -> None:
        self.streams_started = self.heartbeats = self.generations_saved = 0
        self.messages_received = self.messages_delivered = self.messages_replayed = 0
        self.messages_acknowledged = self.messages_confirmed = 0
        self.unread_messages = self.client_missed_messages = 0
        self.messages_duplicated = dict.fromkeys(product(DuplicateStage, DuplicateDisposition), 0)
        self.time_to_first_message_seconds = Histogram(FIRST_MESSAGE_BUCKETS)
        self.message_gap_seconds = Histogram(GAP_BUCKETS)
        self._bind_counters(route, families)
        self._bind_histograms(route, families)

    def _bind_counters(self, route: str, families: Families) -> None:
        finished = families.counter("sse_streams_finished_total")
        self.streams_finished = {outcome: finished.labels(route, outcome) for outcome in Outcome}
        lost = families.counter("sse_messages_lost_total")
        self.messages_lost = {why: lost.labels(route, LOSS_STAGES[why], why) for why in LossReason}
        silent = families.counter("sse_silent_failures_total")
        self.silent_failures = {
            (k, d): silent.labels(route, k, d) for k in SilentKind for d in SilentDisposition
        }
        unproven = families.counter("sse_continuity_unproven_total")
        self.continuity_unproven = {why: unproven.labels(route, why) for why in UnprovenReason}
        requests = families.counter("sse_requests_total")
        self.requests = {code: requests.labels(route, code) for code in CodeClass}

    def _bind_histograms(self, route: str, families: Families) -> None:
        reconnects = families.histogram("sse_reconnect_duration_seconds")
        self.reconnect_duration_seconds = {
            (s, e): reconnects.labels(route, s, e) for s in Side for e in ReconnectEnd
        }
        self.stall_detection_seconds = families.histogram("sse_stall_detection_seconds").labels(route)
        recovery = families.histogram("sse_stall_recovery_seconds")
        self.stall_recovery_seconds = {end: recovery.labels(route, end) for end in StallEnd}
        self.upstream_connect_seconds = families.histogram("sse_upstream_connect_seconds").labels(route)

    def answered(self, status: int | None) -> None:
        """Count one request by its status, or by None for an incomplete response."""
        self.requests[code_class(status)].inc()
