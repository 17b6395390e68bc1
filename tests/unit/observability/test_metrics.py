"""The metrics have the specified names, types, labels and values."""

import re
from collections.abc import Iterator, Mapping

import pytest

from sidecar.observability.catalogue import CATALOGUE
from sidecar.observability.labels import CodeClass, DuplicateDisposition, DuplicateStage, code_class
from sidecar.observability.metrics import Census, LossReason, Metrics, Outcome, ResumeResult
from sidecar.observability.slo import SLO_OBJECTIVES
from tests.kit.samples import Series, samples, value

ROUTE = ["chat", "default"]
OUTCOME = [
    "completed", "client_cancelled", "client_left", "client_abandoned", "upstream_error",
    "upstream_truncated", "stall_unrecovered", "resume_expired", "sidecar_error", "orphaned",
]  # fmt: skip
RESULT = ["resumed", "no_content", "gap", "expired", "too_late", "refused", "foreign", "bad_request"]
UNPROVEN = [
    "opaque_upstream_id", "reused_upstream_id", "client_never_returned", "oversize_event", "encoded",
]  # fmt: skip
CODE = ["1xx", "2xx", "3xx", "4xx", "5xx", "aborted"]
SILENT = ["truncated", "empty", "hung", "wrong_content_type"]
VERDICT = ["agree", "lost", "duplicated", "unfinished", "rejected"]
SLO = ["completion", "reconnect", "loss", "duplicates", "silent"]
OP = ["append", "read", "trim"]

# Written by hand from the specification: name, type, and the values of each label.
PROMISED: list[tuple[str, str, dict[str, list[str]]]] = [
    ("sse_streams_finished_total", "counter", {"route": ROUTE, "outcome": OUTCOME}),
    ("sse_reconnect_duration_seconds", "histogram",
     {"route": ROUTE, "side": ["client", "upstream"], "outcome": ["resumed", "gave_up"]}),
    ("sse_messages_duplicated_total", "counter",
     {"route": ROUTE, "stage": ["upstream", "client"], "disposition": ["suppressed", "delivered"]}),
    ("sse_silent_failures_total", "counter",
     {"route": ROUTE, "kind": SILENT, "disposition": ["surfaced", "leaked"]}),
    ("sse_stall_detection_seconds", "histogram", {"route": ROUTE}),
    ("sse_stall_recovery_seconds", "histogram",
     {"route": ROUTE, "outcome": ["recovered", "failed", "false_alarm"]}),
    ("sse_streams_started_total", "counter", {"route": ROUTE}),
    ("sse_streams_active", "gauge", {"route": ROUTE}),
    ("sse_streams_detached", "gauge", {"route": ROUTE}),
    ("sse_subscribers", "gauge", {"route": ROUTE}),
    ("sse_messages_received_total", "counter", {"route": ROUTE}),
    ("sse_messages_delivered_total", "counter", {"route": ROUTE}),
    ("sse_messages_acknowledged_total", "counter", {"route": ROUTE}),
    ("sse_messages_confirmed_total", "counter", {"route": ROUTE}),
    ("sse_client_missed_messages_total", "counter", {"route": ROUTE}),
    ("sse_messages_replayed_total", "counter", {"route": ROUTE}),
    ("sse_unread_messages_total", "counter", {"route": ROUTE}),
    ("sse_heartbeats_total", "counter", {"route": ROUTE}),
    ("sse_generations_saved_total", "counter", {"route": ROUTE}),
    ("sse_time_to_first_message_seconds", "histogram", {"route": ROUTE}),
    ("sse_message_gap_seconds", "histogram", {"route": ROUTE}),
    ("sse_log_bytes", "gauge", {"route": ROUTE}),
    ("sse_log_messages", "gauge", {"route": ROUTE, "state": ["undelivered", "delivered"]}),
    ("sse_resumes_total", "counter", {"result": RESULT}),
    ("sse_continuity_unproven_total", "counter", {"route": ROUTE, "reason": UNPROVEN}),
    ("sse_client_reports_total", "counter", {"verdict": VERDICT}),
    ("sse_canary_mismatches_total", "counter", {}),
    ("sse_canary_last_pass_timestamp_seconds", "gauge", {}),
    ("sse_log_budget_bytes", "gauge", {}),
    ("sse_requests_total", "counter", {"route": ROUTE, "code_class": CODE}),
    ("sse_upstream_connect_seconds", "histogram", {"route": ROUTE}),
    ("sse_journal_operation_seconds", "histogram", {"op": OP}),
    ("sse_journal_errors_total", "counter", {"op": OP}),
    ("sse_event_loop_lag_seconds", "histogram", {}),
    ("sse_watchdog_last_pass_timestamp_seconds", "gauge", {}),
    ("sse_slo_objective_ratio", "gauge", {"slo": SLO}),
    ("sse_build_info", "gauge", {"version": ["1.2.3"]}),
]  # fmt: skip
# Lost messages are the one metric whose labels do not combine freely: each reason has its stage.
PROMISED_LOSS = [("sidecar", "window"), ("client", "trimmed"), ("upstream", "upstream_gap")]

