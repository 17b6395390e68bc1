"""The part of the metrics that is read at each scrape: plain integers, tallies, and what the hub holds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from sidecar.observability.catalogue import CATALOGUE
from sidecar.observability.histogram import Histogram
from sidecar.observability.labels import LogState
from sidecar.observability.route_metrics import HOT_COUNTERS, HOT_HISTOGRAMS, RouteMetrics

HUB_GAUGES: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "sse_streams_active": {(): "active"},
    "sse_streams_detached": {(): "detached"},
    "sse_subscribers": {(): "subscribers"},
    "sse_log_bytes": {(): "log_bytes"},
    "sse_log_messages": {(LogState.UNDELIVERED,): "undelivered", (LogState.DELIVERED,): "kept"},
}
"""The gauges that are facts of the hub: per metric, the values of the labels after route -> the field."""

LOOP_LAG = "sse_event_loop_lag_seconds"
READ_AT_SCRAPE = frozenset({*HOT_COUNTERS, *HOT_HISTOGRAMS, *HUB_GAUGES, LOOP_LAG})
_CATALOGUE = {metric.name: metric for metric in CATALOGUE}


@dataclass(frozen=True, slots=True)
class Census:
    """What the hub holds for one route now; ``kept`` are messages in a log that a client has been sent."""

    active: int = 0
    detached: int = 0
    subscribers: int = 0
    log_bytes: int = 0
    undelivered: int = 0
    kept: int = 0


HubView = Callable[[], Mapping[str, Census]]


def no_hub() -> Mapping[str, Census]:
    """Return the census before there is a hub: nothing."""
    return {}


class ScrapeCollector(Collector):
    """Turn the numbers of all routes into families; a route that the hub does not mention holds nothing."""

    def __init__(self, routes: Mapping[str, RouteMetrics], event_loop_lag: Histogram) -> None:
        self._routes = routes
        self._lag = event_loop_lag
        self.hub_view: HubView = no_hub

    def collect(self) -> Iterator[Family]:
        """Yield every family that is read at scrape time."""
        yield from self._counters()
        yield from self._histograms()
        yield from self._gauges()

    def _counters(self) -> Iterator[Family]:
        for name, cells in HOT_COUNTERS.items():
            metric = _CATALOGUE[name]
            family = CounterMetricFamily(name, metric.help, labels=metric.labels)
            for values, attribute in cells.items():
                read = attrgetter(attribute)
                for route, numbers in self._routes.items():
                    family.add_metric((route, *values), read(numbers))
            yield family

    def _histograms(self) -> Iterator[Family]:
        for name, attribute in HOT_HISTOGRAMS.items():
            family = HistogramMetricFamily(name, _CATALOGUE[name].help, labels=("route",))
            read = attrgetter(attribute)
            for route, numbers in self._routes.items():
                _add(family, (route,), read(numbers))
            yield family
        lag = HistogramMetricFamily(LOOP_LAG, _CATALOGUE[LOOP_LAG].help, labels=())
        _add(lag, (), self._lag)
        yield lag

    def _gauges(self) -> Iterator[Family]:
        census = self.hub_view()
        for name, cells in HUB_GAUGES.items():
            metric = _CATALOGUE[name]
            family = GaugeMetricFamily(name, metric.help, labels=metric.labels)
            for values, field in cells.items():
                read = attrgetter(field)
                for route in self._routes:
                    family.add_metric((route, *values), read(census.get(route, Census())))
            yield family


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram) -> None:
    family.add_metric(labels, histogram.buckets(), histogram.total)
