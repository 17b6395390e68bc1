"""The figures of a run: rounds in, medians and ratios out, as JSON and as a table."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.readers import BenchCounts

PEER = "nginx"
"""The proxy that every ratio is against."""


class BrokenRound(RuntimeError):
    """A proxy lost events or streams, so that its cost says nothing."""


@dataclass
class Round:
    """What one proxy cost once. ``us_per_event`` is user and system CPU of all of its processes."""

    proxy: str
    events_per_s: float = 0.0
    us_per_event: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    kib_per_idle_stream: float | None = None

    def note_relay(self, tally: BenchCounts, cpu_s: float, seconds: float) -> None:
        """Take the figures of the paced streams."""
        self._refuse_if_broken(tally)
        if not tally.events:
            raise BrokenRound(f"{self.proxy}: not one event came through")
        self.events_per_s = tally.events / seconds
        self.us_per_event = cpu_s / tally.events * 1e6
        ordered = sorted(tally.latencies_ns)
        self.p50_ms, self.p99_ms = (percentile(ordered, share) / 1e6 for share in (0.50, 0.99))

    def note_idle(self, tally: BenchCounts, kib_per_stream: float) -> None:
        """Take the figure of the idle streams."""
        self._refuse_if_broken(tally)
        self.kib_per_idle_stream = kib_per_stream

    def _refuse_if_broken(self, tally: BenchCounts) -> None:
        if tally.lost or tally.closed:
            raise BrokenRound(
                f"{self.proxy}: {tally.lost} holes in the events, {tally.closed} streams closed"
            )

    @property
    def summary(self) -> str:
        """One line for the impatient."""
        return f"{self.us_per_event:.1f} us/event, p50 {self.p50_ms:.2f} ms, p99 {self.p99_ms:.2f} ms"


def percentile(ordered: list[int], share: float) -> int:
    """Return the value that a share of the ordered values does not exceed (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(rounds: list[Round], **about: Any) -> dict[str, Any]:
    """Put the rounds, their medians and the ratios of each round to the peer's into one JSON object."""
    names = list(dict.fromkeys(measured.proxy for measured in rounds))
    of = {name: [measured for measured in rounds if measured.proxy == name] for name in names}
    return {
        **about,
        "rounds": [asdict(measured) for measured in rounds],
        "median": {name: _medians(of[name]) for name in names},
        f"against_{PEER}": {
            name: _against(of[name], of[PEER]) for name in names if PEER in of and name != PEER
        },
    }


def _medians(rounds: list[Round]) -> dict[str, float | None]:
    idle = [measured.kib_per_idle_stream for measured in rounds if measured.kib_per_idle_stream is not None]
    return {
        "events_per_s": statistics.median(measured.events_per_s for measured in rounds),
        "us_per_event": statistics.median(measured.us_per_event for measured in rounds),
        "p50_ms": statistics.median(measured.p50_ms for measured in rounds),
        "p99_ms": statistics.median(measured.p99_ms for measured in rounds),
        "kib_per_idle_stream": statistics.median(idle) if idle else None,
    }


def _against(rounds: list[Round], peers: list[Round]) -> dict[str, float | None]:
    pairs = list(zip(rounds, peers, strict=True))
    measurable = all(peer.us_per_event for peer in peers)  # a very short round costs less than a clock tick
    ratios = [ours.us_per_event / peer.us_per_event for ours, peer in pairs] if measurable else []
    return {
        "cpu_ratio": statistics.median(ratios) if ratios else None,
        "added_p50_ms": statistics.median(ours.p50_ms - peer.p50_ms for ours, peer in pairs),
        "added_p99_ms": statistics.median(ours.p99_ms - peer.p99_ms for ours, peer in pairs),
    }


COLUMNS = (
    ("events / s", "events_per_s", ".0f"),
    ("us CPU / event", "us_per_event", ".1f"),
    ("p50 ms", "p50_ms", ".2f"),
    ("p99 ms", "p99_ms", ".2f"),
    ("KiB / idle stream", "kib_per_idle_stream", ".1f"),
    (f"CPU / {PEER}", "cpu_ratio", ".2f"),
    ("added p50 ms", "added_p50_ms", "+.2f"),
    ("added p99 ms", "added_p99_ms", "+.2f"),
)


def table(result: dict[str, Any]) -> str:
    """Write the medians and ratios as a table."""
    rows = [["proxy", *(title for title, _, _ in COLUMNS)]]
    for name, median in result["median"].items():
        figures = {**median, **result[f"against_{PEER}"].get(name, {})}
        rows.append([name, *(_cell(figures.get(key), form) for _, key, form in COLUMNS)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join("  ".join(line) for line in lines)


def _cell(figure: float | None, form: str) -> str:
    return "-" if figure is None else format(figure, form)
