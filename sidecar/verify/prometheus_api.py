"""A client of the HTTP API of Prometheus.

Source: https://prometheus.io/docs/prometheus/2.42/querying/api/
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

QUERY_TIMEOUT_S = 30.0


class QueryFailed(Exception):
    """Prometheus refused a request; the message has its reason."""


@dataclass(frozen=True, slots=True)
class VectorSample:
    """One sample of a vector: labels with the name, and a value or NaN."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer over time: pairs of Unix seconds and values."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert that is ``pending`` or ``firing``."""

    name: str
    state: str
    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A loaded rule.

    ``kind`` is alerting or recording. ``health`` is ok, err or unknown (not run yet).
    """

    group: str
    name: str
    kind: str
    query: str
    health: str
    error: str


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """Something scraped; ``health`` is up, down or unknown (not scraped yet)."""

    job: str
    instance: str
    health: str
    error: str


class PrometheusApi:
    """A Prometheus at ``url``; each method may raise QueryFailed.

    Use it in ``async with``.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=QUERY_TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str, **parameters: str | list[str]) -> Any:  # noqa: ANN401 - JSON
        """Return the ``data`` of a GET; a list repeats its parameter."""
        pairs = [
            (name, value)
            for name, values in parameters.items()
            for value in ([values] if isinstance(values, str) else values)
        ]
        async with self._session.get(f"{self.url}/api/v1/{path}", params=pairs) as response:
            answer = await response.json(content_type=None)
        if answer.get("status") != "success":
            raise QueryFailed(f"{answer.get('errorType')}: {answer.get('error')}")
        return answer["data"]

    async def query(self, expression: str, at: float | None = None) -> list[VectorSample]:
        """Evaluate an expression now or at a Unix time.

        A scalar is one sample without labels.
        """
        data = await self.get("query", query=expression, **({} if at is None else {"time": str(at)}))
        if data["resultType"] == "scalar":
            return [VectorSample({}, float(data["result"][1]))]
        return [VectorSample(element["metric"], float(element["value"][1])) for element in data["result"]]

    async def query_range(self, expression: str, start: float, end: float, step_s: float) -> list[Series]:
        """Evaluate an expression every ``step_s`` seconds between two Unix times."""
        data = await self.get(
            "query_range", query=expression, start=str(start), end=str(end), step=str(step_s)
        )
        return [
            Series(element["metric"], [(float(at), float(value)) for at, value in element["values"]])
            for element in data["result"]
        ]

    async def label_values(self, label: str, *matches: str) -> list[str]:
        """Return the values of a label among the selected series."""
        values: list[str] = await self.get(f"label/{label}/values", **({"match[]": list(matches)}))
        return values

    async def exemplars(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """Return each exemplar between two times.

        As ``{"labels": ..., "value": ..., "timestamp": ...}``.
        """
        data = await self.get("query_exemplars", query=expression, start=str(start), end=str(end))
        return [exemplar for series in data for exemplar in series["exemplars"]]

    async def alerts(self) -> list[ActiveAlert]:
        """Return what is pending or firing."""
        data = await self.get("alerts")
        return [
            ActiveAlert(each["labels"]["alertname"], each["state"], each["labels"], each["annotations"])
            for each in data["alerts"]
        ]

    async def rules(self) -> list[Rule]:
        """Return the rules that are loaded."""
        data = await self.get("rules")
        return [
            Rule(group["name"], r["name"], r["type"], r["query"], r["health"], r.get("lastError", ""))
            for group in data["groups"]
            for r in group["rules"]
        ]

    async def targets(self) -> list[ScrapeTarget]:
        """Return what is scraped."""
        data = await self.get("targets", state="active")
        return [
            ScrapeTarget(each["labels"]["job"], each["labels"]["instance"], each["health"], each["lastError"])
            for each in data["activeTargets"]
        ]

    async def reload(self) -> None:
        """Have it read its configuration and rule files again."""
        async with self._session.post(f"{self.url}/-/reload") as response:
            if not response.ok:
                raise QueryFailed(await response.text())
