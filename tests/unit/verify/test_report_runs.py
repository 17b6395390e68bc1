"""Several runs in one report: what stands beside what, what decides, how figures are written."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import TypeAdapter

from sidecar.cli.verify.report import report
from sidecar.verify.report.comparison import Comparison
from sidecar.verify.report.figures import count, quantity, seconds, share
from sidecar.verify.report.html.page import page
from sidecar.verify.report.markdown import markdown
from sidecar.verify.results import Results
from tests.kit.verify_results import results

JSON = TypeAdapter(Results)


class TestSideBySide:
    def test_the_plain_backend_decides_nothing_beside_others(self) -> None:
        found = Comparison([results()])
        assert [column.decides for column in found.columns] == [False, True]
        assert found.passed

    def test_the_plain_backend_alone_is_judged(self) -> None:
        alone = replace(results(), targets=results().targets[:1], loads=[])
        assert not Comparison([alone]).passed

    def test_a_target_that_failed_fails_the_report(self) -> None:
        other = replace(results().targets[0], name="nginx")
        assert not Comparison([replace(results(), targets=[*results().targets, other])]).passed

    def test_a_load_that_missed_an_objective_fails_the_report_by_its_name(self) -> None:
        load = results().loads[0]
        missed = replace(load.objectives[0], held=False)
        found = Comparison([replace(results(), loads=[replace(load, objectives=[missed])])])
        assert not found.passed
        assert "100 users: failed over 5,120 streams: completion." in found.sentences

    def test_the_same_target_over_two_ways_is_two_columns_with_the_way_in_their_names(self) -> None:
        path = results().path
        assert path is not None
        real = replace(results(), path=replace(path, kind="real"))
        labels = [column.label for column in Comparison([real, results()]).columns]
        assert labels == ["direct (real)", "sidecar (real)", "direct (userspace)", "sidecar (userspace)"]

    def test_two_runs_alike_are_told_apart_by_their_number(self) -> None:
        labels = [column.label for column in Comparison([results(), results()]).columns]
        assert labels == ["direct, run 1", "sidecar, run 1", "direct, run 2", "sidecar, run 2"]

    def test_a_scenario_that_one_target_did_not_run_is_no_verdict(self) -> None:
        sidecar = results().targets[1]
        fewer = replace(sidecar, name="quick", scenarios=sidecar.scenarios[:2])
        rows = Comparison([replace(results(), targets=[sidecar, fewer])]).rows
        assert [row.cells[1] is None for row in rows] == [False, False, True, True, True, True]


class TestFigures:
    @pytest.mark.parametrize(
        ("value", "text"),
        [(1.0, "100 %"), (0.0, "0 %"), (0.9999, "99.9 %"), (0.996, "99.6 %"), (0.95, "95.0 %"), (None, "-")],
    )
    def test_a_share_that_is_not_whole_is_never_shown_as_whole(self, value: float | None, text: str) -> None:
        assert share(value) == text

    @pytest.mark.parametrize(
        ("value", "text"), [(0.0, "0.00 s"), (1.236, "1.24 s"), (41.26, "41.3 s"), (1200.0, "1,200.0 s")]
    )
    def test_a_time_has_two_places_below_ten_seconds(self, value: float, text: str) -> None:
        assert seconds(value) == text

    @pytest.mark.parametrize(("value", "text"), [(5120, "5,120"), (0, "0"), (2.0, "2"), (0.12345, "0.1235")])
    def test_a_number_of_things_is_whole_where_it_is(self, value: float, text: str) -> None:
        assert count(value) == text

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("completion", "50.0 %"),
            ("reconnect_p95_s", "0.50 s"),
            ("reconnect mean", "0.50 s"),
            ("stall_detection_p95_s", "0.50 s"),
            ("sse_reconnect_duration_seconds_sum", "0.50 s"),
            ("messages lost", "0.5"),
            ("reconnects", "0.5"),
        ],
    )
    def test_the_name_of_a_figure_tells_its_unit(self, name: str, text: str) -> None:
        assert quantity(name, 0.5) == text


def _report(*arguments: str) -> Result:
    return CliRunner().invoke(report, arguments)


class TestReportCommand:
    def test_several_runs_become_one_report_in_each_form(self, tmp_path: Path) -> None:
        files = [tmp_path / "a.json", tmp_path / "b.json"]
        for seed, file in enumerate(files):
            file.write_bytes(JSON.dump_json(results(seed)))
        made = tmp_path / "made"
        told = _report(*map(str, files), "--output", str(made))
        assert (told.exit_code, told.output.splitlines()) == (
            0,
            [f"wrote {made / 'sse_test_report.md'}", f"wrote {made / 'sse_test_report.html'}"],
        )
        both = [results(0), results(1)]
        assert (made / "sse_test_report.html").read_text() == page(both)
        assert (made / "sse_test_report.md").read_text() == markdown(both)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("no JSON", "the whole: Invalid JSON"),
            ("{}", "version: Field required"),
            (JSON.dump_json(replace(results(), schema="x/2")).decode(), "its schema is 'x/2'"),
        ],
    )
    def test_a_file_that_holds_no_results_is_named_with_what_is_wrong(
        self, tmp_path: Path, content: str, said: str
    ) -> None:
        file = tmp_path / "a.json"
        file.write_text(content)
        told = _report(str(file), "--output", str(tmp_path))
        assert told.exit_code == 2
        assert f"{file}: " in told.output
        assert said in told.output

    def test_it_wants_a_file(self) -> None:
        assert _report().exit_code == 2
