"""The admin listener's front page: the six key numbers since the start, and where to look next."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from prometheus_client.samples import Sample

from sidecar.labels import (
    DuplicateDisposition,
    Outcome,
    ReconnectEnd,
    SilentDisposition,
    StallEnd,
)
from sidecar.metrics import Metrics

RECONNECT_OBJECTIVE_S = "5.0"
"""The bucket edge of the reconnect objective, as the exposition writes it."""

NOT_COUNTED = (Outcome.CLIENT_CANCELLED, Outcome.CLIENT_LEFT)
"""Ends that were the client's own wish: neither good nor bad."""

LINKS = ("streams", "metrics", "readyz", "livez")

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>sse-sidecar</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem; padding: 0 1rem }}
td {{ padding: .2rem 1rem .2rem 0 }} td + td {{ font-variant-numeric: tabular-nums; text-align: right }}
</style>
<h1>sse-sidecar</h1>
<table>
{rows}
</table>
<p>Since this process started. {links}</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class Samples:
    """One reading of all metrics."""

    read: tuple[Sample, ...]

    @classmethod
    def of(cls, metrics: Metrics) -> "Samples":
        """Read every metric once."""
        return cls(tuple(sample for family in metrics.registry.collect() for sample in family.samples))

    def total(self, name: str, **labels: str) -> float:
        """Add up the series of a name that carry the given labels."""
        wanted = labels.items()
        return sum(s.value for s in self.read if s.name == name and wanted <= s.labels.items())


def key_numbers(metrics: Metrics) -> list[tuple[str, str]]:
    """Return the six key numbers over all routes, each with the words for it."""
    samples = Samples.of(metrics)
    return [
        ("Streams completed", _completion(samples)),
        ("Reconnects within 5 s", _reconnects(samples)),
        ("Messages lost", f"{samples.total('sse_messages_lost_total'):.0f}"),
        ("Duplicates delivered", _duplicates(samples)),
        ("Silent failures leaked", _leaked(samples)),
        ("Stalls declared / recovered", _stalls(samples)),
    ]


def page(numbers: Iterable[tuple[str, str]]) -> str:
    """Return the page as HTML."""
    rows = "\n".join(f"<tr><td>{escape(words)}<td>{escape(number)}" for words, number in numbers)
    links = " · ".join(f'<a href="/{name}">/{name}</a>' for name in LINKS)
    return PAGE.format(rows=rows, links=links)


def _completion(samples: Samples) -> str:
    finished = "sse_streams_finished_total"
    counted = samples.total(finished) - sum(samples.total(finished, outcome=out) for out in NOT_COUNTED)
    return _share(samples.total(finished, outcome=Outcome.COMPLETED), counted)


def _reconnects(samples: Samples) -> str:
    name = "sse_reconnect_duration_seconds"
    fast = samples.total(f"{name}_bucket", le=RECONNECT_OBJECTIVE_S, outcome=ReconnectEnd.RESUMED)
    return _share(fast, samples.total(f"{name}_count"))


def _duplicates(samples: Samples) -> str:
    delivered = samples.total("sse_messages_duplicated_total", disposition=DuplicateDisposition.DELIVERED)
    return f"{delivered:.0f}"


def _leaked(samples: Samples) -> str:
    return f"{samples.total('sse_silent_failures_total', disposition=SilentDisposition.LEAKED):.0f}"


def _stalls(samples: Samples) -> str:
    declared = samples.total("sse_stall_detection_seconds_count")
    recovered = samples.total("sse_stall_recovery_seconds_count", outcome=StallEnd.RECOVERED)
    return f"{declared:.0f} / {recovered:.0f}"


def _share(good: float, of: float) -> str:
    return f"{good / of:.2%} of {of:.0f}" if of else "none yet"
