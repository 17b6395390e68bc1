"""SSE / Reconnects and stalls: how breaks are noticed, and how soon a stream goes on after one."""

from collections.abc import Iterator

from alerts import queries
from dashboards import questions as ask
from dashboards.frame import RECONNECTS, Board, finish, frame
from dashboards.panels import Query, coloured, graph, heat, limited, stacked, steps, tile
from dashboards.questions import DAY, DAY_NAME, SHORT, USERS
from dashboards.sdk import dashboard, heatmap, stat, timeseries
from sidecar.observability.labels import ReconnectEnd, ResumeResult, Side, StallEnd
from sidecar.observability.slo import SLO

QUANTILES = (0.5, 0.95)
LIMIT = (SLO.reconnect_s, "red")
STALL_COLOURS = {StallEnd.RECOVERED: "green", StallEnd.FALSE_ALARM: "blue", StallEnd.FAILED: "red"}
RESULT_COLOURS = {
    ResumeResult.RESUMED: "green",
    ResumeResult.NO_CONTENT: "light-green",
    ResumeResult.FOREIGN: "blue",
    ResumeResult.BAD_REQUEST: "light-orange",
    ResumeResult.REFUSED: "orange",
    ResumeResult.GAP: "red",
    ResumeResult.EXPIRED: "semi-dark-red",
    ResumeResult.TOO_LATE: "dark-red",
}


def build() -> Board:
    """Return the dashboard."""
    board = frame(
        RECONNECTS, "When a connection breaks or a backend falls silent: how soon does the stream go on?"
    )
    board = board.with_row(dashboard.Row(f"Is it good enough? (last {DAY_NAME})"))
    for panel in _tiles():
        board = board.with_panel(panel)
    return finish(
        board.with_row(dashboard.Row("How soon do connections come back?"))
        .with_panel(_quantiles())
        .with_panel(_heatmap())
        .with_panel(_by_end())
        .with_panel(_given_up())
        .with_panel(_storm())
        .with_row(dashboard.Row("What do those who come back get?"))
        .with_panel(_results())
        .with_panel(_replayed())
        .with_row(dashboard.Row("Are stalls noticed, and what becomes of them?"))
        .with_panel(_detection())
        .with_panel(_recovery())
        .with_panel(_stalls())
        .with_panel(_watchdog())
    )


