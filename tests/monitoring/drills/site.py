"""A site that a runbook is followed at: the stack, a proxy before it, and the site's own commands."""

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from compose.stack import Stack, stack
from sidecar.observability.slo import Slo
from sidecar.verify.program import HOST

SETTING = "setting.yaml"
EDITOR = Path(__file__).with_name("editor.py")
BINARIES = Path(sys.executable).parent
STREAM_PATH = "/api/chat?n=2&interval_ms=10"
SCRAPE_S = 1.0
"""A busy machine may need as long as that for a scrape; one that takes longer would count as down."""

WINDOW_S, RECENT_S = 3600, 6
"""All that there was since the start, and a few scrapes: what $WINDOW and $RECENT are at a drill's speed."""


@dataclass
class Site:
    """Everything that on-call reaches; ``commands`` are the site's own, by the variable that names each."""

    stack: Stack
    scratch: Path
    commands: dict[str, str] = field(default_factory=dict)
    route: str = "chat"
    token: str = ""
    _trouble: asyncio.Task[None] | None = None

    @property
    def slo(self) -> Slo:
        """The rules that run."""
        return self.stack.slo

    def variables(self) -> dict[str, str]:
        """Return what the preamble of a runbook is told about this site."""
        sidecar = self.stack.sidecar.process
        return {
            "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.scratch),
            "LC_ALL": "C.UTF-8",
            "ADMIN": self.stack.admin,
            "SSE_SIDECAR_ADMIN_TOKEN": self.token,
            "PUBLIC": f"http://{HOST}:{self.stack.ports.front}",
            "BACKEND": f"http://{HOST}:{self.stack.ports.backend}",
            "STREAM_PATH": STREAM_PATH,
            "PROM": self.stack.prometheus.url,
            "PROM_CONFIG": str(self.stack.directory / "prometheus" / "prometheus.yaml"),
            "ALERTMANAGER": self.stack.alertmanager.url,
            "CONFIG": str(self.stack.sidecar_config),
            "JOB": self.slo.job,
            "ROUTE": self.route,
            "WINDOW": f"{WINDOW_S}s",
            "RECENT": f"{RECENT_S}s",
            "SIDECAR_PID": str(sidecar.pid if sidecar else 0),
            "SIDECAR_LOG": f"cat {shlex.quote(str(self.stack.directory / 'sidecar.log'))}",
            "EDITOR": f"{sys.executable} {EDITOR} {self.scratch / SETTING}",
            **self.commands,
        }

    def to_write(self, setting: dict[str, Any] | None) -> None:
        """Decide what the editor will write when it is opened; nothing: it is closed again."""
        (self.scratch / SETTING).write_text(yaml.safe_dump(setting or {}))

    async def configure(self, **settings: Any) -> None:
        """Deploy a configuration: change settings, by route where ``routes`` maps names to options."""
        config = yaml.safe_load(self.stack.sidecar_config.read_text())
        for name, options in settings.pop("routes", {}).items():
            next(route for route in config["routes"] if route["name"] == name).update(options)
        self.stack.sidecar_config.write_text(yaml.safe_dump({**config, **settings}, sort_keys=False))
        await self.stack.restart_sidecar()

    def trouble(self, happening: Coroutine[None, None, None]) -> None:
        """Let something go wrong again and again, until the backend is restarted, or the site is left."""
        self._trouble = asyncio.create_task(happening)

    async def calm(self) -> None:
        """End what goes wrong again and again."""
        if self._trouble is not None:
            self._trouble.cancel()
            await asyncio.gather(self._trouble, return_exceptions=True)

    async def restart_sidecar(self) -> None:
        """What the site's command does."""
        await self.stack.restart_sidecar()

    async def restart_backend(self) -> None:
        """What the site's command does: a fault of the backend itself is cured by it."""
        await self.calm()
        await self.stack.backend.stop()
        fault = self.stack.users.fault
        if fault is not None and fault.query:
            self.stack.users.fault = None
        await self.stack.backend.start()

    async def restart_proxy(self) -> None:
        """What the site's command does."""
        self.stack.front.spoils = False

    async def bypass(self) -> None:
        """What the site's command does."""
        self.stack.front.to = self.stack.ports.backend


@asynccontextmanager
async def site(speed: float, scratch: Path, users: int) -> AsyncIterator[Site]:
    """Run a site for the length of the block."""
    async with stack(speed, users=users, scrape_s_min=SCRAPE_S) as running:
        standing = Site(running, scratch)
        standing.to_write(None)
        async with _switchboard(standing) as standing.commands:
            try:
                yield standing
            finally:
                await standing.calm()


@asynccontextmanager
async def _switchboard(site: Site) -> AsyncIterator[dict[str, str]]:
    """Let the site's own commands be run from a shell; yields them by the variable that names each."""
    switches: dict[str, Callable[[], Awaitable[None]]] = {
        "RESTART_SIDECAR": site.restart_sidecar,
        "RESTART_BACKEND": site.restart_backend,
        "RESTART_PROXY": site.restart_proxy,
        "BYPASS": site.bypass,
    }

    async def throw(request: web.Request) -> web.Response:
        await switches[request.match_info["name"]]()
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.post("/{name}", throw)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, HOST, 0)
        await listener.start()
        port = runner.addresses[0][1]
        yield {name: f"curl -s -f -X POST http://{HOST}:{port}/{name}" for name in switches}
    finally:
        await runner.cleanup()
