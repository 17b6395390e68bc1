"""SSE / Message integrity: did every message arrive, once; and how well is that proven."""

from collections.abc import Iterable, Iterator, Mapping

from alerts import queries
from dashboards import questions as ask
from dashboards.frame import INTEGRITY, Board, finish, frame
from dashboards.outcomes import OUTCOME_COLOURS
from dashboards.panels import Name, Query, coloured, graph, limited, stacked, steps, tile
from dashboards.questions import DAY, DAY_NAME, SHORT
from dashboards.sdk import dashboard, stat, timeseries
from sidecar.observability.labels import (
    LOSS_STAGES,
    DuplicateDisposition,
    DuplicateStage,
    LogState,
    ReportVerdict,
    SilentDisposition,
    SilentKind,
    UnprovenReason,
)

CANARY_AGE_MAX_S = 300.0
"""Five canaries in a row, at the usual interval."""

GREENS = ("green", "light-green", "semi-dark-green", "super-light-green")
REDS = ("red", "light-red", "semi-dark-red", "super-light-red")
DUPLICATE_SHADES = {DuplicateDisposition.SUPPRESSED: GREENS, DuplicateDisposition.DELIVERED: REDS}
SILENT_SHADES = {SilentDisposition.SURFACED: GREENS, SilentDisposition.LEAKED: REDS}
"""Green was kept from doing harm, red was not."""

UNPROVEN_COLOURS = ("blue", "purple", "light-blue", "light-purple", "yellow")
"""Not red: an episode may have lost nothing."""

REPORT_COLOURS = {
    ReportVerdict.AGREE: "green",
    ReportVerdict.UNFINISHED: "blue",
    ReportVerdict.REJECTED: "orange",
    ReportVerdict.DUPLICATED: "light-red",
    ReportVerdict.LOST: "red",
}


def build() -> Board:
    """Return the dashboard."""
    board = frame(INTEGRITY, "Did every message reach its client, once? And what is that answer worth?")
    board = board.with_row(dashboard.Row("Do the books balance, and what proves it?"))
    for panel in _tiles():
        board = board.with_panel(panel)
    return finish(
        board.with_row(dashboard.Row("What went wrong, and where?"))
        .with_panel(_lost())
        .with_panel(_duplicated())
        .with_panel(_silent())
        .with_panel(_unproven())
        .with_row(dashboard.Row("How well is a zero proven?"))
        .with_panel(_coverage())
        .with_panel(_reports())
        .with_panel(_canary())
        .with_row(dashboard.Row("How near is the next loss?"))
        .with_panel(_fill())
        .with_panel(_held())
        .with_panel(_swallowed())
    )


def _tiles() -> Iterator[stat.Panel]:
    yield _balance(
        "Is every stream accounted for?",
        "Streams that began, less those that ended and those that are open, by the counters themselves. "
        "Anything but 0: the counters are wrong, and so is what is drawn from them.",
        queries.STREAMS_UNACCOUNTED,
    )
    yield _balance(
        "Is every message accounted for?",
        "Messages received, less those delivered, lost in the sidecar, suppressed as duplicates, unread, "
        "and still held for a client, by the counters themselves. Anything but 0: the counters are wrong.",
        queries.MESSAGES_UNACCOUNTED,
    )
    yield _tier(
        "Acknowledged by a kernel?",
        "Share of delivered messages that the client's kernel has acknowledged: they have left for good. "
        "The difference to 100 % was only written; a break may have swallowed it.",
        "sse_messages_acknowledged_total",
    )
    yield _tier(
        "Confirmed by a client?",
        "Share of delivered messages that a client itself says it has: by its report, or by a position it "
        "came back with. Clients that do not report seldom say so.",
        "sse_messages_confirmed_total",
    )
    yield (
        tile(
            "Does the canary come through?",
            "Canary streams of known content that arrived different from what was sent, through the whole "
            f"path, in {DAY_NAME}. Objective: 0.",
            Query(queries.increase(queries.CANARY_MISMATCHES, scope=ask.JOB, window=DAY)),
        )
        .unit("none")
        .decimals(0)
        .thresholds(steps("green", (0.5, "red")))
    )
    yield (
        tile(
            "When did it last?",
            "Seconds since a canary stream last came through exactly as sent, of the sidecar for which "
            "that is longest ago. Far above canary_interval_s the other numbers prove less; a canary that "
            "is off never comes through.",
            Query(f"max({ask.canary_age()})"),
            empty="never",
        )
        .unit("s")
        .decimals(0)
        .thresholds(steps("green", (CANARY_AGE_MAX_S, "orange")))
    )


def _balance(title: str, description: str, recorded: str) -> stat.Panel:
    panel = tile(title, description, Query(ask.unaccounted(recorded))).unit("none").decimals(0)
    return panel.thresholds(steps("green", (0.5, "red")))


def _tier(title: str, description: str, metric: str) -> stat.Panel:
    panel = tile(title, f"{description} In {DAY_NAME}.", Query(ask.of_delivered(metric, DAY)))
    return panel.unit("percentunit").decimals(1).thresholds(steps("blue"))


