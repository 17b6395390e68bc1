"""SSE / Overview: are users getting their streams? The home dashboard, and where one starts from an alert."""

from collections.abc import Iterator

from alerts import links, queries
from dashboards import questions as ask
from dashboards.frame import INTEGRITY, OVERVIEW, RECONNECTS, RESOURCES, TITLES, Board, finish, frame
from dashboards.outcomes import OUTCOME_COLOURS
from dashboards.panels import NO_TRAFFIC, Query, coloured, graph, heat, limited, rows, stacked, steps, tile
from dashboards.questions import DAY, DAY_NAME, LONG, LONG_NAME, SHORT, USERS
from dashboards.sdk import common, dashboard, heatmap, stat, table, timeseries
from dashboards.tables import TableColumn, with_columns
from sidecar.observability.slo import SLO

NEVER = ("green", (0.5, "red"))
"""Colours of what must not happen; the edge is below 1 because ``increase`` is no whole number."""

COMPLETION = ("red", (SLO.completion_objective, "green"))
RECONNECT = ("red", (SLO.reconnect_objective, "green"))
RUNBOOK = ("Runbook", f"{links.RUNBOOKS}/${{__value.raw}}.md")
BUDGET = ("red", (0.0, "orange"), (0.25, "green"))


def build() -> Board:
    """Return the dashboard."""
    board = frame(OVERVIEW, "Are users getting their streams? Start here from any alert of the sidecar.")
    board = board.with_row(dashboard.Row(f"Are we inside our objectives? (last {DAY_NAME})"))
    for panel in _tiles():
        board = board.with_panel(panel)
    return finish(
        board.with_row(dashboard.Row("Does anybody have to act?"))
        .with_panel(_firing())
        .with_panel(_budget())
        .with_panel(_burn())
        .with_row(dashboard.Row("What do users get?"))
        .with_panel(_ends())
        .with_panel(_reconnects())
        .with_panel(_first_message())
        .with_panel(_messages())
        .with_panel(_open())
        .with_row(dashboard.Row("Where is it?"))
        .with_panel(_routes())
    )


def _tiles() -> Iterator[stat.Panel]:
    yield _share(
        "Do streams complete?",
        "Share of streams that reached their proper end, of those that nobody stopped on purpose. "
        f"Objective: {SLO.completion_objective:.1%}. A client that vanished counts as a failure: the "
        "sidecar cannot tell a bored user from a broken network.",
        queries.completion(USERS, DAY),
    ).thresholds(steps(*COMPLETION))
    yield (
        _share(
            f"Back within {SLO.reconnect_s:g} s?",
            "Share of lost connections, of clients and of the backend, after which the next byte was "
            f"forwarded within {SLO.reconnect_s:g} s. Objective: {SLO.reconnect_objective:.0%}. Given up "
            "counts as too slow, however soon that was.",
            ask.reconnected_in_time(DAY),
            "no reconnects",
        ).thresholds(steps(*RECONNECT))
    )
    yield _never(
        "Were messages lost?",
        "Messages proven never to have reached their client, by sequence number. Objective: 0. What nobody "
        "can prove is not in here: Message integrity shows those episodes.",
        ask.in_a_day(queries.LOST),
    )
    yield _never(
        "Did any arrive twice?",
        "Messages delivered again under an id that the client already had. Objective: 0.",
        ask.in_a_day(queries.DUPLICATED, queries.DELIVERED_TWICE),
    )
    yield _never(
        "Did any fail silently?",
        "Streams that were truncated, empty, hung or of the wrong type while they looked healthy, and "
        "whose client was not told. Objective: 0.",
        ask.in_a_day(queries.SILENT, queries.LEAKED),
    )
    yield (
        _share(
            "Do stalls recover?",
            "Share of stalls after which the stream went on, of those that were no false alarm. It has no "
            "objective of its own: a stream whose stall does not end counts against completion.",
            ask.stalls_recovered(DAY),
            "no stalls",
        ).thresholds(steps("blue"))
    )


def _share(title: str, description: str, expr: str, empty: str = NO_TRAFFIC) -> stat.Panel:
    return tile(title, description, Query(expr), empty).unit("percentunit").decimals(2)


def _never(title: str, description: str, expr: str) -> stat.Panel:
    return tile(title, description, Query(expr)).unit("none").decimals(0).thresholds(steps(*NEVER))


def _firing() -> table.Panel:
    panel = rows(
        "Which alerts are firing?",
        "Alerts of the sidecar that fire now; the name opens the runbook. An alert over a whole job has "
        f"the instance '{queries.EVERY_INSTANCE}', and is listed while all instances are chosen.",
        Query(f"{queries.FIRING}{{{ask.JOB}}}"),
    )
    shown = (
        TableColumn("alertname", "Alert", links=(RUNBOOK,), width=230),
        TableColumn("severity", "Severity", colours=(("critical", "red"), ("warning", "orange")), width=80),
        *(
            TableColumn(label, label.title())
            for label in ("route", "instance", "violation", "stage", "reason", "kind", "side")
        ),
    )
    hidden = ("Value", "__name__", "job", "alertstate")
    critical_first = common.TableSortByFieldState().display_name("Severity").desc(desc=False)
    panel = with_columns(panel, shown, hidden).sort_by([critical_first])
    return (
        panel.unit("string")
        .no_value("Nothing is firing for this choice. Alerts of a whole job: choose all instances.")
        .span(12)
    )


def _budget() -> stat.Panel:
    return (
        tile(
            "Is there budget left?",
            f"Of the failures that the completion objective allows in {LONG_NAME}, the share that has not "
            "happened. Below 0 the objective is broken over that time; below 25 % new versions had better "
            "wait.",
            Query(queries.budget_left(USERS, LONG)),
        )
        .unit("percentunit")
        .decimals(0)
        .height(8)
        .thresholds(steps(*BUDGET))
    )


