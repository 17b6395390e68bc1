"""The metrics of the process: the registry and its expositions."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector

from sidecar.observability.catalogue import CATALOGUE, IO_BUCKETS, Metric
from sidecar.observability.collector import READ_AT_SCRAPE, Census, HubView, ScrapeCollector
from sidecar.observability.families import Families
from sidecar.observability.histogram import Histogram
from sidecar.observability.labels import (
    CodeClass,
    JournalOp,
    LossReason,
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
from sidecar.observability.route_metrics import RouteMetrics
from sidecar.observability.slo import SLO_OBJECTIVES

__all__ = [
    "CATALOGUE",
    "Census",
    "CodeClass",
    "Histogram",
    "HubView",
    "JournalOp",
    "LossReason",
    "Metric",
    "Metrics",
    "Outcome",
    "ReconnectEnd",
    "ReportVerdict",
    "ResumeResult",
    "RouteMetrics",
    "Side",
    "SilentDisposition",
    "SilentKind",
    "StallEnd",
    "UnprovenReason",
]

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The numbers of one sidecar process, in their own registry.

    ``route_names`` are all values of the label ``route``: series appear at start or never, since
    ``increase()`` cannot see a counter's first appearance.
    """

    def __init__(self, route_names: Iterable[str], version: str) -> None:
        names = tuple(dict.fromkeys(route_names))
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        cold = [metric for metric in CATALOGUE if metric.name not in READ_AT_SCRAPE]
        families = Families(cold, self.registry, names, version)
        self.routes = {name: RouteMetrics(name, families) for name in names}
        self.event_loop_lag_seconds = Histogram(IO_BUCKETS)
        self._scrape = ScrapeCollector(self.routes, self.event_loop_lag_seconds)
        self.registry.register(self._scrape)
        self._bind(families)
        _state_constants(families, version)

    def _bind(self, families: Families) -> None:
        resumes = families.counter("sse_resumes_total")
        self.resumes = {result: resumes.labels(result) for result in ResumeResult}
        reports = families.counter("sse_client_reports_total")
        self.client_reports = {verdict: reports.labels(verdict) for verdict in ReportVerdict}
        seconds = families.histogram("sse_journal_operation_seconds")
        self.journal_operation_seconds = {op: seconds.labels(op) for op in JournalOp}
        errors = families.counter("sse_journal_errors_total")
        self.journal_errors = {op: errors.labels(op) for op in JournalOp}
        self.canary_mismatches = families.counter("sse_canary_mismatches_total")
        self.canary_last_pass_timestamp_seconds = families.gauge("sse_canary_last_pass_timestamp_seconds")
        self.log_budget_bytes = families.gauge("sse_log_budget_bytes")
        self.watchdog_last_pass_timestamp_seconds = families.gauge("sse_watchdog_last_pass_timestamp_seconds")

    def route(self, name: str) -> RouteMetrics:
        """Return the numbers of one route, or raise KeyError."""
        return self.routes[name]

    @staticmethod
    def resumes_of_nobody() -> dict[ResumeResult, Counter]:
        """Return counters like ``resumes`` for the canary, which is not a user."""
        return {result: Counter(f"sse_{result}", "Not exported.", registry=None) for result in ResumeResult}

    def observe_hub(self, view: HubView) -> None:
        """Read the hub's gauges at each scrape: ``view`` returns them per route."""
        self._scrape.hub_view = view

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their content type, by the ``accept`` field.

        OpenMetrics has exemplars. The library's own negotiation raises on a version that is not a number,
        and copies the client's version into its answer.
        """
        types = (part.partition(";")[0].strip().lower() for part in accept.split(","))
        if "application/openmetrics-text" in types:
            body: bytes = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]
            return body, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4


def _state_constants(families: Families, version: str) -> None:
    """Set the constant gauges: the version and the objectives."""
    families.gauge("sse_build_info").labels(version).set(1)
    objectives = families.gauge("sse_slo_objective_ratio")
    for name, ratio in SLO_OBJECTIVES.items():
        objectives.labels(name).set(ratio)
