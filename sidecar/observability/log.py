"""Structured logging to stderr, without credentials and with a bound."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from sidecar.observability.log_rate_limit import LogRateLimit
from sidecar.observability.redaction import MARK, SECRET_KEY, redact, redact_headers, redact_text

__all__ = ["configure", "redact", "redact_headers", "report_floods"]

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]

TARGET_KEYS = frozenset({"target", "url", "path", "upstream", "referer", "location"})
FLOOD_KEY = "flood_key"
MULTI_LINE_KEYS = frozenset({"exception", "stack"})
LIBRARY_LOGGERS = ("uvicorn", "uvicorn.error", "aiohttp", "asyncio")
ACCESS_LOGGERS = ("uvicorn.access", "aiohttp.access")
"""Loggers with a line per request. The line per stream end replaces them."""


class _LineStream:
    """Writes lines to a file. A write that fails loses only its line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.lost = 0

    @property
    def is_terminal(self) -> bool:
        """Return whether the file is a terminal."""
        return self._file.isatty()

    def msg(self, line: str) -> None:
        """Write one line, or count it as lost."""
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except (OSError, ValueError):
            self.lost += 1

    debug = info = warning = error = critical = exception = msg


class _LibraryHandler(logging.Handler):
    """Writes the lines of libraries in the same form.

    The template of a message is its event name.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record of the standard library's logging."""
        values: EventDict = {"logger": record.name, FLOOD_KEY: f"{record.name}: {record.msg}"}
        if record.exc_info:
            values["exc_info"] = record.exc_info
        try:
            event = record.getMessage()
        except (TypeError, ValueError):  # the arguments do not fit the template
            event = str(record.msg)
        # Libraries invent levels, such as uvicorn's TRACE; structlog knows the five.
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, event, **values)


class _FloodGate:
    """The processor that drops and counts lines above the allowance."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.rate_limit = LogRateLimit()
        self.now = now

    def __call__(self, _: WrappedLogger, __: str, values: EventDict) -> EventDict:
        key = str(values.pop(FLOOD_KEY, values.get("event", "")))
        if not self.rate_limit.admit(key, self.now()):
            raise structlog.DropEvent
        held = self.rate_limit.take(key)
        if held:
            values["suppressed"] = held
        return values


class _Current:
    """The gate in use, global like structlog's configuration."""

    gate: _FloodGate | None = None


def configure(
    level: Level = "info",
    form: Format = "json",
    file: TextIO | None = None,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Send all log lines of this process to ``file``, by default stderr.

    This includes the lines of libraries. A second call replaces the first.
    """
    lines = _LineStream(file or sys.stderr)
    gate = _Current.gate = _FloodGate(now)
    severity = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        # The gate comes first, so that a dropped line is cheap.
        processors=[gate, *_ENRICH, _renderer(form, lines)],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    _route_libraries(severity)


def report_floods() -> None:
    """Write one line for each event whose flood is over.

    The process calls it every second and before it exits.
    """
    gate = _Current.gate
    ended = gate.rate_limit.take_ended(gate.now()) if gate else {}
    for event, suppressed in ended.items():
        structlog.get_logger().warning("log lines held back", of=event, suppressed=suppressed)


def _redacted(_: WrappedLogger, __: str, values: EventDict) -> EventDict:
    """Replace credentials, by the name of their key and in every URL."""
    return {key: _safe(key, value) for key, value in values.items()}


def _safe(key: str, value: object) -> object:
    if SECRET_KEY.search(key):
        return MARK
    if isinstance(value, Mapping) and "headers" in key:
        return dict(redact_headers(value))
    if isinstance(value, Mapping):
        return {inner: _safe(str(inner), part) for inner, part in value.items()}
    if isinstance(value, list | tuple):
        return [_safe("", part) for part in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    text = redact(text) if key in TARGET_KEYS else redact_text(text)
    return text if key in MULTI_LINE_KEYS or text.isprintable() else text.encode("unicode_escape").decode()


_ENRICH: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _redacted,
)


def _renderer(form: Format, lines: _LineStream) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer()
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=lines.is_terminal, exception_formatter=plain)


def _route_libraries(severity: int) -> None:
    root = logging.getLogger()
    for handler in [old for old in root.handlers if isinstance(old, _LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(_LibraryHandler())
    root.setLevel(severity)
    for name in LIBRARY_LOGGERS:
        library = logging.getLogger(name)
        library.handlers, library.propagate = [], True
    for name in ACCESS_LOGGERS:
        logging.getLogger(name).disabled = True
