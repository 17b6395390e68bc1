"""The dashboards are what is committed, Grafana can read them, and they are laid out as they should be."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from alerts import links
from alerts.rules import alert_names
from dashboards import __main__ as command
from dashboards import frame, panels, rendered
from dashboards.frame import PANELS_MAX, TITLES, encode
from dashboards.grafana import EXEMPLAR_LABEL
from dashboards.sdk import dashboard_model, register_default_plugins
from sidecar.observability.catalogue import CATALOGUE
from sidecar.observability.slo import SLO

ROOT = Path(__file__).parents[3]
PER_ROUTE = {
    metric.name + suffix
    for metric in CATALOGUE
    if metric.per_route
    for suffix in ("", "_bucket", "_count", "_sum")
}
BOARDS = {str(board.uid): encode(board) for board in rendered.boards()}
UIDS = list(BOARDS)


def board(uid: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(BOARDS[uid])
    return found


def provisioned(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((rendered.HOME / "provisioning" / name).read_text())
    return found


def shown(uid: str) -> list[dict[str, Any]]:
    """The panels without the rows."""
    return [panel for panel in board(uid)["panels"] if panel["type"] != "row"]


def test_what_is_committed_is_what_would_be_generated() -> None:
    assert rendered.stale() == {}


def test_there_is_no_generated_dashboard_that_nobody_generates() -> None:
    assert {path.stem for path in (rendered.HOME / "generated").iterdir()} == set(TITLES)


def test_the_command_says_which_files_are_stale_and_writes_them(tmp_path: Path) -> None:
    into = ["--into", str(tmp_path)]
    assert CliRunner().invoke(command.main, into).exit_code == 0
    assert CliRunner().invoke(command.main, ["--check", *into]).exit_code == 0
    (tmp_path / "generated" / "sse-overview.json").write_text("{}\n")
    said = CliRunner().invoke(command.main, ["--check", *into])
    assert said.exit_code == 1
    assert f"stale in {tmp_path}: generated/sse-overview.json; run" in said.output


@pytest.mark.parametrize("uid", UIDS)
def test_grafanas_own_schema_reads_every_key_and_writes_the_same(uid: str) -> None:
    register_default_plugins()
    read = dashboard_model.Dashboard.from_json(board(uid))
    assert json.loads(encode(read)) == board(uid)


@pytest.mark.parametrize("uid", UIDS)
def test_no_panel_leaves_the_grid_or_covers_another(uid: str) -> None:
    places = [panel["gridPos"] for panel in board(uid)["panels"]]
    assert all(at["x"] + at["w"] <= 24 for at in places)
    cells = [
        {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        for at in places
    ]
    assert not [a & b for a, b in combinations(cells, 2) if a & b]


@pytest.mark.parametrize("uid", UIDS)
def test_every_line_of_panels_fills_the_width(uid: str) -> None:
    widths: Counter[int] = Counter()
    for panel in shown(uid):
        widths[panel["gridPos"]["y"]] += panel["gridPos"]["w"]
    assert set(widths.values()) == {24}


def test_a_panel_that_leaves_the_grid_or_covers_another_is_refused() -> None:
    def box(x: int, y: int) -> frame.Box:
        return (f"at {x}", dashboard_model.GridPos(x=x, y=y, w=16, h=8))

    with pytest.raises(ValueError, match="'at 16' leaves the grid"):
        frame.check_grid([box(0, 0), box(16, 0)])
    with pytest.raises(ValueError, match="'at 0' covers 'at 8'"):
        frame.check_grid([box(0, 0), box(8, 7)])
    frame.check_grid([box(0, 0), box(8, 8)])


def test_the_id_of_a_panel_is_a_matter_of_its_title_and_not_of_its_place() -> None:
    assert frame.panel_id("sse-overview", "stat", "Do streams complete?") == 1136102028
    ids = [panel["id"] for uid in UIDS for panel in board(uid)["panels"]]
    assert len(set(ids)) == len(ids)


def test_two_panels_of_one_title_are_refused() -> None:
    twin = [panels.graph("Same?", "", panels.Query("up")) for _ in range(2)]
    builder = frame.frame("sse-overview", "").with_panel(twin[0]).with_panel(twin[1])
    with pytest.raises(ValueError, match="same type and title"):
        frame.finish(builder)


@pytest.mark.parametrize("uid", UIDS)
def test_a_dashboard_asks_no_more_than_sixteen_questions_each_with_an_explanation(uid: str) -> None:
    assert 1 <= len(shown(uid)) <= PANELS_MAX == 16
    for panel in board(uid)["panels"]:
        assert re.fullmatch(r"[A-Z].*\?( \(.+\))?", panel["title"]), panel["title"]
    for panel in shown(uid):
        assert panel["description"].endswith("."), panel["title"]
        assert len(panel["description"]) >= 40, panel["title"]


@pytest.mark.parametrize("uid", UIDS)
def test_a_dashboard_is_utc_fresh_crosshaired_and_of_the_four_variables(uid: str) -> None:
    found = board(uid)
    assert (found["timezone"], found["refresh"], found["graphTooltip"]) == ("utc", "30s", 1)
    assert [v["name"] for v in found["templating"]["list"]] == ["datasource", "job", "instance", "route"]
    marks = [annotation["name"] for annotation in found["annotations"]["list"]]
    assert marks == ["Firing alerts", "Restarts", "Version changes"]


@pytest.mark.parametrize("uid", UIDS)
def test_a_dashboard_leads_to_the_others_with_what_was_chosen_and_hides_no_link(uid: str) -> None:
    others = [link for link in board(uid)["links"] if link["url"].startswith("/d/")]
    assert [link["url"] for link in others] == [f"/d/{other}" for other in TITLES if other != uid]
    assert all(link["includeVars"] and link["keepTime"] for link in others)
    assert "inControlsMenu" not in BOARDS[uid]


def test_every_address_in_a_dashboard_leads_to_a_dashboard_or_a_runbook() -> None:
    for uid, text in BOARDS.items():
        for target in re.findall(r'"/d/([\w-]+)', text):
            assert target in BOARDS, uid
        for address in re.findall(r'"(https?://[^"]*)"', text):
            assert address in {links.RUNBOOKS, f"{links.RUNBOOKS}/${{__value.raw}}.md"}, uid
    for alert in alert_names():
        assert (ROOT / "runbooks" / f"{alert}.md").exists()


def test_alerts_lead_to_dashboards_that_exist() -> None:
    rules = (ROOT / "alerts" / "generated" / "rules.yaml").read_text()
    led_to = set(re.findall(r"/d/([\w-]+)", rules))
    assert led_to
    assert led_to <= set(BOARDS)


@pytest.mark.parametrize(
    ("title", "edges"),
    [
        ("Do streams complete?", [("red", None), ("green", SLO.completion_objective)]),
        ("Back within 5 s?", [("red", None), ("green", SLO.reconnect_objective)]),
        ("Were messages lost?", [("green", None), ("red", 0.5)]),
        ("Did any arrive twice?", [("green", None), ("red", 0.5)]),
        ("Did any fail silently?", [("green", None), ("red", 0.5)]),
        ("Do stalls recover?", [("blue", None)]),
        (
            "How fast is the budget spent?",
            [("transparent", None), ("yellow", 1), ("orange", 6), ("red", 14.4)],
        ),
    ],
)
def test_the_objectives_are_the_thresholds(title: str, edges: list[tuple[str, float | None]]) -> None:
    (panel,) = (panel for panel in shown("sse-overview") if panel["title"] == title)
    found = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(step["color"], step["value"]) for step in found] == edges


def test_the_canary_is_nobodys_user() -> None:
    looked_at = 0
    for uid in UIDS:
        for panel in shown(uid):
            for target in panel["targets"]:
                for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", target["expr"]):
                    if name in PER_ROUTE and name != "sse_log_bytes":
                        assert re.search(r'route!?="__canary__"', matchers), panel["title"]
                        looked_at += 1
    assert looked_at > 50


def test_a_dot_of_a_heatmap_leads_to_the_stream_that_it_was() -> None:
    (heat,) = (panel for panel in shown("sse-overview") if panel["type"] == "heatmap")
    assert heat["targets"][0]["exemplar"]
    (source,) = provisioned("datasources/sse.yaml")["datasources"]
    (destination,) = source["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["name"] == EXEMPLAR_LABEL == "stream_id"
    assert destination["url"] == "http://127.0.0.1:9464/streams/$${__value.raw}"


def test_grafana_rates_over_the_interval_that_prometheus_scrapes_at() -> None:
    (source,) = provisioned("datasources/sse.yaml")["datasources"]
    assert source["jsonData"]["timeInterval"] == f"{SLO.scrape_interval_s:g}s"


def test_grafana_opens_with_the_overview_out_of_the_folder_that_it_provisions() -> None:
    (provider,) = provisioned("dashboards/sse.yaml")["providers"]
    home = f"default_home_dashboard_path = {provider['options']['path']}/sse-overview.json"
    assert home in (rendered.HOME / "provisioning/grafana.ini").read_text()
