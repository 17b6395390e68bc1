"""The whole product on one machine, as real processes.

Faults can be switched while it runs.

async with stack(speed=30) as s:
    await s.inject("reset")
    await s.sink.wait("SSECompletionBudgetBurn")
    await s.clear()
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from alerts import alertmanager as notifications
from alerts import rules
from compose import alertmanager, prometheus
from compose.alertmanager import Alertmanager
from compose.faults import FAULTS, Blow, StackFault
from compose.front import ByteRelay, front
from compose.prometheus import Scraping
from compose.sink import AlertNotification, WebhookSink, sink
from compose.users import USERS_DEFAULT, StackUsers
from sidecar.observability.slo import SLO, Slo
from sidecar.verify.program import HOST, POLL_S, READY_S, ManagedProcess, NotReady, free_port, program, write
from sidecar.verify.prometheus_api import PrometheusApi

SCRAPE_S_MIN = 0.25
"""However fast the rules run, nobody scrapes more often."""

NOTIFY_S_MIN = 1.0
SILENT = 'up == 1 unless on () ALERTS{alertstate="firing"}'
LEAVE_S = 5.0
"""How long the users may take to go away at the end."""

CANARY_S, CANARY_S_MIN = 15.0, 1.0
"""How often a known stream goes through, at the speed of the rules."""

SIDECAR_CONFIG = "sidecar.yaml"
USUAL_PORTS = (8080, 9464, 8000, prometheus.USUAL_PORT, alertmanager.USUAL_PORT, 9095, 8081)

ANSWERS = {"linger_s": 15, "retain_s": 60, "stall_s": 3, "upstream_idle_s": 8}
"""Waits shorter than the defaults: who watches wants to see the end of a stall and of a linger."""

ROUTES: list[dict[str, Any]] = [
    {"name": "chat", "path": "/api/chat", "complete_on": "done", **ANSWERS},
    {"name": "openai", "path": "/v1/chat/completions", "methods": ["POST"], **ANSWERS},
    {"name": "claude", "path": "/v1/messages", "methods": ["POST"], **ANSWERS},
    {
        "name": "notifications",
        "path": "/notifications",
        "methods": ["GET"],
        "kind": "live",
        "upstream_resume": True,
        "linger_s": 15,
        "log_events_max": 100,
    },
]


@dataclass(frozen=True, slots=True)
class StackPorts:
    """Where the parts listen, on loopback."""

    public: int
    admin: int
    backend: int
    prometheus: int
    alertmanager: int
    sink: int
    front: int

    @classmethod
    def free(cls) -> "StackPorts":
        """Choose any that are free, so that several stacks can run at once."""
        chosen: dict[int, None] = {}
        while len(chosen) < len(fields(cls)):
            chosen[free_port()] = None
        return cls(*chosen)

    @classmethod
    def usual(cls) -> "StackPorts":
        """Choose those that people know, where they are free."""
        return cls(*map(free_port, USUAL_PORTS))


@dataclass
class Stack:
    """The running parts.

    ``sidecar`` and ``backend`` are processes; ``directory`` has their logs and settings.
    """

    directory: Path
    slo: Slo
    ports: StackPorts
    backend: ManagedProcess
    sidecar: ManagedProcess
    front: ByteRelay
    users: StackUsers
    prometheus: PrometheusApi
    alertmanager: Alertmanager
    sink: WebhookSink
    fault: StackFault | None = None

    @property
    def public(self) -> str:
        """Where clients connect."""
        return f"http://{HOST}:{self.ports.public}"

    @property
    def admin(self) -> str:
        """Metrics, health, streams and the admin page."""
        return f"http://{HOST}:{self.ports.admin}"

    @property
    def sidecar_config(self) -> Path:
        """The sidecar's settings; ``restart_sidecar`` reads them again."""
        return self.directory / SIDECAR_CONFIG

    async def inject(self, name: str) -> StackFault:
        """Cause a fault in place of the one before.

        Raises KeyError for an unknown fault.
        """
        fault = FAULTS[name]
        await self.clear()
        self.fault = self.users.fault = fault
        if fault.blow is Blow.STOP_BACKEND:
            await self.backend.stop()
        elif fault.blow is Blow.KILL_SIDECAR:
            await self.sidecar.kill()
        elif fault.blow is Blow.FREEZE_SIDECAR:
            self.sidecar.signal(signal.SIGSTOP)
        elif fault.blow is Blow.SPOIL_FRONT:
            self.front.spoils = True
        return fault

    async def clear(self) -> None:
        """Let everything go well again."""
        self.fault = self.users.fault = None
        self.front.spoils = False
        self.sidecar.signal(signal.SIGCONT)
        for part in (self.backend, self.sidecar):
            if not part.running:
                await part.start()

    async def restart_sidecar(self) -> None:
        """Stop the sidecar cleanly and start it with ``sidecar_config``."""
        await self.sidecar.stop()
        await self.sidecar.start()