RECONNECT_EDGES = [".05", ".1", ".25", ".5", "1", "2", "3", "4", "5", "7.5", "10", "15", "30", "60"]
STALL_EDGES = [".5", "1", "2", "5", "10", "15", "20", "30", "45", "60", "120"]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(ROUTE, "1.2.3")


def _promised_series() -> Iterator[Series]:
    """Yield every series; a histogram stands as its ``_count``."""
    for name, kind, labels in PROMISED:
        suffix = "_count" if kind == "histogram" else ""
        yield from ((name + suffix, frozenset(row)) for row in _combine(labels))
    for route in ROUTE:
        for stage, reason in PROMISED_LOSS:
            row = {("route", route), ("stage", stage), ("reason", reason)}
            yield "sse_messages_lost_total", frozenset(row)


def _combine(labels: Mapping[str, list[str]]) -> list[set[tuple[str, str]]]:
    rows: list[set[tuple[str, str]]] = [set()]
    for label, values in labels.items():
        rows = [row | {(label, value)} for row in rows for value in values]
    return rows


def _exported_series(metrics: Metrics) -> set[Series]:
    ours = {key for key in samples(metrics) if key[0].startswith("sse_")}
    return {key for key in ours if not key[0].endswith(("_bucket", "_sum"))}


def test_exactly_the_specified_series_exist_at_the_start(metrics: Metrics) -> None:
    assert _exported_series(metrics) == set(_promised_series())


def test_every_metric_has_its_promised_type(metrics: Metrics) -> None:
    body = metrics.exposition("")[0].decode()
    exported = dict(re.findall(r"^# TYPE (sse_\w+) (\w+)$", body, re.MULTILINE))
    promised = {name: kind for name, kind, _ in PROMISED} | {"sse_messages_lost_total": "counter"}
    assert exported == promised


def test_everything_is_zero_at_the_start_except_the_constants(metrics: Metrics) -> None:
    moved = {name for (name, _), value in samples(metrics).items() if value and name.startswith("sse_")}
    assert moved == {"sse_build_info", "sse_slo_objective_ratio"}


def test_the_process_metrics_come_along(metrics: Metrics) -> None:
    names = {name for name, _ in samples(metrics)}
    assert {"process_start_time_seconds", "process_open_fds", "process_cpu_seconds_total"} <= names


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("sse_reconnect_duration_seconds", RECONNECT_EDGES),
        ("sse_stall_detection_seconds", STALL_EDGES),
        ("sse_stall_recovery_seconds", STALL_EDGES),
    ],
)
def test_the_buckets_of_the_key_histograms_have_the_promised_edges(
    metrics: Metrics, name: str, edges: list[str]
) -> None:
    found = {dict(labels)["le"] for sample, labels in samples(metrics) if sample == f"{name}_bucket"}
    assert {float(edge) for edge in found} == {*map(float, edges), float("inf")}


def test_the_six_key_metrics_are_marked_as_such() -> None:
    assert [(metric.key, metric.name) for metric in CATALOGUE if metric.key] == [
        (1, "sse_streams_finished_total"),
        (2, "sse_reconnect_duration_seconds"),
        (3, "sse_messages_lost_total"),
        (4, "sse_messages_duplicated_total"),
        (5, "sse_silent_failures_total"),
        (6, "sse_stall_detection_seconds"),
        (6, "sse_stall_recovery_seconds"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sse_streams_finished_total", "Logical streams that reached an end, by how they ended."),
        (
            "sse_reconnect_duration_seconds",
            "Seconds from noticing a lost connection to forwarding the next byte, or to giving up.",
        ),
        ("sse_messages_lost_total", "Messages proven never to reach the client, by sequence number."),
        ("sse_messages_duplicated_total", "Messages seen again with an id already seen on the stream."),
        (
            "sse_silent_failures_total",
            "Streams that failed while looking healthy; leaked if the client was not told.",
        ),
        ("sse_stall_detection_seconds", "Seconds from the last upstream byte to declaring a stall."),
        ("sse_stall_recovery_seconds", "Seconds from declaring a stall to its end."),
    ],
)
def test_the_key_metrics_explain_themselves_in_the_agreed_words(
    metrics: Metrics, name: str, text: str
) -> None:
    assert f"# HELP {name} {text}\n" in metrics.exposition("")[0].decode()


