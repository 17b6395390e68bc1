"""A sidecar's counts since its start, from Prometheus or itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan
from typing import Protocol

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sidecar.admin import key_numbers
from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability.slo import SLO
from sidecar.verify.prometheus import CONFIG
from sidecar.verify.prometheus_api import PrometheusApi, VectorSample

SCRAPE_INTERVAL_S = 1.0
SCRAPED_S = 30.0
"""The longest wait for a scrape that began now."""

POLL_S = 0.2
ASK_S = 10.0
ROUTE = "route"


class Books(Protocol):
    """Sums over all routes but the canary's."""

    @property
    def name(self) -> str:
        """Return who was asked, for the reader of a report."""
        ...

    async def total(self, metric: str, **labels: str) -> float:
        """Return the sum of the series with these labels."""
        ...

    async def by(self, metric: str, label: str) -> dict[str, float]:
        """Return the sums for each value of a label."""
        ...

    async def quantile(self, share: float, metric: str, **labels: str) -> float:
        """Return a quantile of a histogram; NaN if it is empty."""
        ...


@dataclass(frozen=True, slots=True)
class OfPrometheus:
    """Books as Prometheus has them at a moment (Unix seconds)."""

    api: PrometheusApi
    at: float
    name: str = "Prometheus"

    async def total(self, metric: str, **labels: str) -> float:
        """See Books."""
        return await self._one(f"sum({_selector(metric, labels)})")

    async def by(self, metric: str, label: str) -> dict[str, float]:
        """See Books."""
        rows = await self.api.query(f"sum by ({label}) ({_selector(metric, {})})", self.at)
        return {row.labels[label]: row.value for row in rows}

    async def quantile(self, share: float, metric: str, **labels: str) -> float:
        """See Books."""
        buckets = _selector(f"{metric}_bucket", labels)
        return await self._one(f"histogram_quantile({share:g}, sum by (le) ({buckets}))")

    async def _one(self, expression: str) -> float:
        rows = await self.api.query(expression, self.at)
        return rows[0].value if rows else nan


@dataclass(frozen=True, slots=True)
class OfItself:
    """Books as the sidecar shows them on ``/metrics``."""

    samples: Sequence[VectorSample]
    name: str = "the sidecar's own /metrics"

    async def total(self, metric: str, **labels: str) -> float:
        """See Books."""
        return sum(each.value for each in self._of(metric, labels))

    async def by(self, metric: str, label: str) -> dict[str, float]:
        """See Books."""
        sums: dict[str, float] = {}
        for each in self._of(metric, {}):
            sums[each.labels[label]] = sums.get(each.labels[label], 0) + each.value
        return sums

    async def quantile(self, share: float, metric: str, **labels: str) -> float:
        """See Books."""
        sums: dict[float, float] = {}
        for each in self._of(f"{metric}_bucket", labels):
            edge = float(each.labels["le"])
            sums[edge] = sums.get(edge, 0) + each.value
        edges = sorted(sums)
        counts = [sums[edge] - sums[before] for before, edge in pairwise(edges)]
        counts = [sums[edges[0]], *counts] if edges else []
        found = key_numbers.quantile(share, [edge for edge in edges if edge < inf], counts)
        return found[0] if found is not None else nan

    def _of(self, metric: str, labels: dict[str, str]) -> list[VectorSample]:
        return [
            each
            for each in self.samples
            if each.labels.get("__name__") == metric
            and each.labels.get(ROUTE) != CANARY_ROUTE
            and labels.items() <= each.labels.items()
        ]


def scraping(admin_address: str) -> dict[str, str]:
    """Return the configuration of a Prometheus that scrapes a sidecar."""
    config = {
        "global": {"scrape_interval": f"{SCRAPE_INTERVAL_S:g}s", "scrape_timeout": f"{SCRAPE_INTERVAL_S:g}s"},
        "scrape_configs": [{"job_name": SLO.job, "static_configs": [{"targets": [admin_address]}]}],
    }
    return {CONFIG: yaml.safe_dump(config)}


async def after_last_scrape(api: PrometheusApi, since: float) -> OfPrometheus:
    """Wait for a scrape after ``since`` (Unix s); return its counts."""
    up = f'up{{job="{SLO.job}"}}'  # timestamp() of anything but a selector is the time of the question

    async def later_than(at: float) -> float:
        while not (rows := await api.query(f"timestamp({up}) > {at} and {up} == 1")):  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        return rows[0].value

    async with asyncio.timeout(SCRAPED_S):
        scraped_at = await later_than(since)
        await later_than(scraped_at)
    return OfPrometheus(api, scraped_at)


async def of_itself(admin_url: str) -> OfItself:
    """Read a sidecar's ``/metrics``.

    Raises aiohttp.ClientError or TimeoutError.
    """
    timeout = aiohttp.ClientTimeout(total=ASK_S)
    async with (
        aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
        session.get(f"{admin_url}/metrics") as answer,
    ):
        text = await answer.text()
    families = text_string_to_metric_families(text)
    return OfItself(
        [
            VectorSample({"__name__": sample.name, **sample.labels}, sample.value)
            for family in families
            for sample in family.samples
        ]
    )


def _selector(metric: str, labels: dict[str, str]) -> str:
    own = {"job": SLO.job} | labels
    matchers = [f'{ROUTE}!="{CANARY_ROUTE}"', *(f'{name}="{value}"' for name, value in own.items())]
    return f"{metric}{{{', '.join(matchers)}}}"