@asynccontextmanager
async def stack(  # noqa: PLR0913 - each has a name and a default
    speed: float = 1,
    *,
    users: int = USERS_DEFAULT,
    seed: int = 1,
    scrape_s_min: float = SCRAPE_S_MIN,
    ports: StackPorts | None = None,
    told: Callable[[AlertNotification], None] | None = None,
    died: Callable[[str], None] | None = None,
) -> AsyncIterator[Stack]:
    """Run everything to the block's end, in a temporary directory.

    ``speed`` divides every window and wait of the rules; ``told`` receives each notification, ``died`` a
    text for a process that ended. A scrape may last until the next one, but ``scrape_s_min`` at least. Raises
    :class:`sidecar.verify.program.Missing` without Prometheus or Alertmanager.
    """
    ports, slo = ports or StackPorts.free(), replace(SLO, speed=speed)
    with TemporaryDirectory(prefix="sse-sidecar-stack-") as name:
        directory = Path(name)
        write(directory, {SIDECAR_CONFIG: yaml.safe_dump(sidecar_settings(ports, slo), sort_keys=False)})
        people = StackUsers(f"http://{HOST}:{ports.public}", seed=seed, count=users)
        async with (
            sink(ports.sink, told) as listening,
            front(ports.front, ports.public) as before,
            program(
                _backend(ports), directory / "backend.log", _ready(ports.backend, "healthz"), died
            ) as backend,
            program(
                _sidecar(directory), directory / "sidecar.log", _ready(ports.admin, "livez"), died
            ) as sidecar,
            _living(people, died),
            alertmanager.alertmanager(
                _notify(listening, slo), directory / "alertmanager", ports.alertmanager
            ) as am,
            prometheus.prometheus(
                _scraping(ports, slo, scrape_s_min), directory / "prometheus", ports.prometheus
            ) as prom,
        ):
            await _until_silent(prom)
            yield Stack(directory, slo, ports, backend, sidecar, before, people, prom, am, listening)


async def _until_silent(prom: PrometheusApi) -> None:
    """Wait until the sidecar has been scraped and nothing fires.

    Prometheus looks for its targets five seconds after its start, and until then fast rules miss the sidecar.
    """
    try:
        async with asyncio.timeout(READY_S):
            while not await prom.query(SILENT):  # noqa: ASYNC110 - Prometheus sends no events
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise NotReady(f"Prometheus has not seen a healthy sidecar within {READY_S:g} s") from None


@asynccontextmanager
async def _living(people: StackUsers, died: Callable[[str], None] | None) -> AsyncIterator[None]:
    """Let the users do what they do for the length of the block."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() and died:
            died(f"the users gave up: {task.exception()!r}")

    living = asyncio.create_task(people.run())
    living.add_done_callback(ended)
    try:
        yield
    finally:
        living.cancel()
        await asyncio.wait([living], timeout=LEAVE_S)


def sidecar_settings(ports: StackPorts, slo: Slo = SLO) -> dict[str, Any]:
    """Return the sidecar's configuration file."""
    return {
        "upstream": f"http://{HOST}:{ports.backend}",
        "listen": f"{HOST}:{ports.public}",
        "admin_listen": f"{HOST}:{ports.admin}",
        "drain_s": 1,
        "canary_url": f"http://{HOST}:{ports.front}",
        "canary_interval_s": max(CANARY_S_MIN, CANARY_S / slo.speed),
        "routes": ROUTES,
    }


def _scraping(ports: StackPorts, slo: Slo, scrape_s_min: float) -> Scraping:
    return Scraping(
        jobs={slo.job: [f"{HOST}:{ports.admin}"]},
        rules={"rules.yaml": rules.render(slo)},
        alertmanagers=[f"{HOST}:{ports.alertmanager}"],
        scrape_interval_s=max(scrape_s_min, slo.scrape_interval_s / slo.speed),
        evaluation_interval_s=max(scrape_s_min, slo.evaluation_interval_s / slo.speed),
    )


def _notify(listening: WebhookSink, slo: Slo) -> str:
    """Send every alert to the sink, grouped as in the real file."""
    usual = notifications.NOTIFY
    faster = replace(
        usual,
        webhook_url=listening.url,
        email_to=None,
        group_wait_s=max(NOTIFY_S_MIN, usual.group_wait_s / slo.speed),
        group_interval_s=max(NOTIFY_S_MIN, usual.group_interval_s / slo.speed),
    )
    return notifications.render(faster, slo)


def _backend(ports: StackPorts) -> list[str]:
    return [sys.executable, "-m", "sidecar.demo.webapi", "--host", HOST, "--port", str(ports.backend)]


def _sidecar(directory: Path) -> list[str]:
    return [sys.executable, "-m", "sidecar", "serve", "--config", str(directory / SIDECAR_CONFIG)]


def _ready(port: int, path: str) -> str:
    return f"http://{HOST}:{port}/{path}"
