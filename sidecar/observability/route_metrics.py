"""The numbers of one route, held so that hot code neither looks up a label nor takes a lock."""

from collections.abc import Mapping

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

HOT_COUNTERS: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "sse_streams_started_total": {(): "started"},
    "sse_messages_received_total": {(): "received"},
    "sse_messages_delivered_total": {(): "delivered"},
    "sse_messages_acknowledged_total": {(): "acknowledged"},
    "sse_messages_confirmed_total": {(): "confirmed"},
    "sse_client_missed_messages_total": {(): "client_missed"},
    "sse_messages_replayed_total": {(): "replayed"},
    "sse_unread_messages_total": {(): "unread"},
    "sse_heartbeats_total": {(): "heartbeats"},
    "sse_generations_saved_total": {(): "generations_saved"},
    "sse_messages_duplicated_total": {
        (DuplicateStage.UPSTREAM, DuplicateDisposition.SUPPRESSED): "suppressed",
        (DuplicateStage.UPSTREAM, DuplicateDisposition.DELIVERED): "repeated",
        (DuplicateStage.CLIENT, DuplicateDisposition.SUPPRESSED): "client_suppressed",
        (DuplicateStage.CLIENT, DuplicateDisposition.DELIVERED): "client_repeated",
    },
}
"""The counters kept as integers: per metric, the values of the labels after route -> the attribute."""

HOT_HISTOGRAMS: Mapping[str, str] = {
    "sse_time_to_first_message_seconds": "time_to_first_message",
    "sse_message_gap_seconds": "message_gap",
}


class RouteMetrics:
    """Integers are added to with ``+=``; mappings and the rest hold children that are already bound.

    Written by the event loop's thread only.
    """

    __slots__ = (
        "acknowledged",
        "client_missed",
        "client_repeated",
        "client_suppressed",
        "confirmed",
        "delivered",
        "finished",
        "generations_saved",
        "heartbeats",
        "lost",
        "message_gap",
        "received",
        "reconnects",
        "repeated",
        "replayed",
        "requests",
        "silent",
        "stall_detection",
        "stall_recovery",
        "started",
        "suppressed",
        "time_to_first_message",
        "unproven",
        "unread",
        "upstream_connect",
    )

    def __init__(self, route: str, families: Families) -> None:
        self.started = self.received = self.delivered = self.replayed = self.unread = 0
        self.acknowledged = self.confirmed = self.heartbeats = self.generations_saved = 0
        self.suppressed = self.repeated = self.client_suppressed = self.client_repeated = 0
        self.client_missed = 0
        self.time_to_first_message = Histogram(FIRST_MESSAGE_BUCKETS)
        self.message_gap = Histogram(GAP_BUCKETS)
        self._bind_counters(route, families)
        self._bind_histograms(route, families)

    def _bind_counters(self, route: str, families: Families) -> None:
        finished = families.counter("sse_streams_finished_total")
        self.finished = {outcome: finished.labels(route, outcome) for outcome in Outcome}
        lost = families.counter("sse_messages_lost_total")
        self.lost = {why: lost.labels(route, LOSS_STAGES[why], why) for why in LossReason}
        silent = families.counter("sse_silent_failures_total")
        self.silent = {(k, d): silent.labels(route, k, d) for k in SilentKind for d in SilentDisposition}
        unproven = families.counter("sse_continuity_unproven_total")
        self.unproven = {why: unproven.labels(route, why) for why in UnprovenReason}
        requests = families.counter("sse_requests_total")
        self.requests = {code: requests.labels(route, code) for code in CodeClass}

    def _bind_histograms(self, route: str, families: Families) -> None:
        reconnects = families.histogram("sse_reconnect_duration_seconds")
        self.reconnects = {(s, e): reconnects.labels(route, s, e) for s in Side for e in ReconnectEnd}
        self.stall_detection = families.histogram("sse_stall_detection_seconds").labels(route)
        recovery = families.histogram("sse_stall_recovery_seconds")
        self.stall_recovery = {end: recovery.labels(route, end) for end in StallEnd}
        self.upstream_connect = families.histogram("sse_upstream_connect_seconds").labels(route)

    def answered(self, status: int | None) -> None:
        """Count one request by the status it was answered with; None: no complete answer was sent."""
        self.requests[code_class(status)].inc()