def _burn() -> timeseries.Panel:
    critical = sorted(
        (rate for rate in SLO.burn_rates if rate.severity == "critical"), key=lambda r: r.factor
    )
    windows = [critical[-1].short.name, *(rate.long.name for rate in reversed(critical))]
    woken = " or ".join(f"{r.factor:g} over {r.long.name} and {r.short.name}" for r in critical)
    panel = graph(
        "How fast is the budget spent?",
        "Failures relative to what the completion objective allows: at 1 the budget lasts exactly as long "
        f"as it should. Somebody is woken at {woken}.",
        *(Query(queries.burn_rate(USERS, window), f"over {window}") for window in windows),
    )
    edges = [(r.factor, colour) for r, colour in zip(critical, ("orange", "red"), strict=True)]
    return limited(panel, (1, "yellow"), *edges).span(8).unit("none").decimals(1).interval("2m")


def _ends() -> timeseries.Panel:
    panel = graph(
        "How do streams end?",
        "Streams that ended per minute, by outcome. Green completed. Blue was stopped by the user: outside "
        "the objective, and shown so that nothing can hide there. Red failed.",
        Query(ask.per_minute(queries.FINISHED, by=("outcome",)), "{{outcome}}"),
    )
    return coloured(stacked(panel), OUTCOME_COLOURS).unit("cpm")


def _reconnects() -> heatmap.Panel:
    return heat(
        "How long do reconnects take?",
        "Every reconnect, of clients and of the backend, from noticing the break to the next byte "
        "forwarded, or to giving up. A dot is one of them: it opens that stream's timeline on the "
        f"sidecar's admin listener. Objective: {SLO.reconnect_objective:.0%} below {SLO.reconnect_s:g} s.",
        Query(ask.buckets(queries.RECONNECTS), "{{le}}", exemplars=True),
    )


def _first_message() -> timeseries.Panel:
    metric = "sse_time_to_first_message_seconds"
    panel = graph(
        "How long until the first message?",
        "From the request to the first message of its stream: what a user waits for. Mostly the backend's "
        "time.",
        *(
            Query(queries.quantile(q, metric, scope=USERS, window=SHORT), f"p{q * 100:g}")
            for q in (0.5, 0.95)
        ),
    )
    return panel.unit("s").span(8)


def _messages() -> timeseries.Panel:
    named = {
        "received": "sse_messages_received_total",
        "delivered": "sse_messages_delivered_total",
        "replayed": "sse_messages_replayed_total",
    }
    panel = graph(
        "How many messages flow?",
        "Messages per second: read from the backend, written to a client for the first time, and written "
        "again or late to a client that came back.",
        *(Query(queries.rate(metric, scope=USERS, window=SHORT), name) for name, metric in named.items()),
    )
    return panel.unit("cps").span(8)


def _open() -> timeseries.Panel:
    named = {
        "open": "sse_streams_active",
        "nobody reads": "sse_streams_detached",
        "readers": "sse_subscribers",
    }
    panel = graph(
        "How many streams are open?",
        "Streams that have not ended; those of them that no client reads right now, because it is expected "
        "back; and connections that read.",
        *(Query(ask.level(metric), name) for name, metric in named.items()),
    )
    return panel.unit("short").span(8)


def _routes() -> table.Panel:
    route = ("route",)
    asked = (
        queries.completion_errors(USERS, "1h", route),
        queries.budget_left(USERS, LONG, route),
        queries.increase(queries.FINISHED, queries.ELIGIBLE, scope=USERS, window="1h", by=route),
        ask.reconnected_in_time(DAY, route),
        ask.in_a_day(queries.LOST, by=route),
        ask.in_a_day(queries.DUPLICATED, queries.DELIVERED_TWICE, by=route),
        ask.in_a_day(queries.SILENT, queries.LEAKED, by=route),
    )
    panel = rows(
        "Which route is worst?",
        "The worst route of the last hour stands first. A route without traffic has no share. The route's "
        "name leads to the other dashboards.",
        *map(Query, asked),
    )
    # By failures and not by completion: Grafana takes no value for the smallest one.
    worst_first = common.TableSortByFieldState().display_name(ROUTE_COLUMNS[1].name).desc(desc=True)
    return with_columns(panel, ROUTE_COLUMNS).unit("short").sort_by([worst_first])


def _leads_to(uid: str) -> tuple[str, str]:
    chosen = "&".join(f"${{{name}:queryparam}}" for name in ("datasource", "job", "instance"))
    return TITLES[uid], f"/d/{uid}?var-route=${{__value.raw}}&{chosen}&${{__url_time_range}}"


ROUTE_COLUMNS = (
    TableColumn("route", "Route", links=tuple(map(_leads_to, (RECONNECTS, INTEGRITY, RESOURCES)))),
    TableColumn("Value #A", "Failed (1 h)", "percentunit", 2, steps("green", (SLO.completion_budget, "red"))),
    TableColumn("Value #B", f"Budget left ({LONG_NAME})", "percentunit", 0, steps(*BUDGET)),
    TableColumn("Value #C", "Streams (1 h)", "none", 0),
    TableColumn(
        "Value #D", f"Back within {SLO.reconnect_s:g} s ({DAY_NAME})", "percentunit", 2, steps(*RECONNECT)
    ),
    TableColumn("Value #E", f"Lost ({DAY_NAME})", "none", 0, steps(*NEVER)),
    TableColumn("Value #F", f"Twice ({DAY_NAME})", "none", 0, steps(*NEVER)),
    TableColumn("Value #G", f"Silent ({DAY_NAME})", "none", 0, steps(*NEVER)),
)
