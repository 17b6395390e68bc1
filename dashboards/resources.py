"""SSE / Sidecar resources: does the process itself have what it needs, and what does it save."""

from alerts import queries
from dashboards import questions as ask
from dashboards.frame import RESOURCES, Board, finish, frame
from dashboards.panels import Query, coloured, graph, heat, limited, rows, stacked, steps, tile
from dashboards.questions import DAY_NAME, JOB, SHORT, USERS
from dashboards.sdk import dashboard, heatmap, stat, table, timeseries
from dashboards.tables import TableColumn, with_columns
from sidecar.observability.labels import CodeClass

LAG = "sse_event_loop_lag_seconds"
LAG_MAX_S = 0.1
"""A loop that is later than this delays every stream it carries by as much."""

FILES_MAX = 0.8
CODE_COLOURS = {
    CodeClass.INFORMATIONAL: "super-light-blue",
    CodeClass.SUCCESSFUL: "green",
    CodeClass.REDIRECTION: "blue",
    CodeClass.CLIENT_ERROR: "orange",
    CodeClass.SERVER_ERROR: "red",
    CodeClass.ABORTED: "dark-red",
}


def build() -> Board:
    """Return the dashboard."""
    board = frame(RESOURCES, "Has the sidecar what it needs? And what does it save the backend?")
    return finish(
        board.with_row(dashboard.Row("Has the process what it needs?"))
        .with_panel(_cpu())
        .with_panel(_lag())
        .with_panel(_memory())
        .with_panel(_files())
        .with_row(dashboard.Row("What does it carry?"))
        .with_panel(_readers())
        .with_panel(_requests())
        .with_panel(_connect())
        .with_panel(_log())
        .with_panel(_heartbeats())
        .with_panel(_pace())
        .with_row(dashboard.Row(f"What does it save, and what does it waste? (last {DAY_NAME})"))
        .with_panel(_saved())
        .with_panel(_unread())
        .with_panel(_versions())
        .with_row(dashboard.Row("Does the journal keep up?"))
        .with_panel(_journal())
        .with_panel(_journal_errors())
    )


def _cpu() -> timeseries.Panel:
    panel = graph(
        "How busy is the CPU?",
        "Share of one core, by instance. The sidecar is one process with one thread that relays: at 100 % "
        "streams wait.",
        Query(
            queries.rate("process_cpu_seconds_total", scope=JOB, window=SHORT, by=("instance",)),
            "{{instance}}",
        ),
    )
    return limited(panel, (0.8, "orange"), (1.0, "red")).unit("percentunit").span(6)


def _lag() -> timeseries.Panel:
    panel = graph(
        "Is the event loop late?",
        "Seconds by which timers are late: every stream waits as long.",
        *(Query(queries.quantile(q, LAG, scope=JOB, window=SHORT), f"p{q * 100:g}") for q in (0.5, 0.99)),
    )
    return limited(panel, (LAG_MAX_S, "red")).unit("s").span(6)


def _memory() -> timeseries.Panel:
    panel = graph(
        "How much memory is used?",
        "Resident memory, by instance: some tens of MiB, the replay logs, and the connections.",
        Query(ask.level("process_resident_memory_bytes", scope=JOB, by=("instance",)), "{{instance}}"),
    )
    return panel.unit("bytes").span(6)


def _files() -> timeseries.Panel:
    used = ask.level("process_open_fds", scope=JOB, by=("instance",))
    allowed = ask.level("process_max_fds", scope=JOB, by=("instance",))
    panel = graph(
        "Are there file descriptors left?",
        "Open descriptors against the limit, by instance. Each stream takes two: its client's and its "
        "backend's.",
        Query(f"{used} / {allowed}", "{{instance}}"),
    )
    return limited(panel, (FILES_MAX, "orange"), (1.0, "red")).unit("percentunit").span(6)


def _readers() -> timeseries.Panel:
    panel = graph(
        "How many clients read?",
        "Connections that read a stream, by instance. A step down on one instance only is a restart or a "
        "lost peer.",
        Query(ask.level("sse_subscribers", by=("instance",)), "{{instance}}"),
    )
    return stacked(panel).unit("short").span(8)


