"""The five alerts: their conditions, and their texts for on-call."""

from dataclasses import dataclass
from textwrap import indent

from alerts import links, queries, recordings
from alerts.duration import span_s
from sidecar.observability.slo import BurnRate, Severity, Slo, Window

COUNT = '{{ $value | printf "%.0f" }}'
"""``increase`` extrapolates: what it counts is seldom a whole number, what happened always is."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; waits are in unscaled seconds.

    ``severity`` is None if the expression sets it.
    """

    name: str
    expr: str
    summary: str
    description: str
    dashboard: str
    severity: Severity | None = None
    for_s: float = 0
    keep_s: float = 0

    @property
    def annotations(self) -> dict[str, str]:
        """Return what a notification shows."""
        return {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": links.runbook(self.name),
            "dashboard_url": links.dashboard(self.dashboard),
        }


def alerts(slo: Slo) -> list[Alert]:
    """Return the five alerts."""
    return [completion(slo), reconnect(slo), integrity(slo), silent(slo), down(slo)]


def completion(slo: Slo) -> Alert:
    """Fire when failures spend the error budget too fast."""
    return Alert(
        "SSECompletionBudgetBurn",
        "\nor\n".join(_burns(slo, rate) for rate in slo.burn_rates),
        "Streams on {{ $labels.route }} fail faster than the completion objective allows.",
        "{{ $value | humanizePercentage }} of the streams on {{ $labels.route }} that nobody stopped on "
        f"purpose did not complete; {_percent(slo.completion_budget)} may.",
        "sse-overview",
        for_s=slo.completion_for_s,
    )


def reconnect(slo: Slo) -> Alert:
    """Wake in the morning when too many reconnects are slow or given up."""
    long, short = slo.reconnect_long, slo.reconnect_short
    limit = f"{slo.reconnect_budget:g}"
    return Alert(
        "SSEReconnectTooSlow",
        f"{recordings.slow_share(long)} > {limit}\n"
        f"and {recordings.slow_share(short)} > {limit}\n"
        f"and {_count(recordings.slow(long), long, slo)} > {slo.slow_reconnects_min - 0.5:g}",
        "Lost connections on {{ $labels.route }} come back too slowly ({{ $labels.side }} side).",
        f"{{{{ $value | humanizePercentage }}}} of the {{{{ $labels.side }}}} reconnects on "
        f"{{{{ $labels.route }}}} in {long.name} took more than {slo.reconnect_s:g} s or were given up; "
        f"{_percent(slo.reconnect_budget)} may.",
        "sse-reconnects",
        "warning",
        for_s=slo.reconnect_for_s,
    )


def integrity(slo: Slo) -> Alert:
    """Page for the first lost message, and warn about repeated ones."""
    lost = _counted(slo, queries.LOST, by=("stage", "reason"))
    twice = _counted(slo, queries.DUPLICATED, queries.DELIVERED_TWICE, by=("stage",))
    return Alert(
        "SSEMessageIntegrityViolation",
        f"{_labelled(_labelled(lost, 'violation', 'lost'), 'severity', 'critical')}\n"
        f"or\n{_labelled(_labelled(twice, 'violation', 'duplicated'), 'severity', 'warning')}",
        "Messages on {{ $labels.route }} were {{ $labels.violation }}.",
        f"Messages on {{{{ $labels.route }}}} that were {{{{ $labels.violation }}}} within "
        f"{slo.integrity_window.name}: {COUNT} (stage {{{{ $labels.stage }}}}"
        "{{ with $labels.reason }}, reason {{ . }}{{ end }}); none may.",
        "sse-integrity",
        keep_s=slo.integrity_keep_s,
    )


def silent(slo: Slo) -> Alert:
    """Page when a stream failed silently, or when its detection failed.

    A drill does not scale the watchdog's age: the watchdog runs once a second at any speed.
    """
    leaked = _counted(slo, queries.SILENT, queries.LEAKED, by=("kind",))
    scope = recordings.of_job(slo)
    age = f"time() - {queries.select(queries.WATCHDOG, scope=scope)}"
    stopped = f"max by (job, instance) ({age}) > {slo.watchdog_age_max_s:g}"
    mismatch = _sum("job", "instance", of=queries.counted(queries.CANARY_MISMATCHES, scope=scope, slo=slo))
    return Alert(
        "SSESilentFailure",
        f"{leaked}\n"
        f"or\n{_labelled(stopped, 'kind', 'watchdog_stopped')}\n"
        f"or\n{_labelled(mismatch, 'kind', 'canary_mismatch')}",
        "Streams fail, or may fail, without the client being told ({{ $labels.kind }}).",
        '{{ if eq $labels.kind "watchdog_stopped" }}The watchdog of {{ $labels.instance }} last looked '
        "{{ $value | humanizeDuration }} ago: a stream that hangs would go unnoticed."
        '{{ else if eq $labels.kind "canary_mismatch" }}Canary streams of {{ $labels.instance }} that did '
        f"not come back as sent: {COUNT} within {slo.integrity_window.name}; what users receive there cannot "
        "be trusted."
        f"{{{{ else }}}}Streams on {{{{ $labels.route }}}} that failed and looked healthy: {COUNT} within "
        f"{slo.integrity_window.name}; none may.{{{{ end }}}}",
        "sse-integrity",
        "critical",
    )


def down(slo: Slo) -> Alert:
    """Wake when a sidecar cannot be scraped, or when there is none to scrape."""
    up = queries.select("up", scope=recordings.of_job(slo))
    return Alert(
        "SSESidecarDown",
        f"{up} == 0\nor\nabsent({up})",
        "Prometheus cannot scrape {{ or $labels.instance $labels.job }}.",
        "{{ with $labels.instance }}{{ . }} of {{ $labels.job }} does not answer"
        "{{ else }}There is no target of {{ $labels.job }}{{ end }}; "
        "no other alert of this job can be trusted now.",
        "sse-overview",
        "critical",
        for_s=slo.down_for_s,
    )


def _burns(slo: Slo, rate: BurnRate) -> str:
    """Return whether both windows burn.

    A short window without traffic does not count as recovery.

    The floor is one of failures: a floor of traffic would mute the total outage of a quiet route.
    """
    limit = f"({rate.factor:g} * {slo.completion_budget:g})"
    long, short = recordings.errors(rate.long), recordings.errors(rate.short)
    enough = f"{_count(recordings.bad(rate.long), rate.long, slo)} > {slo.bad_streams_min - 0.5:g}"
    body = f"{long} > {limit}\nand ({short} > {limit} or ({long} unless {short}))\nand {enough}"
    return _labelled(body, "severity", rate.severity)


def _count(rate: str, window: Window, slo: Slo) -> str:
    """Turn a recorded rate into a count.

    Extrapolation makes it a little more or less than a whole number.
    """
    return f"{rate} * {span_s(window, slo):g}"


def _counted(slo: Slo, metric: str, *matchers: str, by: tuple[str, ...]) -> str:
    """Return the routes that counted an event with an objective of zero."""
    scope = recordings.of_users(slo)
    return _sum(*recordings.BY_ROUTE, *by, of=queries.counted(metric, *matchers, scope=scope, slo=slo))


def _sum(*by: str, of: str) -> str:
    return f"sum by ({', '.join(by)}) (\n{indent(of, '  ')}\n)"


def _labelled(expression: str, label: str, value: str) -> str:
    """Give every result of an expression one more label."""
    return f'label_replace(\n{indent(expression, "  ")},\n  "{label}", "{value}", "", ""\n)'


def _percent(ratio: float) -> str:
    return f"{ratio * 100:g} %"
