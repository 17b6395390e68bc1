"""The service level objectives and the windows of their alerts, as data.

Metric thresholds, recording rules, alerts, dashboards and the documentation read them from here.
"""

from dataclasses import dataclass, field
from typing import Literal

from sidecar.observability.labels import Outcome

Severity = Literal["critical", "warning"]

NOT_ELIGIBLE = (Outcome.CLIENT_CANCELLED, Outcome.CLIENT_LEFT)
"""Outcomes that the user wanted. They do not count for completion."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, with its name in the names of rules."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BurnRate:
    """A rate at which an alert fires, over both windows.

    At ``factor`` 1, the error budget lasts exactly its period.
    """

    severity: Severity
    factor: float
    long: Window
    short: Window


M5, M30 = Window("5m", 300), Window("30m", 1_800)
H1, H2, H6 = Window("1h", 3_600), Window("2h", 7_200), Window("6h", 21_600)
D1, D3 = Window("1d", 86_400), Window("3d", 259_200)


@dataclass(frozen=True, slots=True)
class Slo:
    """The objectives and every figure of their rules.

    ``speed`` above 1 divides every window and wait, so that a drill takes minutes; names stay.
    """

    job: str = "sse-sidecar"
    completion_objective: float = 0.995
    reconnect_objective: float = 0.95
    reconnect_s: float = 5.0
    """Share of reconnects that take less than ``reconnect_s``; the latter is a bucket's edge, so exact."""

    burn_rates: tuple[BurnRate, ...] = (
        BurnRate("critical", 14.4, H1, M5),
        BurnRate("critical", 6, H6, M30),
        BurnRate("warning", 3, D1, H2),
        BurnRate("warning", 1, D3, H6),
    )
    recorded: tuple[Window, ...] = (M5, M30, H1, H2, H6, D1, D3)
    reconnect_long: Window = M30
    reconnect_short: Window = M5
    bad_streams_min: int = 3
    """Failures in the long window below which no alert fires."""

    slow_reconnects_min: int = 5
    integrity_window: Window = field(default_factory=lambda: Window("10m", 600))
    completion_for_s: float = 120
    reconnect_for_s: float = 300
    integrity_keep_s: float = 600
    down_for_s: float = 60
    watchdog_age_max_s: float = 60
    scrape_interval_s: float = 15
    evaluation_interval_s: float = 15
    speed: float = 1

    @property
    def completion_budget(self) -> float:
        """Share of eligible streams that may fail."""
        return round(1 - self.completion_objective, 10)

    @property
    def reconnect_budget(self) -> float:
        """Share of reconnects that may be slow or given up."""
        return round(1 - self.reconnect_objective, 10)


SLO = Slo()

SLO_OBJECTIVES = {
    "completion": SLO.completion_objective,
    "reconnect": SLO.reconnect_objective,
    "loss": 1.0,
    "duplicates": 1.0,
    "silent": 1.0,
}
"""Required share of good events of each objective. 1 permits no bad event."""