def _requests() -> timeseries.Panel:
    panel = graph(
        "How are requests answered?",
        "Requests per second by the class of their status. Aborted: no complete answer could be sent.",
        Query(
            queries.rate("sse_requests_total", scope=USERS, window=SHORT, by=("code_class",)),
            "{{code_class}}",
        ),
    )
    return coloured(stacked(panel), CODE_COLOURS).unit("reqps").span(8)


def _connect() -> timeseries.Panel:
    metric = "sse_upstream_connect_seconds"
    panel = graph(
        "How long does a connection to the backend take?",
        "Seconds to open a connection to the backend; none while open ones are used again.",
        *(
            Query(queries.quantile(q, metric, scope=USERS, window=SHORT), f"p{q * 100:g}")
            for q in (0.5, 0.95)
        ),
    )
    return panel.unit("s").span(8)


def _log() -> timeseries.Panel:
    panel = graph(
        "How much do the replay logs hold?",
        "Bytes in replay logs, by instance, and the limit log_bytes_total_max.",
        Query(ask.level("sse_log_bytes", scope=JOB, by=("instance",)), "{{instance}}"),
        Query(ask.level("sse_log_budget_bytes", scope=JOB, by=("instance",)), "{{instance}} limit"),
    )
    return panel.unit("bytes").span(8)


def _heartbeats() -> timeseries.Panel:
    panel = graph(
        "How much is silence?",
        "Heartbeats per second: clients that wait for a backend that says nothing.",
        Query(queries.rate("sse_heartbeats_total", scope=USERS, window=SHORT), "heartbeats"),
    )
    return panel.unit("cps").span(8)


def _pace() -> timeseries.Panel:
    metric = "sse_message_gap_seconds"
    panel = graph(
        "At which pace does the backend speak?",
        "Seconds between a message and the one before it, as read from the backend: its pace, not the "
        "sidecar's.",
        *(
            Query(queries.quantile(q, metric, scope=USERS, window=SHORT), f"p{q * 100:g}")
            for q in (0.5, 0.99)
        ),
    )
    return panel.unit("s").span(8)


def _saved() -> stat.Panel:
    panel = tile(
        "Generations saved?",
        "Resumes and attached retries that did not call the backend again: answers that nobody paid for "
        "twice.",
        Query(ask.in_a_day("sse_generations_saved_total")),
    )
    return panel.unit("short").span(6).height(5).thresholds(steps("green"))


def _unread() -> stat.Panel:
    panel = tile(
        "Messages nobody read?",
        "Messages read from the backend after the client had left for good: the price of waiting for it. A "
        "shorter linger_s lowers it.",
        Query(ask.in_a_day("sse_unread_messages_total")),
    )
    return panel.unit("short").span(6).height(5).thresholds(steps("blue"))


def _versions() -> table.Panel:
    panel = rows(
        "Which versions run?",
        "Instances by version; two versions for longer than a rollout are worth a question.",
        Query(f"count by (job, version) ({queries.select('sse_build_info', scope=JOB)})"),
    )
    shown = (
        TableColumn("job", "Job"),
        TableColumn("version", "Version"),
        TableColumn("Value", "Instances", "none", 0),
    )
    return with_columns(panel, shown).unit("short").span(12).height(5)


def _journal() -> heatmap.Panel:
    return heat(
        "How long do journal operations take?",
        "Seconds that appends, reads and trims took. Empty where no journal is configured.",
        Query(ask.buckets("sse_journal_operation_seconds", scope=JOB), "{{le}}"),
    ).height(7)


def _journal_errors() -> timeseries.Panel:
    panel = graph(
        "Does the journal fail?",
        "Journal operations that failed, per minute. Streams go on without it, but would not survive a "
        "restart.",
        Query(ask.per_minute("sse_journal_errors_total", scope=JOB, by=("op",)), "{{op}}"),
    )
    return panel.unit("cpm").height(7)
