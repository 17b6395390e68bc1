"""The questions that rules and panels ask, each written once, in PromQL.

``scope`` is the label matchers that every selector begins with: a panel's variables, or a rule's job.
``window`` is a range, such as ``1h`` or ``$__rate_interval``.
"""

from sidecar.labels import Outcome
from sidecar.slo import NOT_ELIGIBLE, SLO, Slo

FINISHED = "sse_streams_finished_total"
RECONNECTS = "sse_reconnect_duration_seconds"
LOST = "sse_messages_lost_total"
DUPLICATED = "sse_messages_duplicated_total"
SILENT = "sse_silent_failures_total"

ELIGIBLE = f'outcome!~"{"|".join(NOT_ELIGIBLE)}"'
BAD = f'outcome!~"{"|".join((Outcome.COMPLETED, *NOT_ELIGIBLE))}"'
COMPLETED = f'outcome="{Outcome.COMPLETED}"'
DELIVERED_TWICE = 'disposition="delivered"'
LEAKED = 'disposition="leaked"'


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
    """Ask which share of eligible streams completed; nothing where there was none."""
    good = increase(FINISHED, COMPLETED, scope=scope, window=window, by=by)
    every = increase(FINISHED, ELIGIBLE, scope=scope, window=window, by=by)
    return f"{good} / ({every} > 0)"


def completion_errors(scope: str, window: str, by: tuple[str, ...] = ()) -> str:
    """Ask which share of eligible streams failed; nothing where there was none."""
    failed = increase(FINISHED, BAD, scope=scope, window=window, by=by)
    every = increase(FINISHED, ELIGIBLE, scope=scope, window=window, by=by)
    return f"{failed} / ({every} > 0)"


def burn_rate(scope: str, window: str, by: tuple[str, ...] = (), slo: Slo = SLO) -> str:
    """Ask how many times faster than allowed the completion budget is spent."""
    return f"({completion_errors(scope, window, by)}) / {slo.completion_budget:g}"


def budget_left(scope: str, window: str, slo: Slo = SLO) -> str:
    """Ask which share of the window's completion budget is not yet spent."""
    return f"1 - {burn_rate(scope, window, slo=slo)}"


def quantile(q: float, metric: str, *matchers: str, scope: str, window: str, by: tuple[str, ...] = ()) -> str:
    """Ask below which value the share ``q`` of observations lies."""
    buckets = f"rate({select(metric + '_bucket', *matchers, scope=scope)}[{window}])"
    return f"histogram_quantile({q:g}, {total(buckets, 'le', *by)})"
