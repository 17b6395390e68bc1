"""The rule file: recordings and alerts in one group.

So both are evaluated for the same moment.
"""

from typing import cast

import yaml

from alerts.alerting import Alert, alerts
from alerts.duration import duration
from alerts.recordings import Recording, recordings
from sidecar.observability.slo import SLO, Slo

HEAD = (
    "# Made by `python -m alerts` out of sidecar/observability/slo.py and alerts/*.py: "
    "change those, not this.\n"
)
EVALUATION_INTERVAL_MIN_S = 1
"""However fast a drill runs, nobody scrapes more often."""

Rule = dict[str, object]


class _Lines(str):
    """A string that YAML shows line by line."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Shows expressions as they are read."""


_Dumper.add_representer(
    _Lines, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
)


def render(slo: Slo = SLO) -> str:
    """Return the rule file for Prometheus.

    The ``Slo`` of a drill shortens every window and wait.
    """
    group = {
        "name": slo.job,
        "interval": duration(max(EVALUATION_INTERVAL_MIN_S, slo.evaluation_interval_s / slo.speed)),
        "rules": [*map(_recording, recordings(slo)), *(_alert(alert, slo) for alert in alerts(slo))],
    }
    return HEAD + yaml.dump({"groups": [group]}, Dumper=_Dumper, sort_keys=False, width=1_000)


def alert_names() -> list[str]:
    """Return the names of the alerts; each has a runbook of the same name."""
    return [alert.name for alert in alerts(SLO)]


def expressions(slo: Slo = SLO) -> dict[str, str]:
    """Return every expression by the name of its recording or alert."""
    return {rule.record: rule.expr for rule in recordings(slo)} | {
        alert.name: alert.expr for alert in alerts(slo)
    }


def _recording(recording: Recording) -> Rule:
    return {"record": recording.record, "expr": _Lines(recording.expr)}


def _alert(alert: Alert, slo: Slo) -> Rule:
    """Return a rule without the keys that say nothing."""
    rule: Rule = {
        "alert": alert.name,
        "expr": _Lines(alert.expr),
        "for": alert.for_s and duration(alert.for_s / slo.speed),
        "keep_firing_for": alert.keep_s and duration(alert.keep_s / slo.speed),
        "labels": {"severity": alert.severity} if alert.severity else None,
        "annotations": cast("object", alert.annotations),
    }
    return {key: value for key, value in rule.items() if value}