def test_the_objectives_are_exported(metrics: Metrics) -> None:
    exported = {slo: value(metrics, "sse_slo_objective_ratio", slo=slo) for slo in SLO_OBJECTIVES}
    assert exported == {"completion": 0.995, "reconnect": 0.95, "loss": 1, "duplicates": 1, "silent": 1}


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("streams_started", "sse_streams_started_total"),
        ("messages_received", "sse_messages_received_total"),
        ("messages_delivered", "sse_messages_delivered_total"),
        ("messages_acknowledged", "sse_messages_acknowledged_total"),
        ("messages_confirmed", "sse_messages_confirmed_total"),
        ("client_missed_messages", "sse_client_missed_messages_total"),
        ("messages_replayed", "sse_messages_replayed_total"),
        ("unread_messages", "sse_unread_messages_total"),
        ("heartbeats", "sse_heartbeats_total"),
        ("generations_saved", "sse_generations_saved_total"),
    ],
)
def test_a_hot_integer_counts_in_its_own_series_only(metrics: Metrics, attribute: str, name: str) -> None:
    before = samples(metrics)
    setattr(metrics.route("chat"), attribute, 7)
    assert _changed(before, metrics) == {(name, frozenset({("route", "chat")})): 7}


@pytest.mark.parametrize("stage", DuplicateStage)
@pytest.mark.parametrize("disposition", DuplicateDisposition)
def test_a_duplicate_counts_in_its_own_series_only(
    metrics: Metrics, stage: DuplicateStage, disposition: DuplicateDisposition
) -> None:
    before = samples(metrics)
    metrics.route("chat").messages_duplicated[stage, disposition] += 7
    labels = {"route": "chat", "stage": str(stage), "disposition": str(disposition)}
    series = ("sse_messages_duplicated_total", frozenset(labels.items()))
    assert _changed(before, metrics) == {series: 7}


def _changed(before: Mapping[Series, float], metrics: Metrics) -> dict[Series, float]:
    after = samples(metrics)
    return {key: value for key, value in after.items() if key[0].startswith("sse_") and value != before[key]}


def test_bound_children_count_into_their_series(metrics: Metrics) -> None:
    chat = metrics.route("chat")
    chat.streams_finished[Outcome.UPSTREAM_TRUNCATED].inc()
    chat.messages_lost[LossReason.WINDOW].inc(3)
    metrics.resumes[ResumeResult.NO_CONTENT].inc()
    assert value(metrics, "sse_streams_finished_total", route="chat", outcome="upstream_truncated") == 1
    assert value(metrics, "sse_messages_lost_total", route="chat", stage="sidecar", reason="window") == 3
    assert value(metrics, "sse_resumes_total", result="no_content") == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(100, "1xx"), (199, "1xx"), (200, "2xx"), (304, "3xx"), (404, "4xx"), (500, "5xx"), (599, "5xx"),
     (99, "aborted"), (600, "aborted"), (None, "aborted")],
)  # fmt: skip
def test_a_request_is_counted_by_the_class_of_its_status(
    metrics: Metrics, status: int | None, code: str
) -> None:
    metrics.route("chat").answered(status)
    assert code_class(status) is CodeClass(code)
    assert value(metrics, "sse_requests_total", route="chat", code_class=code) == 1


def test_the_gauges_of_the_hub_are_read_at_each_scrape(metrics: Metrics) -> None:
    census = {
        "chat": Census(
            streams_active=1,
            streams_detached=2,
            subscribers=3,
            log_bytes=4,
            log_messages_undelivered=5,
            log_messages_delivered=6,
        )
    }
    metrics.observe_hub(lambda: census)
    assert value(metrics, "sse_streams_active", route="chat") == 1
    assert value(metrics, "sse_streams_detached", route="chat") == 2
    assert value(metrics, "sse_subscribers", route="chat") == 3
    assert value(metrics, "sse_log_bytes", route="chat") == 4
    assert value(metrics, "sse_log_messages", route="chat", state="undelivered") == 5
    assert value(metrics, "sse_log_messages", route="chat", state="delivered") == 6
    census.clear()
    assert value(metrics, "sse_streams_active", route="chat") == 0


def test_a_route_that_was_not_named_at_the_start_has_no_metrics(metrics: Metrics) -> None:
    with pytest.raises(KeyError):
        metrics.route("stranger")


def test_two_instances_share_nothing(metrics: Metrics) -> None:
    Metrics(ROUTE, "1.2.3").route("chat").streams_finished[Outcome.COMPLETED].inc()
    assert value(metrics, "sse_streams_finished_total", route="chat", outcome="completed") == 0