def _tiles() -> Iterator[stat.Panel]:
    yield (
        tile(
            f"Back within {SLO.reconnect_s:g} s?",
            f"Share of lost connections after which the next byte was forwarded within {SLO.reconnect_s:g} "
            f"s, by side. Objective: {SLO.reconnect_objective:.0%}. Given up counts as too slow.",
            Query(ask.reconnected_in_time(DAY, ("side",)), "{{side}}"),
            "no reconnects",
        )
        .unit("percentunit")
        .decimals(1)
        .span(8)
        .thresholds(steps("red", (SLO.reconnect_objective, "green")))
    )
    yield (
        tile(
            "How many gave up?",
            "Lost connections after which no byte was forwarded any more, by side. On the client side that "
            "is also a user who closed the lid.",
            Query(ask.in_a_day(f"{queries.RECONNECTS}_count", GAVE_UP, by=("side",)), "{{side}}"),
        )
        .unit("none")
        .decimals(0)
        .span(8)
        .thresholds(steps("blue"))
    )
    yield (
        tile(
            "Are declared stalls real?",
            "Precision of the detector: of the stalls that ended well, the share that the sidecar had to "
            "end. In the others the backend was only slow: far below 90 %, the route's stall_s is too "
            "short for it.",
            Query(ask.stalls_real(DAY)),
            "no stalls",
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(steps("orange", (0.9, "green")))
    )
    yield (
        tile(
            "Does the watchdog run?",
            "Seconds since it last looked at every stream, of the slowest sidecar. Beyond "
            f"{SLO.watchdog_age_max_s:g} s nobody would notice a hanging stream, and SSESilentFailure fires.",
            Query(f"max({ask.watchdog_age()})"),
        )
        .unit("s")
        .decimals(1)
        .thresholds(steps("green", (SLO.watchdog_age_max_s, "red")))
    )


GAVE_UP = f'outcome="{ReconnectEnd.GAVE_UP}"'


def _quantiles() -> timeseries.Panel:
    panel = graph(
        "How long do reconnects take?",
        "From noticing the break to the next byte forwarded, or to giving up. Objective: p95 below "
        f"{SLO.reconnect_s:g} s, on either side.",
        *(_quantile(q, side) for q, side in ((0.5, Side.CLIENT), (0.95, Side.CLIENT), (0.95, Side.UPSTREAM))),
    )
    return limited(panel, LIMIT).unit("s")


def _quantile(q: float, side: Side) -> Query:
    expr = queries.quantile(q, queries.RECONNECTS, f'side="{side}"', scope=USERS, window=SHORT)
    return Query(expr, f"{side} p{q * 100:g}")


def _heatmap() -> heatmap.Panel:
    return heat(
        "Which reconnects were the slow ones?",
        "Every reconnect. A dot is one of them: it opens that stream's timeline on the sidecar's admin "
        "listener.",
        Query(ask.buckets(queries.RECONNECTS), "{{le}}", exemplars=True),
    )


def _by_end() -> timeseries.Panel:
    panel = graph(
        "Who comes back, and who gives up?",
        "Reconnects per minute, by side and by how they ended.",
        Query(ask.per_minute(f"{queries.RECONNECTS}_count", by=("side", "outcome")), "{{side}}: {{outcome}}"),
    )
    ends = {ReconnectEnd.RESUMED: ("green", "light-green"), ReconnectEnd.GAVE_UP: ("orange", "red")}
    colours = {f"{side}: {end}": pair[n] for end, pair in ends.items() for n, side in enumerate(Side)}
    return coloured(stacked(panel), colours).unit("cpm").span(8)


def _given_up() -> timeseries.Panel:
    panel = graph(
        "How long do we wait before giving up?",
        "Seconds until a reconnect was given up, by side: the route's linger_s for clients, its retries "
        "for the backend.",
        Query(
            queries.quantile(0.95, queries.RECONNECTS, GAVE_UP, scope=USERS, window=SHORT, by=("side",)),
            "{{side}} p95",
        ),
    )
    return panel.unit("s").span(8)


def _storm() -> timeseries.Panel:
    panel = graph(
        "Is there a reconnect storm?",
        "How often the client of an open stream comes back, per minute. A little is the network; a jump "
        "that all instances share is a proxy, a deployment or a timeout in front of the sidecar.",
        Query(ask.storm(), "reconnects per open stream and minute"),
    )
    return panel.unit("none").decimals(2).span(8)


def _results() -> timeseries.Panel:
    panel = graph(
        "What are those who come back answered?",
        "Requests that brought a position, per minute. Green went on or had everything. Red came too late, "
        "or too little of the log was left. Orange was refused. All routes: an id is judged before its "
        "route is known.",
        Query(ask.per_minute("sse_resumes_total", scope=ask.JOB, by=("result",)), "{{result}}"),
    )
    return coloured(stacked(panel), RESULT_COLOURS).unit("cpm")


def _replayed() -> timeseries.Panel:
    panel = graph(
        "How much is sent again?",
        "Messages per second written out of the log, again or late; beside those written for the first time.",
        Query(queries.rate("sse_messages_replayed_total", scope=USERS, window=SHORT), "replayed"),
        Query(queries.rate("sse_messages_delivered_total", scope=USERS, window=SHORT), "first time"),
    )
    return coloured(panel, {"replayed": "orange", "first time": "green"}).unit("cps")


def _detection() -> timeseries.Panel:
    panel = graph(
        "How soon is a stall noticed?",
        "Seconds from the backend's last byte to declaring the stall: the route's stall_s and one pass of "
        "the watchdog.",
        *(
            Query(queries.quantile(q, ask.STALL_DETECTION, scope=USERS, window=SHORT), f"p{q * 100:g}")
            for q in QUANTILES
        ),
    )
    return panel.unit("s").span(6)


def _recovery() -> timeseries.Panel:
    panel = graph(
        "How soon is a stall over?",
        "Seconds from declaring a stall to its end, by how it ended.",
        Query(
            queries.quantile(0.95, ask.STALL_RECOVERY, scope=USERS, window=SHORT, by=("outcome",)),
            "{{outcome}} p95",
        ),
    )
    return coloured(panel, {f"{end} p95": colour for end, colour in STALL_COLOURS.items()}).unit("s").span(6)


def _stalls() -> timeseries.Panel:
    panel = graph(
        "How do stalls end?",
        "Stalls that ended, per minute. False alarm: the backend spoke again by itself.",
        Query(ask.per_minute(f"{ask.STALL_RECOVERY}_count", by=("outcome",)), "{{outcome}}"),
    )
    return coloured(stacked(panel), STALL_COLOURS).unit("cpm").span(6)


def _watchdog() -> timeseries.Panel:
    panel = graph(
        "How old is the watchdog's last look?",
        "Seconds since it last looked at every stream, by instance.",
        Query(f"max by (instance) ({ask.watchdog_age()})", "{{instance}}"),
    )
    return limited(panel, (SLO.watchdog_age_max_s, "red")).unit("s").span(6)
