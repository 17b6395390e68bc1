"""Read the samples of a scrape, through the parsers of the client library."""

from collections.abc import Callable, Iterable

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sidecar.observability.metrics import Metrics

Series = tuple[str, frozenset[tuple[str, str]]]


def samples(metrics: Metrics, accept: str = "") -> dict[Series, float]:
    """Return every sample by its name and labels; with ``accept`` the exposition is OpenMetrics."""
    parse: Callable[[str], Iterable[Family]] = parse_openmetrics if accept else parse_text
    families = parse(metrics.exposition(accept)[0].decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Return the value of one series; KeyError if there is none."""
    return samples(metrics)[name, frozenset(labels.items())]
