"""What an alert tells the person it wakes: read here as it would be read in the message."""

from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from alerts import rules
from sidecar import __version__
from tests.kit.promtool import needs_promtool, series, tool

pytestmark = [pytest.mark.prometheus, needs_promtool]

PAGES = f"https://github.com/sse-sidecar/sse-sidecar/blob/v{__version__}/runbooks"
GRAFANA = "http://localhost:3000/d"
HOURS = "from=now-3h&to=now"
STREAMS = "sse_streams_finished_total"
RECONNECTS = "sse_reconnect_duration_seconds"
STARTED = {series("process_start_time_seconds"): "0x40"}


class AlertText(NamedTuple):
    """What an alert says, given these samples; ``dashboard`` is what follows Grafana's address."""

    alert: str
    given: dict[str, str]
    labels: dict[str, str]
    summary: str
    description: str
    dashboard: str

    @property
    def annotations(self) -> dict[str, str]:
        return {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": f"{PAGES}/{self.alert}.md",
            "dashboard_url": f"{GRAFANA}/{self.dashboard.format(hours=HOURS)}",
        }


TOLD = [
    AlertText(
        "SSECompletionBudgetBurn",
        {
            series(STREAMS, route="chat", outcome="completed"): "0+99x40",
            series(STREAMS, route="chat", outcome="upstream_error"): "0+1x40",
        },
        {"route": "chat", "severity": "warning"},
        "Streams on chat fail faster than the completion objective allows.",
        "1% of the streams on chat that nobody stopped on purpose did not complete; 0.5 % may.",
        "sse-overview?{hours}&var-job=sse-sidecar&var-route=chat",
    ),
    AlertText(
        "SSEReconnectTooSlow",
        {
            series(f"{RECONNECTS}_count", route="chat", side="client", outcome="gave_up"): "0+1x40",
            series(
                f"{RECONNECTS}_bucket", route="chat", side="client", outcome="resumed", le="5.0"
            ): "0+3x40",
            series(f"{RECONNECTS}_count", route="chat", side="client", outcome="resumed"): "0+3x40",
        },
        {"route": "chat", "side": "client", "severity": "warning"},
        "Lost connections on chat come back too slowly (client side).",
        "25% of the client reconnects on chat in 30m took more than 5 s or were given up; 5 % may.",
        "sse-reconnects?{hours}&var-job=sse-sidecar&var-route=chat",
    ),
    AlertText(
        "SSEMessageIntegrityViolation",
        {series("sse_messages_lost_total", route="chat", stage="sidecar", reason="window"): "0x29 7x10"},
        {
            "route": "chat",
            "stage": "sidecar",
            "reason": "window",
            "violation": "lost",
            "severity": "critical",
        },
        "Messages on chat were lost.",
        "Messages on chat that were lost within 10m: 7 (stage sidecar, reason window); none may.",
        "sse-integrity?{hours}&var-job=sse-sidecar&var-route=chat",
    ),
    AlertText(
        "SSEMessageIntegrityViolation",
        {
            series(
                "sse_messages_duplicated_total", route="chat", stage="client", disposition="delivered"
            ): "0x29 2x10",
            series(
                "sse_messages_duplicated_total",
                instance="b",
                route="chat",
                stage="client",
                disposition="delivered",
            ): "0x29 3x10",
        },
        {"route": "chat", "stage": "client", "violation": "duplicated", "severity": "warning"},
        "Messages on chat were duplicated.",
        "Messages on chat that were duplicated within 10m: 5 (stage client); none may.",
        "sse-integrity?{hours}&var-job=sse-sidecar&var-route=chat",
    ),
    AlertText(
        "SSESilentFailure",
        {series("sse_silent_failures_total", route="chat", kind="hung", disposition="leaked"): "0x29 1x10"},
        {"route": "chat", "kind": "hung", "severity": "critical"},
        "Streams fail, or may fail, without the client being told (hung).",
        "Streams on chat that failed and looked healthy: 1 within 10m; none may.",
        "sse-integrity?{hours}&var-job=sse-sidecar&var-route=chat",
    ),
    AlertText(
        "SSESilentFailure",
        {series("sse_watchdog_last_pass_timestamp_seconds"): "1620x40"},
        {"instance": "a", "kind": "watchdog_stopped", "severity": "critical"},
        "Streams fail, or may fail, without the client being told (watchdog_stopped).",
        "The watchdog of a last looked 5m 0s ago: a stream that hangs would go unnoticed.",
        "sse-integrity?{hours}&var-job=sse-sidecar&var-instance=a",
    ),
    AlertText(
        "SSESilentFailure",
        {series("sse_canary_mismatches_total"): "0x29 4x10"},
        {"instance": "a", "kind": "canary_mismatch", "severity": "critical"},
        "Streams fail, or may fail, without the client being told (canary_mismatch).",
        "Canary streams of a that did not come back as sent: 4 within 10m; "
        "what users receive there cannot be trusted.",
        "sse-integrity?{hours}&var-job=sse-sidecar&var-instance=a",
    ),
    AlertText(
        "SSESidecarDown",
        {series("up", instance="10.0.0.7:9464"): "0x40"},
        {"instance": "10.0.0.7:9464", "severity": "critical"},
        "Prometheus cannot scrape 10.0.0.7:9464.",
        "10.0.0.7:9464 of sse-sidecar does not answer; no other alert of this job can be trusted now.",
        "sse-overview?{hours}&var-job=sse-sidecar&var-instance=10.0.0.7%3A9464",
    ),
    AlertText(
        "SSESidecarDown",
        {series("up", job="elsewhere"): "1x40"},
        {"severity": "critical"},
        "Prometheus cannot scrape sse-sidecar.",
        "There is no target of sse-sidecar; no other alert of this job can be trusted now.",
        "sse-overview?{hours}&var-job=sse-sidecar",
    ),
]


@pytest.mark.parametrize("told", TOLD, ids=lambda told: told.summary)
def test_an_alert_says_what_is_true_and_where_to_go(told: AlertText, tmp_path: Path) -> None:
    alert = {"exp_labels": {"job": "sse-sidecar"} | told.labels, "exp_annotations": told.annotations}
    test = {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": values} for name, values in (STARTED | told.given).items()
        ],
        "alert_rule_test": [{"eval_time": "32m", "alertname": told.alert, "exp_alerts": [alert]}],
    }
    (tmp_path / "rules.yaml").write_text(rules.render())
    (tmp_path / "test.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]})
    )
    verdict = tool("promtool", "test", "rules", tmp_path / "test.yaml")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
