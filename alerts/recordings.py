"""The recording rules: shared expressions, computed once."""

from dataclasses import dataclass

from alerts import queries
from alerts.duration import span
from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability.slo import Slo, Window

BY_ROUTE = ("job", "route")
BY_INSTANCE = ("job", "instance", "route")
BY_SIDE = ("job", "route", "side")


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded series: a name and an expression.

    The name keeps the original window in a drill.
    """

    record: str
    expr: str


def eligible(window: Window) -> str:
    """Return the name of the rate of streams that count for completion."""
    return f"job_route:sse_streams_eligible:rate{window.name}"


def bad(window: Window) -> str:
    """Return the name of the rate of eligible streams that did not complete."""
    return f"job_route:sse_streams_bad:rate{window.name}"


def errors(window: Window) -> str:
    """Return the name of the share of eligible streams that did not complete."""
    return f"job_route:sse_completion_errors:ratio_rate{window.name}"


def slow(window: Window) -> str:
    """Return the name of the rate of reconnects that were slow or given up."""
    return f"job_route_side:sse_reconnects_slow:rate{window.name}"


def slow_share(window: Window) -> str:
    """Return the name of the share of reconnects that were slow or given up."""
    return f"job_route_side:sse_reconnects_slow:ratio_rate{window.name}"


def of_job(slo: Slo) -> str:
    """Return the matchers of everything the sidecars export."""
    return f'job="{slo.job}"'


def of_users(slo: Slo) -> str:
    """Return the matchers that exclude the sidecar's own probe."""
    return f'{of_job(slo)}, route!="{CANARY_ROUTE}"'


def recordings(slo: Slo) -> list[Recording]:
    """Return every recording rule, each after those it reads."""
    rules = [rule for window in slo.recorded for rule in _completion(slo, window)]
    for window in (slo.reconnect_short, slo.reconnect_long):
        rules += _reconnects(slo, window)
    return [*rules, *_books(slo), _firing(slo)]


def _completion(slo: Slo, window: Window) -> list[Recording]:
    """Record how streams end, over one window.

    Without traffic the share is absent and not NaN.
    """
    scope, over = of_users(slo), span(window, slo)
    every = queries.rate(queries.FINISHED, queries.ELIGIBLE, scope=scope, window=over, by=BY_ROUTE)
    failed = queries.rate(queries.FINISHED, queries.BAD, scope=scope, window=over, by=BY_ROUTE)
    return [
        Recording(eligible(window), every),
        Recording(bad(window), failed),
        Recording(errors(window), f"{bad(window)} / ({eligible(window)} > 0)"),
    ]


def _reconnects(slo: Slo, window: Window) -> list[Recording]:
    """Record the slow reconnects of one window.

    A reconnect that gave up counts as slow.
    """
    scope, over = of_users(slo), span(window, slo)
    every = queries.reconnects(scope, over, BY_SIDE)
    fast = queries.reconnects_in_time(scope, over, BY_SIDE, slo)
    return [
        Recording(slow(window), f"{every}\n- {fast}"),
        Recording(slow_share(window), f"{slow(window)}\n/ ({every} > 0)"),
    ]


def _books(slo: Slo) -> list[Recording]:
    """Record the residuals of the conservation laws.

    They use the counters themselves, since a rate is not exact.
    """
    scope = of_users(slo)
    return [
        Recording(queries.STREAMS_UNACCOUNTED, queries.streams_unaccounted(scope, BY_INSTANCE)),
        Recording(queries.MESSAGES_UNACCOUNTED, queries.messages_unaccounted(scope, BY_INSTANCE)),
    ]


def _firing(slo: Slo) -> Recording:
    """Record the firing alerts, each with an instance.

    Dashboards select everything by job and instance.
    """
    alerts = queries.firing(of_job(slo))
    every = queries.EVERY_INSTANCE
    return Recording(queries.FIRING, f'label_replace({alerts}, "instance", "{every}", "instance", "")')
