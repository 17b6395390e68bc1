"""The questions that rules and panels ask, each written once, in PromQL.

``scope`` is the label matchers that every selector begins with: a panel's variables, or a rule's job.
``window`` is a range, such as ``1h`` or ``$__rate_interval``.
"""

from alerts.duration import span, span_s
from sidecar.observability.labels import DuplicateDisposition, Outcome, ReconnectEnd, SilentDisposition
from sidecar.observability.slo import NOT_ELIGIBLE, SLO, Slo

FINISHED = "sse_streams_finished_total"
RECONNECTS = "sse_reconnect_duration_seconds"
LOST = "sse_messages_lost_total"
DUPLICATED = "sse_messages_duplicated_total"
SILENT = "sse_silent_failures_total"
CANARY_MISMATCHES = "sse_canary_mismatches_total"
WATCHDOG = "sse_watchdog_last_pass_timestamp_seconds"

FIRING = "job_instance:sse_alerts:firing"
STREAMS_UNACCOUNTED = "job_instance_route:sse_streams_unaccounted:sum"
MESSAGES_UNACCOUNTED = "job_instance_route:sse_messages_unaccounted:sum"

EVERY_INSTANCE = "all"
"""The instance that a recorded alert has where the alert itself is about its whole job."""

ELIGIBLE = f'outcome!~"{"|".join(NOT_ELIGIBLE)}"'
BAD = f'outcome!~"{"|".join((Outcome.COMPLETED, *NOT_ELIGIBLE))}"'
COMPLETED = f'outcome="{Outcome.COMPLETED}"'
RESUMED = f'outcome="{ReconnectEnd.RESUMED}"'
DELIVERED_TWICE = f'disposition="{DuplicateDisposition.DELIVERED}"'
LEAKED = f'disposition="{SilentDisposition.LEAKED}"'


def select(metric: str, *matchers: str, scope: str) -> str:
    """Select series of ``metric`` by the scope's matchers and more."""
    return f"{metric}{{{', '.join([scope, *matchers])}}}"


def total(expression: str, *by: str) -> str:
    """Add up series, by the labels named."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def increase(metric: str, *matchers: str, scope: str, window: str, by: tuple[str, ...] = ()) -> str:
    """Ask how many were counted within the window."""
    return total(f"increase({select(metric, *matchers, scope=scope)}[{window}])", *by)


def rate(metric: str, *matchers: str, scope: str, window: str, by: tuple[str, ...] = ()) -> str:
    """Ask how many were counted per second."""
    return total(f"rate({select(metric, *matchers, scope=scope)}[{window}])", *by)


def completion(scope: str, window: str, by: tuple[str, ...] = ()) -> str:
    """Return the share of eligible streams that completed.

    Without such streams there is no value.
    """
    good = increase(FINISHED, COMPLETED, scope=scope, window=window, by=by)
    every = increase(FINISHED, ELIGIBLE, scope=scope, window=window, by=by)
    return f"{good} / ({every} > 0)"


def completion_errors(scope: str, window: str, by: tuple[str, ...] = ()) -> str:
    """Return the share of eligible streams that failed.

    Without such streams there is no value.
    """
    failed = increase(FINISHED, BAD, scope=scope, window=window, by=by)
    every = increase(FINISHED, ELIGIBLE, scope=scope, window=window, by=by)
    return f"{failed} / ({every} > 0)"


def burn_rate(scope: str, window: str, by: tuple[str, ...] = (), slo: Slo = SLO) -> str:
    """Ask how many times faster than allowed the completion budget is spent."""
    return f"({completion_errors(scope, window, by)}) / {slo.completion_budget:g}"


def budget_left(scope: str, window: str, by: tuple[str, ...] = (), slo: Slo = SLO) -> str:
    """Ask which share of the window's completion budget is not yet spent."""
    return f"1 - {burn_rate(scope, window, by, slo)}"


def quantile(q: float, metric: str, *matchers: str, scope: str, window: str, by: tuple[str, ...] = ()) -> str:
    """Return the quantile ``q`` of a histogram."""
    buckets = increase(f"{metric}_bucket", *matchers, scope=scope, window=window, by=("le", *by))
    return f"histogram_quantile({q:g}, {buckets})"


def firing(scope: str) -> str:
    """Ask which alerts fire."""
    return select("ALERTS", 'alertname=~"SSE.+"', 'alertstate="firing"', scope=scope)


def reconnects(scope: str, window: str, by: tuple[str, ...] = ()) -> str:
    """Ask how many reconnects ended per second, in whichever way."""
    return rate(f"{RECONNECTS}_count", scope=scope, window=window, by=by)


def reconnects_in_time(scope: str, window: str, by: tuple[str, ...] = (), slo: Slo = SLO) -> str:
    """Return the rate of reconnects within the objective."""
    within = f'le="{float(slo.reconnect_s)}"'
    return rate(f"{RECONNECTS}_bucket", within, RESUMED, scope=scope, window=window, by=by)


def counted(metric: str, *matchers: str, scope: str, slo: Slo = SLO) -> str:
    """Return where an event with an objective of zero was counted.

    The range is the integrity window.

    ``increase`` cannot see what a new instance counted before its first scrape: the second half can. It
    asks for a young process, because after a gap in the scrapes an old count looks new.
    """
    series, over = select(metric, *matchers, scope=scope), span(slo.integrity_window, slo)
    age = f'time() - process_start_time_seconds{{job="{slo.job}"}}'
    return (
        f"increase({series}[{over}]) > 0\n"
        f"or ({series} > 0 unless {series} offset {over})\n"
        f"  and on (job, instance) ({age} < {span_s(slo.integrity_window, slo):g})"
    )


def streams_unaccounted(scope: str, by: tuple[str, ...]) -> str:
    """Ask how many streams began, but neither ended nor are open: 0, always."""
    parts = ("sse_streams_started_total", FINISHED, "sse_streams_active")
    return "\n- ".join(total(select(part, scope=scope), *by) for part in parts)


def messages_unaccounted(scope: str, by: tuple[str, ...]) -> str:
    """Return how many messages no counter explains; always 0.

    Every message is delivered, lost, suppressed, unread or held.
    """
    parts = (
        select("sse_messages_received_total", scope=scope),
        select("sse_messages_delivered_total", scope=scope),
        select(LOST, 'stage="sidecar"', scope=scope),
        select(DUPLICATED, 'stage="upstream"', 'disposition="suppressed"', scope=scope),
        select("sse_unread_messages_total", scope=scope),
        select("sse_log_messages", 'state="undelivered"', scope=scope),
    )
    return "\n- ".join(total(part, *by) for part in parts)
