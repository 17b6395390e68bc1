"""The tables of alerts/README.md, made from the objectives and the alerts."""

from alerts.alerting import alerts
from alerts.duration import duration
from sidecar.cli.reference import MARKED, table
from sidecar.observability.slo import SLO


def alerts_table() -> str:
    """Return when each alert fires."""
    rows = [
        [
            f"[{alert.name}](../runbooks/{alert.name}.md)",
            alert.severity or "critical or warning",
            _when(alert.name),
        ]
        for alert in alerts(SLO)
    ]
    waits = [duration(alert.for_s) if alert.for_s else "at once" for alert in alerts(SLO)]
    head = ("Alert", "Severity", "Fires when", "For")
    return table(head, ([*row, wait] for row, wait in zip(rows, waits, strict=True)))


def burn_table() -> str:
    """Return the windows and limits of the completion alert."""
    rows = (
        [
            rate.severity,
            f"{rate.factor:g}",
            f"{rate.factor * SLO.completion_budget:.2%}",
            rate.long.name,
            rate.short.name,
        ]
        for rate in SLO.burn_rates
    )
    return table(("Severity", "Burn rate", "Share of failures", "Over", "And over"), rows)


TABLES = {"alerts": alerts_table, "burn-rates": burn_table}


def render(page: str) -> str:
    """Return a page with every marked table generated again.

    Raises KeyError for a table that does not exist.
    """
    return MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[4]}", page)


def _when(alert: str) -> str:
    window = SLO.integrity_window.name
    return {
        "SSECompletionBudgetBurn": "a route's streams fail so fast that the budget will not last: see below",
        "SSEReconnectTooSlow": f"more than {SLO.reconnect_budget:.0%} of a route's reconnects on one side "
        f"took over {SLO.reconnect_s:g} s or were given up, over {SLO.reconnect_long.name} and over "
        f"{SLO.reconnect_short.name}, and they were {SLO.slow_reconnects_min} or more",
        "SSEMessageIntegrityViolation": f"a message was lost (critical) or delivered twice (warning) within "
        f"{window}; stays {duration(SLO.integrity_keep_s)} longer",
        "SSESilentFailure": f"within {window} a stream failed and its client was not told, or the canary did "
        f"not come back as it was sent; or the watchdog has not looked for {SLO.watchdog_age_max_s:g} s",
        "SSESidecarDown": "Prometheus cannot scrape a sidecar, or knows of none",
    }[alert]
