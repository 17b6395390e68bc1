"""Log lines are structured and bounded, and contain no user's data."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from sidecar.observability.log import configure, redact, redact_headers, report_floods


class _Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    for name in ("uvicorn.access", "aiohttp.access"):
        logging.getLogger(name).disabled = False
    structlog.reset_defaults()


@pytest.fixture
def file() -> io.StringIO:
    return io.StringIO()


def _lines(file: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/a", "/a"),
        ("/a?", "/a?"),
        ("/a?token=abc&x=1", "/a?token=…&x=…"),
        ("/a?abc", "/a?…"),
        ("/a?a=1&abc&=", "/a?a=…&…&=…"),
        ("/a?u=http://me:pw@h/", "/a?u=…"),
        ("/a#access_token=abc", "/a#…"),
        ("/a%3Ftoken=abc", "/a%3Ftoken=abc"),
        ("http://me:pw@host/a?b=c", "http://…@host/a?b=…"),
        ("//me@host/a", "//…@host/a"),
        ("/a@b", "/a@b"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_a_target_keeps_its_path_and_the_names_of_its_query(target: str, shown: str) -> None:
    assert redact(target) == shown


def test_of_header_fields_only_harmless_values_are_shown() -> None:
    fields = [
        ("Content-Type", "text/plain"),
        ("Authorization", "Bearer x"),
        ("X-Anything", "x"),
        ("Cookie", "x"),
    ]
    assert redact_headers(fields) == [
        ("Content-Type", "text/plain"),
        ("Authorization", "…"),
        ("X-Anything", "…"),
        ("Cookie", "…"),
    ]


def test_a_line_is_one_json_object_with_its_time_and_level(file: io.StringIO) -> None:
    configure("info", "json", file)
    structlog.get_logger().warning("stream ended", outcome="completed", messages=3)
    (line,) = _lines(file)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "stream ended", "level": "warning", "outcome": "completed", "messages": 3}


def test_the_console_form_is_for_reading(file: io.StringIO) -> None:
    configure("info", "console", file)
    structlog.get_logger().info("stream ended", outcome="completed")
    assert "stream ended" in file.getvalue()
    assert "outcome=completed" in file.getvalue()


def test_less_severe_lines_are_left_out(file: io.StringIO) -> None:
    configure("warning", "json", file)
    structlog.get_logger().info("chatter")
    logging.getLogger("aiohttp").info("chatter")
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    "values",
    [
        {"authorization": "hunter2"},
        {"set_cookie": "hunter2"},
        {"api_key": "hunter2"},
        {"headers": {"Authorization": "Bearer hunter2"}},
        {"request": {"admin_token": "hunter2"}},
        {"target": "/a?key=hunter2"},
        {"seen": ["http://h/?key=hunter2"]},
        {"note": "asked http://me:hunter2@host/ twice"},
        {"raw": b"GET http://h/?key=hunter2"},
        {"error": ValueError("no answer from http://h/?key=hunter2")},
    ],
    ids=lambda values: next(iter(values)),
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_credential_does_not_reach_the_log(file: io.StringIO, form: Any, values: dict[str, Any]) -> None:
    configure("info", form, file)
    structlog.get_logger().info("request", **values)
    assert "request" in file.getvalue()
    assert "hunter2" not in file.getvalue()


def test_a_traceback_is_logged_without_the_urls_credentials(file: io.StringIO) -> None:
    configure("info", "json", file)
    try:
        raise ValueError("http://me:hunter2@host/")  # noqa: TRY301 - what is tested is its traceback
    except ValueError:
        structlog.get_logger().exception("task failed")
    (line,) = _lines(file)
    assert "ValueError: http://…@host/" in line["exception"]
    assert "hunter2" not in file.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_value_cannot_forge_a_line(file: io.StringIO, form: Any) -> None:
    configure("info", form, file)
    structlog.get_logger().info("request", agent="x\n2024 [error] forged\x1b[2J", target="/\r\n")
    assert file.getvalue().count("\n") == 1
    assert "\x1b[2J" not in file.getvalue()


def test_the_lines_of_libraries_take_the_same_form(file: io.StringIO) -> None:
    configure("info", "json", file)
    logging.getLogger("uvicorn.error").error("bad request from %s", "http://h/?key=hunter2")
    (line,) = _lines(file)
    assert (line["level"], line["logger"]) == ("error", "uvicorn.error")
    assert line["event"] == "bad request from http://h/?key=…"


def test_a_librarys_line_whose_arguments_do_not_fit_is_still_written(file: io.StringIO) -> None:
    configure("info", "json", file)
    record = logging.LogRecord("aiohttp", logging.ERROR, __file__, 1, "%d and %d", ("x",), None)
    logging.getLogger().handlers[-1].handle(record)  # only ours: pytest's own handler raises
    assert [line["event"] for line in _lines(file)] == ["%d and %d"]


def test_access_logs_are_silent(file: io.StringIO) -> None:
    configure("debug", "json", file)
    logging.getLogger("uvicorn.access").info("GET / 200")
    assert file.getvalue() == ""


def test_a_second_configuration_replaces_the_first(file: io.StringIO) -> None:
    configure("info", "json", file)
    configure("info", "json", file)
    logging.getLogger("aiohttp").warning("once")
    assert len(_lines(file)) == 1


def test_a_flood_is_cut_and_counted_on_the_next_line(file: io.StringIO) -> None:
    now = [0.0]
    configure("info", "json", file, lambda: now[0])
    for _ in range(250):
        structlog.get_logger().info("reset")
    now[0] = 1.0
    structlog.get_logger().info("reset")
    lines = _lines(file)
    assert len(lines) == 101
    assert [line.get("suppressed") for line in lines[-2:]] == [None, 150]


def test_a_librarys_flood_is_recognised_by_its_template(file: io.StringIO) -> None:
    configure("info", "json", file, lambda: 0.0)
    for at in range(250):
        logging.getLogger("asyncio").error("task %d failed", at)
    assert len(_lines(file)) == 100


def test_a_flood_that_stopped_is_reported(file: io.StringIO) -> None:
    now = [0.0]
    configure("info", "json", file, lambda: now[0])
    for _ in range(103):
        structlog.get_logger().info("reset")
    report_floods()
    assert len(_lines(file)) == 100
    now[0] = 1.0
    report_floods()
    last = _lines(file)[-1]
    assert (last["event"], last["of"], last["suppressed"]) == ("log lines held back", "reset", 3)


def test_a_log_reader_that_went_away_does_not_stop_the_program() -> None:
    configure("info", "json", _Closed())
    structlog.get_logger().info("nobody hears this")
    logging.getLogger("aiohttp").warning("nor this")
