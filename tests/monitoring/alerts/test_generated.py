"""The files in alerts/generated: fresh, sound to the tools that will read them, and quick in a drill."""

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from alerts import rules
from alerts.__main__ import GENERATED, main
from alerts.duration import duration
from sidecar.observability.slo import SLO, Slo
from tests.kit.promtool import needs_promtool, tool

ALERTS = [
    "SSECompletionBudgetBurn",
    "SSEReconnectTooSlow",
    "SSEMessageIntegrityViolation",
    "SSESilentFailure",
    "SSESidecarDown",
]


def test_the_committed_files_are_what_would_be_written() -> None:
    result = CliRunner().invoke(main, ["--check"])
    assert (result.exit_code, result.output) == (0, "")


def test_a_stale_file_is_named_and_so_is_the_way_out(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["--root", str(tmp_path)])
    (tmp_path / "generated" / "rules.yaml").write_text("groups: []\n")
    result = CliRunner().invoke(main, ["--check", "--root", str(tmp_path)])
    assert result.exit_code == 1
    way_out = "Run `python -m alerts` and commit what it writes."
    assert result.output == f"Error: stale in {tmp_path}: generated/rules.yaml. {way_out}\n"


def test_a_stale_table_is_named_too(tmp_path: Path) -> None:
    page = "# Page\n\n<!-- generated: burn-rates -->\nold\n<!-- end -->\n\nand its prose\n"
    (tmp_path / "README.md").write_text(page)
    stale = CliRunner().invoke(main, ["--check", "--root", str(tmp_path)])
    assert "README.md. Run `python -m alerts`" in stale.output
    CliRunner().invoke(main, ["--root", str(tmp_path)])
    fresh = (tmp_path / "README.md").read_text()
    assert "| critical | 14.4 | 7.20% | 1h | 5m |\n" in fresh
    assert fresh.endswith("\n<!-- end -->\n\nand its prose\n")


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["--check", "--root", str(tmp_path)]).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    first = CliRunner().invoke(main, ["--root", str(tmp_path)])
    made = tmp_path / "generated"
    assert first.output == f"wrote {made}/rules.yaml\nwrote {made}/alertmanager.yaml\n"
    assert CliRunner().invoke(main, ["--root", str(tmp_path)]).output == ""


@pytest.mark.prometheus
@needs_promtool
@pytest.mark.parametrize("speed", [1, 7, 60, 360])
def test_promtool_finds_nothing_to_say_about_the_rules(speed: float, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(rules.render(Slo(speed=speed)))
    verdict = tool("promtool", "check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yaml")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_there_are_exactly_five_alerts() -> None:
    group = yaml.safe_load((GENERATED / "rules.yaml").read_text())["groups"][0]
    assert [rule["alert"] for rule in group["rules"] if "alert" in rule] == ALERTS
    assert rules.alert_names() == ALERTS


def test_every_expression_can_be_asked_for_by_its_name() -> None:
    group = yaml.safe_load(rules.render())["groups"][0]
    written = {rule.get("record") or rule["alert"]: rule["expr"] for rule in group["rules"]}
    assert rules.expressions() == written


def test_recordings_are_named_after_the_window_they_look_back_on() -> None:
    for name, expr in rules.expressions(SLO).items():
        for window in re.findall(r"\[(\w+)\]", expr) if name.startswith("job_") else ():
            assert name.endswith(f"rate{window}")


def test_a_drill_shortens_windows_and_waits_and_keeps_names() -> None:
    usual, quick = (yaml.safe_load(rules.render(Slo(speed=speed)))["groups"][0] for speed in (1, 60))
    assert (usual["interval"], quick["interval"]) == ("15s", "1s")
    names = [[rule.get("record") or rule["alert"] for rule in group["rules"]] for group in (usual, quick)]
    assert names[0] == names[1]
    waits = [[rule.get("for") for rule in group["rules"] if "alert" in rule] for group in (usual, quick)]
    assert waits == [["2m", "5m", None, None, "1m"], ["2s", "5s", None, None, "1s"]]
    kept = [
        [rule["keep_firing_for"] for rule in group["rules"] if "keep_firing_for" in rule]
        for group in (usual, quick)
    ]
    assert kept == [["10m"], ["10s"]]


def test_a_drill_divides_every_range_and_what_is_reckoned_with_it() -> None:
    quick = rules.expressions(Slo(speed=60))
    assert "[72m]" in quick["job_route:sse_streams_bad:rate3d"]
    assert "job_route:sse_streams_bad:rate3d * 4320 > 2.5" in quick["SSECompletionBudgetBurn"]
    assert "rate30m * 30 > 4.5" in quick["SSEReconnectTooSlow"]
    assert "[10s]" in quick["SSEMessageIntegrityViolation"]
    assert "offset 10s" in quick["SSEMessageIntegrityViolation"]
    assert 'process_start_time_seconds{job="sse-sidecar"} < 10)' in quick["SSEMessageIntegrityViolation"]


def test_a_drill_leaves_what_the_sidecar_does_in_its_own_time() -> None:
    quick = rules.expressions(Slo(speed=60))
    assert "> 60," in quick["SSESilentFailure"]
    assert 'le="5.0"' in quick["job_route_side:sse_reconnects_slow:rate5m"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (86_400, "1d"),
        (7_200, "2h"),
        (5_400, "90m"),
        (90, "90s"),
        (0.25, "250ms"),
        (1 / 3, "333ms"),
        (0, "1ms"),
    ],
)
def test_durations_are_written_in_the_largest_whole_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text
