"""A webhook for Alertmanager that keeps its notifications.

It can print them too.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from sidecar.verify.program import HOST, free_port

NOTIFICATIONS_MAX = 10_000
"""Notifications kept; the oldest is forgotten first."""

PATH = "/alerts"


@dataclass(frozen=True, slots=True)
class AlertNotification:
    """A notification of one alert; times are Unix seconds.

    ``status`` is ``firing`` or ``resolved``.
    """

    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    receiver: str
    at: float

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]

    def line(self) -> str:
        """Return the notification as text: one line and the links."""
        which = ", ".join(f"{name}={value}" for name, value in self.labels.items() if name in SHOWN)
        clock = time.strftime("%H:%M:%S", time.localtime(self.at))
        line = (
            f"{clock}  {self.status.upper():8}  {self.name} ({which}): {self.annotations.get('summary', '')}"
        )
        runbook = self.annotations.get("runbook_url")
        return f"{line}\n{' ' * 20}{runbook}" if runbook and self.status == "firing" else line


SHOWN = ("severity", "route", "side", "stage", "kind", "violation", "instance")


class WebhookSink:
    """``url`` is what a receiver's ``webhook_configs`` names."""

    def __init__(self, port: int, told: Callable[[AlertNotification], None] | None) -> None:
        self.url = f"http://{HOST}:{port}{PATH}"
        self.notifications: deque[AlertNotification] = deque(maxlen=NOTIFICATIONS_MAX)
        self._told = told
        self._news = asyncio.Event()

    async def receive(self, request: web.Request) -> web.Response:
        """Take one webhook call.

        https://prometheus.io/docs/alerting/0.25/configuration/#webhook_config
        """
        group = await request.json()
        for alert in group["alerts"]:
            self._note(
                AlertNotification(
                    alert["status"], alert["labels"], alert["annotations"], group["receiver"], time.time()
                )
            )
        self._news.set()
        self._news = asyncio.Event()
        return web.Response(status=204)

    def _note(self, notification: AlertNotification) -> None:
        self.notifications.append(notification)
        if self._told:
            self._told(notification)

    def seen(self, name: str, status: str = "firing", **labels: str) -> list[AlertNotification]:
        """Return the notifications so far about an alert that carry these labels."""
        return [
            each
            for each in self.notifications
            if each.name == name and each.status == status and labels.items() <= each.labels.items()
        ]

    async def wait(self, name: str, status: str = "firing", **labels: str) -> AlertNotification:
        """Wait for such a notification and return the newest.

        The caller bounds the wait.
        """
        while not self.seen(name, status, **labels):
            await self._news.wait()
        return self.seen(name, status, **labels)[-1]


@asynccontextmanager
async def sink(
    port: int | None = None, told: Callable[[AlertNotification], None] | None = None
) -> AsyncIterator[WebhookSink]:
    """Listen to the block's end; call ``told`` with each notification."""
    port = port or free_port()
    receiving = WebhookSink(port, told)
    app = web.Application()
    app.add_routes([web.post(PATH, receiving.receive)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield receiving
    finally:
        await runner.cleanup()
