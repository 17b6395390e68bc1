"""The metrics that are read at each scrape: integers and the hub's gauges."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from sidecar.observability.catalogue import CATALOGUE
from sidecar.observability.histogram import Histogram
from sidecar.observability.labels import LogState
from sidecar.observability.route_metrics import HOT_COUNTERS, HOT_HISTOGRAMS, RouteMetrics, attribute_of

HUB_GAUGES: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "sse_streams_active": {(): "streams_active"},
    "sse_streams_detached": {(): "streams_detached"},
    "sse_subscribers": {(): "subscribers"},
    "sse_log_bytes": {(): "log_bytes"},
    "sse_log_messages": {
        (LogState.UNDELIVERED,): "log_messages_undelivered",
        (LogState.DELIVERED,): "log_messages_delivered",
    },
}
"""The hub's gauges: metric -> values of the labels after route -> field of ``Census``."""

LOOP_LAG = "sse_event_loop_lag_seconds"
READ_AT_SCRAPE = frozenset({*HOT_COUNTERS, *HOT_HISTOGRAMS, *HUB_GAUGES, LOOP_LAG})
_CATALOGUE = {metric.name: metric for metric in CATALOGUE}


@dataclass(frozen=True, slots=True)
class Census:
    """What the hub holds for one route now."""

    streams_active: int = 0
    streams_detached: int = 0
    subscribers: int = 0
    log_bytes: int = 0
    log_messages_undelivered: int = 0
    log_messages_delivered: int = 0


HubView = Callable[[], Mapping[str, Census]]


def no_hub() -> Mapping[str, Census]:
    """Return an empty census, which stands until there is a hub."""
    return {}


class ScrapeCollector(Collector):
    """Turn the numbers of all routes into families."""

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
        for name in HOT_COUNTERS:
            metric = _CATALOGUE[name]
            family = CounterMetricFamily(name, metric.help, labels=metric.labels)
            read = attrgetter(attribute_of(name))
            for route, numbers in self._routes.items():
                count = read(numbers)
                rows = count.items() if isinstance(count, Mapping) else [((), count)]
                for values, number in rows:
                    family.add_metric((route, *values), number)
            yield family

    def _histograms(self) -> Iterator[Family]:
        for name in HOT_HISTOGRAMS:
            family = HistogramMetricFamily(name, _CATALOGUE[name].help, labels=("route",))
            read = attrgetter(attribute_of(name))
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
