"""The Alertmanager configuration: groups, inhibitions and receivers."""

from dataclasses import dataclass

import yaml

from alerts.duration import duration
from alerts.rules import alert_names
from sidecar.observability.slo import SLO, Slo

HEAD = "# Made by `python -m alerts` out of alerts/alertmanager.py: change that, not this.\n"
DOWN = "SSESidecarDown"
BURN = "SSECompletionBudgetBurn"


@dataclass(frozen=True, slots=True)
class Notify:
    """The receivers and their delays; an installation replaces the addresses.

    The webhook pages on-call and gets the critical alerts. The e-mail is read in the morning and gets the
    warnings. Without ``email_to`` the webhook gets every alert. Times are in seconds.
    """

    webhook_url: str = "http://pager.example/sse"
    email_to: str | None = "on-call@example.com"
    email_from: str = "alertmanager@example.com"
    smarthost: str = "localhost:25"
    group_wait_s: float = 30
    group_interval_s: float = 300
    repeat_interval_s: float = 14_400


NOTIFY = Notify()

Part = dict[str, object]


def render(notify: Notify = NOTIFY, slo: Slo = SLO) -> str:
    """Return Alertmanager's configuration file."""
    part: Part = {
        "route": _route(notify, slo),
        "inhibit_rules": _inhibitions(slo),
        "receivers": _receivers(notify),
    }
    return HEAD + yaml.safe_dump(part, sort_keys=False, width=1_000)


def _route(notify: Notify, slo: Slo) -> Part:
    """Tell of all alerts of one kind on one route in one message."""
    timing: Part = {
        "group_by": ["alertname", "job", "route"],
        "group_wait": duration(notify.group_wait_s),
        "group_interval": duration(notify.group_interval_s),
        "repeat_interval": duration(notify.repeat_interval_s),
    }
    if notify.email_to is None:
        return {"receiver": "webhook", **timing}
    critical = {"receiver": "webhook", "matchers": [f'job="{slo.job}"', 'severity="critical"']}
    return {"receiver": "email", **timing, "routes": [critical]}


def _inhibitions(slo: Slo) -> list[Part]:
    """Inhibit unreliable alerts, and warnings that repeat a page.

    While a sidecar is down, the other alerts of its job are unreliable.

    Lost and duplicated messages are different facts, so neither silences the other.
    """
    job, burn = f'job="{slo.job}"', f'alertname="{BURN}"'
    others = "|".join(name for name in alert_names() if name != DOWN)
    down: Part = {
        "source_matchers": [job, f'alertname="{DOWN}"'],
        "target_matchers": [job, f'alertname=~"{others}"'],
        "equal": ["job"],
    }
    paged: Part = {
        "source_matchers": [job, burn, 'severity="critical"'],
        "target_matchers": [job, burn, 'severity="warning"'],
        "equal": ["alertname", "job", "route"],
    }
    return [down, paged]


def _receivers(notify: Notify) -> list[Part]:
    webhook: Part = {
        "name": "webhook",
        "webhook_configs": [{"url": notify.webhook_url, "send_resolved": True}],
    }
    if notify.email_to is None:
        return [webhook]
    email: Part = {
        "to": notify.email_to,
        "from": notify.email_from,
        "smarthost": notify.smarthost,
        "send_resolved": True,
    }
    return [{"name": "email", "email_configs": [email]}, webhook]
