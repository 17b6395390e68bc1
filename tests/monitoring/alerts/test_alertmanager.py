"""Alertmanager's configuration: who is told of what, what comes in one message, and what silences what."""

import json
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from alerts import alertmanager, rules
from alerts.__main__ import GENERATED
from alerts.alertmanager import Notify
from compose.alertmanager import Alertmanager
from tests.kit.prometheus import alertmanager as running_alertmanager
from tests.kit.prometheus import needs_prometheus
from tests.kit.promtool import needs_amtool, tool

pytestmark = [pytest.mark.prometheus, needs_amtool, needs_prometheus]

CONFIG = GENERATED / "alertmanager.yaml"
JOB = "sse-sidecar"
Labels = Mapping[str, str]


def alert(name: str, severity: str, *, job: str = JOB, **labels: str) -> Labels:
    return {"alertname": name, "severity": severity, "job": job} | labels


def at_once(url: str) -> str:
    return alertmanager.render(Notify(webhook_url=url, email_to=None, group_wait_s=0, group_interval_s=1))


DOWN = alert("SSESidecarDown", "critical", instance="a")
PAGE = alert("SSECompletionBudgetBurn", "critical", route="chat")
WARNING = alert("SSECompletionBudgetBurn", "warning", route="chat")
WARNING_ELSEWHERE = alert("SSECompletionBudgetBurn", "warning", route="search")
SLOW = alert("SSEReconnectTooSlow", "warning", route="chat", side="client")
LOST = alert("SSEMessageIntegrityViolation", "critical", route="chat", stage="sidecar", violation="lost")
TWICE = alert("SSEMessageIntegrityViolation", "warning", route="chat", stage="client", violation="duplicated")
SILENT = alert("SSESilentFailure", "critical", route="chat", kind="hung")
OTHER_JOB = alert("SSECompletionBudgetBurn", "warning", job="sse-sidecar-staging", route="chat")
SOMEBODY_ELSES = alert("DiskFull", "warning", instance="a")


async def post(am: Alertmanager, alerts: list[Labels]) -> None:
    body = json.dumps([{"labels": labels} for labels in alerts])
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        answer = await session.post(f"{am.url}/api/v2/alerts", data=body, headers=headers)
        answer.raise_for_status()


async def get(am: Alertmanager, path: str) -> list[dict[str, dict[str, str]]]:
    async with aiohttp.ClientSession() as session, session.get(f"{am.url}/api/v2/{path}") as answer:
        answer.raise_for_status()
        found: list[dict[str, dict[str, str]]] = await answer.json()
        return found


async def silenced(tmp_path: Path, alerts: list[Labels]) -> list[Labels]:
    """Return those of the alerts that a real Alertmanager holds back because of others."""
    async with running_alertmanager(tmp_path, at_once) as am:
        await post(am.running, alerts)
        shown = await get(am.running, "alerts")
    assert len(shown) == len(alerts)
    held = [each["labels"] for each in shown if each["status"]["inhibitedBy"]]
    return [labels for labels in alerts if labels in held]


@pytest.mark.parametrize(
    "notify", [Notify(), Notify(email_to=None), Notify(group_wait_s=0, group_interval_s=1)]
)
def test_amtool_accepts_the_configuration(notify: Notify, tmp_path: Path) -> None:
    (tmp_path / "alertmanager.yaml").write_text(alertmanager.render(notify))
    verdict = tool("amtool", "check-config", tmp_path / "alertmanager.yaml")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (DOWN, "webhook"),
        (PAGE, "webhook"),
        (LOST, "webhook"),
        (SILENT, "webhook"),
        (WARNING, "email"),
        (SLOW, "email"),
        (TWICE, "email"),
        (alert("DiskFull", "critical", job="node"), "email"),
    ],
)
def test_what_is_critical_wakes_somebody_and_the_rest_waits_for_the_morning(
    labels: Labels, receiver: str
) -> None:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    verify = ("--config.file", CONFIG, f"--verify.receivers={receiver}")
    verdict = tool("amtool", "config", "routes", "test", *verify, *pairs)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_the_verdict_of_amtool_can_be_no() -> None:
    verify = ("--config.file", CONFIG, "--verify.receivers=email")
    verdict = tool("amtool", "config", "routes", "test", *verify, f"job={JOB}", "severity=critical")
    assert verdict.returncode != 0


async def test_a_sidecar_that_is_down_silences_the_other_four_of_its_job_only(tmp_path: Path) -> None:
    others = [PAGE, SLOW, LOST, SILENT]
    assert {DOWN["alertname"], *(labels["alertname"] for labels in others)} == set(rules.alert_names())
    assert await silenced(tmp_path, [DOWN, *others, OTHER_JOB, SOMEBODY_ELSES]) == others


async def test_a_page_silences_the_warning_of_the_same_route_only(tmp_path: Path) -> None:
    assert await silenced(tmp_path, [PAGE, WARNING, WARNING_ELSEWHERE, OTHER_JOB]) == [WARNING]


async def test_lost_messages_do_not_silence_duplicates(tmp_path: Path) -> None:
    assert await silenced(tmp_path, [LOST, TWICE, SILENT, SLOW]) == []


async def test_one_message_tells_of_all_alerts_of_a_kind_on_a_route(tmp_path: Path) -> None:
    trimmed = {**LOST, "stage": "client"}
    async with running_alertmanager(tmp_path, at_once) as am:
        await post(am.running, [LOST, trimmed, {**LOST, "route": "search"}, PAGE])
        await am.until("SSEMessageIntegrityViolation", route="search")
        groups = await get(am.running, "alerts/groups")
    together = {tuple(group["labels"].values()): len(group["alerts"]) for group in groups}
    assert together == {
        ("SSECompletionBudgetBurn", JOB, "chat"): 1,
        ("SSEMessageIntegrityViolation", JOB, "chat"): 2,
        ("SSEMessageIntegrityViolation", JOB, "search"): 1,
    }


async def test_a_webhook_alone_is_told_of_everything(tmp_path: Path) -> None:
    async with running_alertmanager(tmp_path, at_once) as am:
        await post(am.running, [SLOW])
        told = await am.until("SSEReconnectTooSlow", side="client")
    assert told.labels == SLOW
