# ruff: noqa: FBT003 - setters of the SDK take what they set
"""What every dashboard shares: variables, links, annotations; and the sound grid with its stable ids."""

import hashlib
import json
from collections.abc import Iterator
from itertools import combinations

from alerts import links
from dashboards.panels import GRID_WIDTH, datasource
from dashboards.questions import JOB
from dashboards.sdk import JSONEncoder, dashboard, dashboard_model
from sidecar.config.routes import CANARY_ROUTE

FOLDER = "SSE"
PREFIX = "SSE / "
TAGS = ("sse", "generated")
ID_MAX = 2**31 - 1
"""Grafana keeps panel ids in 32 bits."""

PANELS_MAX = 16
REFRESH = "30s"
RANGE = "now-6h"

OVERVIEW, RECONNECTS, INTEGRITY, RESOURCES = (
    "sse-overview",
    "sse-reconnects",
    "sse-integrity",
    "sse-resources",
)
TITLES = {
    OVERVIEW: "Overview",
    RECONNECTS: "Reconnects and stalls",
    INTEGRITY: "Message integrity",
    RESOURCES: "Sidecar resources",
}
"""The dashboards by uid, in the order in which one reads them."""

Board = dashboard_model.Dashboard
Box = tuple[str, dashboard_model.GridPos]


def frame(uid: str, description: str) -> dashboard.Dashboard:
    """Return a dashboard without panels."""
    board = (
        dashboard.Dashboard(PREFIX + TITLES[uid])
        .uid(uid)
        .description(description)
        .tags(list(TAGS))
        .readonly()
        .refresh(REFRESH)
        .time(RANGE, "now")
        .timezone("utc")
        .tooltip(dashboard_model.DashboardCursorSync.CROSSHAIR)
    )
    for variable in _variables():
        board = board.with_variable(variable)
    for link in _links(uid):
        board = board.link(link)
    for annotation in _annotations():
        board = board.annotation(annotation)
    return board


def finish(builder: dashboard.Dashboard) -> Board:
    """Build a dashboard and give its panels ids; ValueError if the grid is not sound."""
    board = builder.build()
    panels = board.panels or []
    boxes = []
    for panel in panels:
        panel.id_val = panel_id(board.uid or "", panel.type_val, panel.title or "")
        assert panel.grid_pos is not None  # noqa: S101 - the SDK places every panel
        boxes.append((panel.title or "", panel.grid_pos))
    if len({panel.id_val for panel in panels}) < len(panels):
        raise ValueError(f"{board.uid}: two panels have the same type and title")
    check_grid(boxes)
    return board


def panel_id(uid: str, kind: str, title: str) -> int:
    """Return an id that stays when panels move: links to a panel and alerts on it name it."""
    digest = hashlib.sha256(f"{uid}/{kind}/{title}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % ID_MAX + 1


def check_grid(boxes: list[Box]) -> None:
    """Refuse what the SDK lays out in silence: ValueError if a panel leaves the grid or covers another."""
    for title, at in boxes:
        if at.x + at.w > GRID_WIDTH:
            raise ValueError(f"{title!r} leaves the grid: {at.x} + {at.w} > {GRID_WIDTH}")
    for (title, a), (other, b) in combinations(boxes, 2):
        if a.x < b.x + b.w and b.x < a.x + a.w and a.y < b.y + b.h and b.y < a.y + a.h:
            raise ValueError(f"{title!r} covers {other!r}")


def encode(board: Board) -> str:
    """Return the JSON that Grafana imports.

    The SDK always writes ``placement: inControlsMenu``, which newer Grafanas take for: hide it in a menu.
    Links between dashboards are there to be seen, and without the key they are.
    """
    plain = json.loads(JSONEncoder().encode(board))
    for part in (*plain["links"], *plain["annotations"]["list"]):
        del part["placement"]
    return json.dumps(plain, indent=2, sort_keys=True) + "\n"


def _variables() -> Iterator[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    yield dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    yield _variable("job", "sse_build_info")
    yield _variable("instance", 'sse_build_info{job=~"$job"}')
    users = f'sse_streams_started_total{{job=~"$job", instance=~"$instance", route!="{CANARY_ROUTE}"}}'
    yield _variable("route", users)


def _variable(label: str, series: str) -> dashboard.QueryVariable:
    """Let the reader choose among the values of a label; all of them, until he does."""
    return (
        dashboard.QueryVariable(label)
        .label(label.title())
        .query(f"label_values({series}, {label})")
        .datasource(datasource())
        .current(dashboard_model.VariableOption(selected=True, text="All", value="$__all"))
        .refresh(dashboard_model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard_model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )


def _links(uid: str) -> Iterator[dashboard.DashboardLink]:
    """Lead to the other dashboards at the same time, instance and route; and to the runbooks."""
    kind = dashboard_model.DashboardLinkType.LINK
    for other, title in TITLES.items():
        if other != uid:
            link = dashboard.DashboardLink(title).type(kind).url(f"/d/{other}").icon("dashboard")
            yield link.include_vars(True).keep_time(True)
    runbooks = dashboard.DashboardLink("Runbooks").type(kind).url(links.RUNBOOKS).icon("doc")
    yield runbooks.target_blank(True).tooltip("What to do when an alert fires")


def _annotations() -> Iterator[dashboard.AnnotationQuery]:
    firing = _annotation(
        "Firing alerts", "red", 'ALERTS{alertname=~"SSE.+", alertstate="firing", job=~"$job"}'
    )
    yield firing.title_format("{{alertname}}").text_format("{{severity}} {{route}} {{instance}}")
    young = f"time() - process_start_time_seconds{{{JOB}}} < 60"
    yield _annotation("Restarts", "blue", young).title_format("Started").text_format("{{instance}}")
    versions = f"group by (job, version) (sse_build_info{{{JOB}}}"
    new = f"{versions}) unless {versions} offset 2m)"
    yield (
        _annotation("Version changes", "purple", new).title_format("Version seen").text_format("{{version}}")
    )


def _annotation(name: str, colour: str, expr: str) -> dashboard.AnnotationQuery:
    """Mark the times at which ``expr`` has an answer."""
    query = dashboard.AnnotationQuery().name(name).datasource(datasource()).enable(True)
    return query.icon_color(colour).expr(expr).step("60s")
