"""Every alert is drilled: fault, alert, the page that it names is followed, recovery, the alert resolves."""

import asyncio
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
import yaml

from alerts.rules import alert_names
from compose.faults import COMPLETION, RECONNECT
from tests.kit.prometheus import needs_prometheus
from tests.kit.runbook import Runbook
from tests.monitoring.drills.causes import CAUSES, SPEEDS, Cause
from tests.monitoring.drills.course import Result, run_all
from tests.monitoring.drills.drill import Times
from tests.monitoring.drills.editor import edited
from tests.monitoring.drills.shell import CommandFailed, Shell
from tests.monitoring.drills.site import BINARIES
from tests.monitoring.drills.stamp import stamped

SLOW = [cause for cause in CAUSES if cause.alert in {COMPLETION, RECONNECT}]
QUICK = [cause for cause in CAUSES if cause not in SLOW]
"""Two courses, since a hang is reported after five minutes."""

needs_tools = pytest.mark.needs("curl")
SHELL_ENV = {"PATH": "/usr/bin:/bin"}


def _name(cause: Cause) -> str:
    return f"{cause.alert}: {cause.name}"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Cause, Result]:
    return asyncio.run(run_all(tmp_path_factory.mktemp("slow-drills"), SLOW))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Cause, Result]:
    return asyncio.run(run_all(tmp_path_factory.mktemp("quick-drills"), QUICK))


@needs_prometheus
@needs_tools
@pytest.mark.slow
@pytest.mark.prometheus
@pytest.mark.parametrize("cause", SLOW, ids=_name)
def test_the_runbook_finds_the_cause_and_mends_it(cause: Cause, slow: Mapping[Cause, Result]) -> None:
    _assert_drilled(slow[cause])


@needs_prometheus
@needs_tools
@pytest.mark.slow
@pytest.mark.prometheus
@pytest.mark.parametrize("cause", QUICK, ids=_name)
def test_the_runbook_finds_a_cause_that_is_quick_to_show(cause: Cause, quick: Mapping[Cause, Result]) -> None:
    _assert_drilled(quick[cause])


def _assert_drilled(result: Result) -> None:
    if isinstance(result, Exception):
        raise result
    assert isinstance(result, Times)


@pytest.mark.parametrize("alert", alert_names())
def test_every_alert_is_drilled_with_two_causes_or_more_that_lead_to_different_ways_out(alert: str) -> None:
    rows = {question.name: question.mitigation for question in Runbook.read(alert).questions}
    ways = [rows[cause.row] for cause in CAUSES if cause.alert == alert]
    assert len(ways) >= 2
    assert len(set(ways)) == len(ways)


@pytest.mark.parametrize("alert", alert_names())
def test_the_stamp_of_a_runbook_is_of_the_drills_that_there_are(alert: str) -> None:
    drilled = Runbook.read(alert).front["drilled"]
    assert list(drilled["causes"]) == [cause.name for cause in CAUSES if cause.alert == alert]
    assert drilled["speed"] == SPEEDS[alert]


async def test_a_runbook_s_command_that_fails_is_a_failure(tmp_path: Path) -> None:
    broken = Shell('export PROM="${PROM:-http://127.0.0.1:1}"', tmp_path)
    for command in ("exit 3", "false | true", 'echo "$NEVER_SET"', "no-such-command", "echo {; exit 1"):
        with pytest.raises(CommandFailed, match="exit code"):
            await broken.run(command, SHELL_ENV)


async def test_a_command_of_the_runbooks_that_was_renamed_since_is_a_failure(tmp_path: Path) -> None:
    book = Runbook.read("SSESidecarDown")
    (command,) = [command for command in book.commands if command.startswith("sse-sidecar evidence")]
    shell = Shell(book.preamble, tmp_path)
    site = {"PATH": f"{BINARIES}:/usr/bin:/bin", "ADMIN": "http://127.0.0.1:1", "CONFIG": "absent.yaml"}
    assert "wrote sse-evidence-" in await shell.run(command, site)
    with pytest.raises(CommandFailed, match="No such command 'evidences'"):
        await shell.run(command.replace(" evidence", " evidences"), site)


async def test_a_runbook_s_command_that_hangs_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"still running after 0\.2 s"):
        await Shell("", tmp_path).run("sleep 60", SHELL_ENV, within_s=0.2)


async def test_a_command_sees_the_site_s_variables_and_else_the_preamble_s(tmp_path: Path) -> None:
    shell = Shell('export A="${A:-one}"\nexport B="${B:-two}"', tmp_path)
    assert await shell.run('echo "$A $B"', SHELL_ENV | {"B": "three"}) == "one three\n"


def test_the_editor_writes_a_setting_into_the_route_of_the_alert() -> None:
    config = {"upstream": "http://a", "routes": [{"name": "chat", "path": "/c"}, {"name": "feed"}]}
    setting = {"principal": ["capability"], "routes": [{"name": "example", "linger_s": 5}]}
    assert edited(config, setting, "chat") == {
        "upstream": "http://a",
        "principal": ["capability"],
        "routes": [{"name": "chat", "path": "/c", "linger_s": 5}, {"name": "feed"}],
    }
    assert edited(config, {}, "chat") == config


def test_the_editor_writes_a_setting_into_the_job_of_the_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB", "sidecars")
    config = {"scrape_configs": [{"job_name": "sidecars"}, {"job_name": "other"}]}
    setting = {"scrape_configs": [{"job_name": "example", "authorization": {"credentials": "x"}}]}
    assert edited(config, setting, "chat") == {
        "scrape_configs": [
            {"job_name": "sidecars", "authorization": {"credentials": "x"}},
            {"job_name": "other"},
        ]
    }


def test_a_stamp_takes_the_place_of_the_one_before() -> None:
    page = "---\nalert: A\ndrilled: never\n---\n\n# A\n\n---\ndrilled: no\n"
    times = {"a cause": {"fires_s": 1.0}}
    once = stamped(page, on=date(2026, 1, 2), commit="abc1234", speed=60, causes=times)
    twice = stamped(once, on=date(2026, 1, 3), commit="abc1234", speed=60, causes=times)
    front = yaml.safe_load(twice.split("---\n")[1])
    assert front == {
        "alert": "A",
        "drilled": {"date": date(2026, 1, 3), "commit": "abc1234", "speed": 60, "causes": times},
    }
    assert twice.endswith("---\n\n# A\n\n---\ndrilled: no\n")


def test_a_page_without_a_place_for_the_stamp_is_refused() -> None:
    with pytest.raises(ValueError, match="no `drilled:`"):
        stamped("# A\n", on=date(2026, 1, 2), commit="abc1234", speed=60, causes={})
