"""The two expositions have the same content."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as LibraryHistogram

from sidecar.observability.metrics import Histogram, Metrics, ReconnectEnd, Side
from tests.kit.samples import samples, value


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["chat", "default"], "1.2.3")


def test_openmetrics_carries_the_stream_id_as_an_exemplar(metrics: Metrics) -> None:
    observed = metrics.route("chat").reconnect_duration_seconds[Side.CLIENT, ReconnectEnd.RESUMED]
    observed.observe(1.5, exemplar={"stream_id": "abc"})
    body, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0, text/plain;q=0.5")
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert b'# {stream_id="abc"} 1.5' in body
    assert body.endswith(b"# EOF\n")
    assert b"abc" not in metrics.exposition("text/plain")[0]


def test_openmetrics_and_text_tell_the_same(metrics: Metrics) -> None:
    metrics.route("chat").messages_received = 3
    metrics.event_loop_lag_seconds.observe(0.2)
    ours = [{key: value for key, value in samples(metrics, accept).items() if key[0].startswith("sse_")}
            for accept in ("", "application/openmetrics-text")]  # fmt: skip
    assert ours[0] == ours[1]


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "text/html", "text/plain;version=0.0.4", "application/openmetrics-text-not", ";;,,=", "é"],
)
def test_any_other_wish_gets_the_text_format(metrics: Metrics, accept: str) -> None:
    body, content_type = metrics.exposition(accept)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert body.startswith(b"# HELP ")


def test_a_made_up_openmetrics_version_gets_the_one_there_is(metrics: Metrics) -> None:
    _, content_type = metrics.exposition("application/openmetrics-text; version=x.y")
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"


@given(
    bounds=st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=20, unique=True).map(sorted),
    values=st.lists(st.floats(0, 1e12), max_size=50),
)
def test_a_histogram_counts_like_the_librarys_histogram(bounds: list[float], values: list[float]) -> None:
    registry = CollectorRegistry()
    library = LibraryHistogram("x", "x", buckets=bounds, registry=registry)
    histogram = Histogram(bounds)
    for seconds in [*values, *bounds]:
        library.observe(seconds)
        histogram.observe(seconds)
    samples = next(iter(registry.collect())).samples
    assert histogram.buckets() == [(s.labels["le"], s.value) for s in samples if s.name == "x_bucket"]
    assert histogram.total == next(s.value for s in samples if s.name == "x_sum")


def test_the_hot_histograms_reach_the_scrape(metrics: Metrics) -> None:
    seed = 20_240_601
    chance = random.Random(seed)
    seen = [chance.expovariate(1) for _ in range(100)]
    for seconds in seen:
        metrics.route("chat").message_gap_seconds.observe(seconds)
    assert value(metrics, "sse_message_gap_seconds_count", route="chat") == 100
    assert value(metrics, "sse_message_gap_seconds_sum", route="chat") == pytest.approx(sum(seen))
    assert value(metrics, "sse_message_gap_seconds_bucket", route="chat", le="1.0") == sum(
        seconds <= 1 for seconds in seen
    ), f"seed {seed}"