def _lost() -> timeseries.Panel:
    panel = graph(
        "Where are messages lost, and why?",
        "Messages proven lost, per minute. sidecar, window: fell out of a full log before any client was "
        "sent them. client, trimmed: were sent, did not arrive, and were gone from the log when the client "
        "came back. upstream: the backend's own ids skip them. Objective: 0.",
        Query(ask.per_minute(queries.LOST, by=("stage", "reason")), "{{stage}}: {{reason}}"),
    )
    shades = zip(LOSS_STAGES.items(), ("red", "semi-dark-red", "light-red"), strict=True)
    return coloured(stacked(panel), {f"{at}: {why}": shade for (why, at), shade in shades}).unit("cpm")


def _duplicated() -> timeseries.Panel:
    by = ("stage", "disposition")
    panel = graph(
        "Where do messages repeat?",
        "Messages whose id the stream already had, per minute. Suppressed: the sidecar kept them from the "
        "client, or the client dropped them. Delivered: the client got them twice. Objective for delivered: "
        "0.",
        Query(ask.per_minute(queries.DUPLICATED, by=by), "{{stage}}: {{disposition}}"),
    )
    return coloured(stacked(panel), _shades(DuplicateStage, DUPLICATE_SHADES)).unit("cpm")


def _silent() -> timeseries.Panel:
    by = ("kind", "disposition")
    panel = graph(
        "Which failures looked healthy?",
        "Streams that failed behind a good status, per minute. Surfaced: the sidecar told the client. "
        "Leaked: nobody did. Objective for leaked: 0.",
        Query(ask.per_minute(queries.SILENT, by=by), "{{kind}}: {{disposition}}"),
    )
    return coloured(stacked(panel), _shades(SilentKind, SILENT_SHADES)).unit("cpm")


def _unproven() -> timeseries.Panel:
    panel = graph(
        "Where can nobody tell?",
        "Episodes per minute in which a loss can be neither proven nor excluded: the backend's ids cannot "
        "be counted, the client never came back, an event was too large to keep, or the stream was "
        "encoded.",
        Query(ask.per_minute("sse_continuity_unproven_total", by=("reason",)), "{{reason}}"),
    )
    return coloured(stacked(panel), dict(zip(UnprovenReason, UNPROVEN_COLOURS, strict=True))).unit("cpm")


def _coverage() -> timeseries.Panel:
    panel = graph(
        "How well is delivery proven?",
        "Share of delivered messages that is proven by more than a write: acknowledged by the client's "
        "kernel, and confirmed by the client: by its report, or a position it came back with.",
        Query(ask.of_delivered("sse_messages_acknowledged_total", SHORT), "acknowledged"),
        Query(ask.of_delivered("sse_messages_confirmed_total", SHORT), "confirmed"),
    )
    return coloured(panel, {"acknowledged": "blue", "confirmed": "green"}).unit("percentunit").span(8)


def _reports() -> timeseries.Panel:
    panel = graph(
        "Do clients agree?",
        "Reports of clients about what they received, per minute, compared with the log. All routes. "
        "unfinished: a client took for whole what was not. rejected: not readable, or of a stream that is "
        "not, or no longer, held. The log line 'client disagrees' names the streams.",
        Query(ask.per_minute("sse_client_reports_total", scope=ask.JOB, by=("verdict",)), "{{verdict}}"),
    )
    return coloured(stacked(panel), REPORT_COLOURS).unit("cpm").span(8)


def _canary() -> timeseries.Panel:
    panel = graph(
        "How do canary streams end?",
        "Streams of the sidecar's own probe, per minute, by outcome; they are in no other number of these "
        "dashboards. Where the canary is off, nothing ends.",
        Query(ask.per_minute(queries.FINISHED, scope=ask.CANARY, by=("outcome",)), "{{outcome}}"),
    )
    return coloured(stacked(panel), OUTCOME_COLOURS).unit("cpm").span(8)


def _fill() -> timeseries.Panel:
    panel = graph(
        "How full are the logs?",
        "Bytes in all replay logs against log_bytes_total_max, by instance. At 100 % finished streams go "
        "first, then a stream that nobody reads is not kept for its client.",
        Query(ask.log_fill(), "{{instance}}"),
    )
    return limited(panel, (0.8, "orange"), (1.0, "red")).unit("percentunit").span(8)


def _held() -> timeseries.Panel:
    panel = graph(
        "What do the logs hold?",
        "Messages in replay logs: those that a client has been sent and might ask for again, and those "
        "that no client has been sent yet. Undelivered ones that grow are a reader that is slow or away.",
        Query(ask.level("sse_log_messages", by=("state",)), "{{state}}"),
    )
    return (
        coloured(stacked(panel), {LogState.DELIVERED: "green", LogState.UNDELIVERED: "yellow"})
        .unit("short")
        .span(8)
    )


def _swallowed() -> timeseries.Panel:
    panel = graph(
        "How much does a break swallow?",
        "Messages written again for each request that was resumed: those that had been written before the "
        "break and did not arrive. They were safe because the log still had them.",
        Query(ask.replayed_per_resume(), "messages per resume"),
    )
    return panel.unit("short").span(8)


def _shades(firsts: Iterable[str], seconds: Mapping[Name, tuple[str, ...]]) -> dict[str, str]:
    """Return a shade for each pair of label values: the second one chooses the colour."""
    return {
        f"{first}: {second}": shades[n % len(shades)]
        for second, shades in seconds.items()
        for n, first in enumerate(firsts)
    }
