"""The metric families of prometheus-client, with every series at 0."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sidecar.observability.catalogue import Metric

Family = TypeVar("Family", Counter, Gauge, Histogram)


class Families:
    """Families by name.

    Each write takes a lock, so counts per event are not here.
    """

    def __init__(
        self, metrics: Iterable[Metric], registry: CollectorRegistry, routes: Sequence[str], version: str
    ) -> None:
        self._by_name: dict[str, Counter | Gauge | Histogram] = {}
        for metric in metrics:
            family = self._by_name[metric.name] = _register(metric, registry)
            for values in filter(None, metric.series(routes, version)):
                family.labels(*values)  # this call creates the series

    def counter(self, name: str) -> Counter:
        """Return a counter, or raise KeyError or TypeError."""
        return _typed(self._by_name[name], Counter)

    def gauge(self, name: str) -> Gauge:
        """Return a gauge, or raise KeyError or TypeError."""
        return _typed(self._by_name[name], Gauge)

    def histogram(self, name: str) -> Histogram:
        """Return a histogram, or raise KeyError or TypeError."""
        return _typed(self._by_name[name], Histogram)


def _typed(family: Counter | Gauge | Histogram, kind: type[Family]) -> Family:
    if not isinstance(family, kind):
        raise TypeError(f"{family} is not a {kind.__name__}")
    return family


def _register(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels, registry=registry)
    if metric.kind == "gauge":
        return Gauge(metric.name, metric.help, metric.labels, registry=registry)
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
