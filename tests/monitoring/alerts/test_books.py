"""The two recordings that audit the books: 0 where all is accounted for, and else how much is not."""

from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from alerts import rules
from tests.kit.promtool import needs_promtool, series, tool

pytestmark = [pytest.mark.prometheus, needs_promtool]

STREAMS = "job_instance_route:sse_streams_unaccounted:sum"
MESSAGES = "job_instance_route:sse_messages_unaccounted:sum"

Books = dict[str, int]


def books(instance: str = "a", job: str = "sse-sidecar", route: str = "chat") -> Books:
    """Return the counters of one route that agree, each with another figure, and those that are not asked."""
    counted = [
        ("sse_streams_started_total", {}, 10),
        ("sse_streams_finished_total", {"outcome": "completed"}, 5),
        ("sse_streams_finished_total", {"outcome": "client_left"}, 2),
        ("sse_streams_active", {}, 3),
        ("sse_messages_received_total", {}, 100),
        ("sse_messages_delivered_total", {}, 60),
        ("sse_messages_lost_total", {"stage": "sidecar", "reason": "window"}, 3),
        ("sse_messages_lost_total", {"stage": "sidecar", "reason": "restart"}, 4),
        ("sse_messages_duplicated_total", {"stage": "upstream", "disposition": "suppressed"}, 5),
        ("sse_unread_messages_total", {}, 8),
        ("sse_log_messages", {"state": "undelivered"}, 20),
        ("sse_messages_lost_total", {"stage": "upstream", "reason": "window"}, 50),
        ("sse_messages_duplicated_total", {"stage": "upstream", "disposition": "delivered"}, 11),
        ("sse_messages_duplicated_total", {"stage": "client", "disposition": "suppressed"}, 13),
        ("sse_log_messages", {"state": "kept"}, 33),
    ]
    place = {"instance": instance, "job": job, "route": route}
    return {series(metric, **place, **labels): count for metric, labels, count in counted}


def but(held: Books, metric: str, more: int) -> Books:
    """Change the first counter of a metric."""
    name = next(name for name in held if name.startswith(f"{metric}{{"))
    return held | {name: held[name] + more}


class Audit(NamedTuple):
    """Given these counters, exactly these figures are recorded: by instance and route."""

    says: str
    given: Books
    streams: dict[tuple[str, str], int]
    messages: dict[tuple[str, str], int]


def of_a(says: str, given: Books, streams: int, messages: int) -> Audit:
    return Audit(says, given, {("a", "chat"): streams}, {("a", "chat"): messages})


BALANCED = books()
AUDITS = [
    of_a("balanced books leave nothing over", BALANCED, 0, 0),
    *(
        of_a(f"a stream too few in {metric} is one", but(BALANCED, metric, -1), 1, 0)
        for metric in ("sse_streams_finished_total", "sse_streams_active")
    ),
    *(
        of_a(f"a message too few in {metric} is one", but(BALANCED, metric, -1), 0, 1)
        for metric in (
            "sse_messages_delivered_total",
            "sse_messages_lost_total",
            "sse_messages_duplicated_total",
            "sse_unread_messages_total",
            "sse_log_messages",
        )
    ),
    of_a("a stream that nothing is known of is one", but(BALANCED, "sse_streams_started_total", 1), 1, 0),
    of_a("so is a message", but(BALANCED, "sse_messages_received_total", 1), 0, 1),
    of_a("what is counted twice is less than nothing", but(BALANCED, "sse_unread_messages_total", 1), 0, -1),
    Audit(
        "one instance's surplus makes up for no other's, nor one route's for another's",
        but(but(BALANCED, "sse_streams_active", -1), "sse_unread_messages_total", -1)
        | but(but(books("b"), "sse_streams_active", 1), "sse_unread_messages_total", 1)
        | but(but(books(route="feed"), "sse_streams_active", 1), "sse_unread_messages_total", 1),
        {("a", "chat"): 1, ("b", "chat"): -1, ("a", "feed"): -1},
        {("a", "chat"): 1, ("b", "chat"): -1, ("a", "feed"): -1},
    ),
    of_a(
        "the canary's books and another job's are not in these",
        BALANCED | books(route="__canary__") | books(job="elsewhere"),
        0,
        0,
    ),
]


@pytest.mark.parametrize("audit", AUDITS, ids=lambda audit: audit.says)
def test_the_audit_of_the_books(audit: Audit, tmp_path: Path) -> None:
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": f"{count}x3"} for name, count in audit.given.items()],
        "promql_expr_test": [_recorded(STREAMS, audit.streams), _recorded(MESSAGES, audit.messages)],
    }
    (tmp_path / "rules.yaml").write_text(rules.render())
    (tmp_path / "test.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]})
    )
    verdict = tool("promtool", "test", "rules", tmp_path / "test.yaml")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def _recorded(record: str, figures: dict[tuple[str, str], int]) -> dict[str, object]:
    samples = [
        {"labels": series(record, instance=instance, route=route), "value": left_over}
        for (instance, route), left_over in figures.items()
    ]
    return {"expr": record, "eval_time": "3m", "exp_samples": samples}
