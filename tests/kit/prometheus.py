"""A real Prometheus and Alertmanager around whatever a test runs.

async with alertmanager(tmp_path) as am, prometheus(
    tmp_path, targets=[f"127.0.0.1:{sc.admin_port}"], rules=rules, alertmanager=am
) as prom:
    await prom.until_scraped()
    await prom.until('increase(sse_messages_lost_total[1m]) > 0', 30)
    await am.until("SSEMessageIntegrityViolation", within_s=30, route="chat")
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import yaml

import compose.alertmanager
import compose.prometheus
from compose.alertmanager import Alertmanager
from compose.prometheus import Scraping
from compose.sink import AlertNotification, WebhookSink, sink
from sidecar.observability.slo import SLO
from sidecar.verify.prometheus_api import ActiveAlert, PrometheusApi, VectorSample
from tests.kit.deadline import WAIT_S, within

T = TypeVar("T")

POLL_S = 0.1

needs_prometheus = pytest.mark.needs("prometheus")


def webhook_only(url: str) -> str:
    """Configure an Alertmanager to pass everything on at once: where its configuration is no subject."""
    route = {"receiver": "sink", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    receiver = {"name": "sink", "webhook_configs": [{"url": url, "send_resolved": True}]}
    return yaml.safe_dump({"route": route, "receivers": [receiver]})


class Prometheus:
    """The API of a Prometheus, and waits on what it says; Overdue if that does not come in time."""

    def __init__(self, api: PrometheusApi, targets: int) -> None:
        self.api = api
        self.url = api.url
        self._targets = targets

    async def query(self, expression: str) -> list[VectorSample]:
        """See PrometheusApi."""
        return await self.api.query(expression)

    async def value(self, expression: str) -> float:
        """Return the one value of an expression; AssertionError if there is none, or more than one."""
        samples = await self.query(expression)
        assert len(samples) == 1, f"{expression}: {samples}"
        return samples[0].value

    async def until(self, expression: str, within_s: float = WAIT_S) -> list[VectorSample]:
        """Wait until an expression has an answer that is not empty, and return it."""
        return await _polled(lambda: self.query(expression), within_s, lambda: f"no answer: {expression}")

    async def until_none(self, expression: str, within_s: float = WAIT_S) -> None:
        """Wait until an expression has no answer."""
        await self.until(f"absent({expression})", within_s)

    async def until_scraped(self, within_s: float = WAIT_S) -> None:
        """Wait until every target has been scraped once, with success."""
        await self.until(f"count(up == 1) >= {self._targets}", within_s)

    async def alerts(self, name: str = "", state: str = "") -> list[ActiveAlert]:
        """Return what is pending or firing, or only the alerts of a name, or in a state."""
        alerts = await self.api.alerts()
        return [each for each in alerts if each.name.startswith(name) and each.state.startswith(state)]

    async def until_firing(self, name: str, within_s: float = WAIT_S) -> list[ActiveAlert]:
        """Wait until an alert fires."""
        return await _polled(lambda: self.alerts(name, "firing"), within_s, lambda: f"{name} does not fire")

    async def until_evaluated(self, within_s: float = WAIT_S) -> None:
        """Wait until every rule has been evaluated once; AssertionError if one failed."""
        await _polled(self._all_evaluated, within_s, lambda: "some rules have not been evaluated")
        await self.assert_rules_work()

    async def _all_evaluated(self) -> bool:
        return all(rule.health != "unknown" for rule in await self.api.rules())

    async def assert_rules_work(self) -> None:
        """Check that the last evaluation of every rule went well."""
        failed = [rule for rule in await self.api.rules() if rule.health == "err"]
        assert not failed


async def _polled(ask: Callable[[], Awaitable[T]], within_s: float, what: Callable[[], str]) -> T:
    async with within(within_s, what):
        answer = await ask()
        while not answer:
            await asyncio.sleep(POLL_S)
            answer = await ask()
    return answer


class Notifying:
    """A running Alertmanager, and the ``sink`` that its webhook leads to."""

    def __init__(self, running: Alertmanager, sink: WebhookSink) -> None:
        self.running = running
        self.url = running.url
        self.sink = sink

    async def until(
        self, name: str, status: str = "firing", *, within_s: float = WAIT_S, **labels: str
    ) -> AlertNotification:
        """Wait until it has told the webhook of such an alert, and return the newest notification."""
        so_far = self.sink.notifications
        async with within(within_s, lambda: f"not told: {name} {status} {labels}; told: {list(so_far)}"):
            return await self.sink.wait(name, status, **labels)


@asynccontextmanager
async def prometheus(
    directory: Path,
    targets: Sequence[str],
    rules: str = "",
    *,
    alertmanager: Notifying | None = None,
    scrape_interval_s: float = 1,
    evaluation_interval_s: float = 1,
) -> AsyncIterator[Prometheus]:
    """Start one that scrapes ``targets`` (host:port) as the job of the rules."""
    scraping = Scraping(
        jobs={SLO.job: targets},
        rules={"rules.yaml": rules} if rules else {},
        alertmanagers=[alertmanager.running.address] if alertmanager else [],
        scrape_interval_s=scrape_interval_s,
        evaluation_interval_s=evaluation_interval_s,
    )
    async with compose.prometheus.prometheus(scraping, directory / "prometheus") as api:
        yield Prometheus(api, len(targets))


@asynccontextmanager
async def alertmanager(
    directory: Path, config: Callable[[str], str] = webhook_only
) -> AsyncIterator[Notifying]:
    """Start one; ``config`` makes its configuration from the URL of the webhook that records."""
    async with (
        sink() as listening,
        compose.alertmanager.alertmanager(config(listening.url), directory / "alertmanager") as running,
    ):
        yield Notifying(running, listening)
