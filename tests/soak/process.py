"""A sidecar process that is paused, stopped and restarted at one address."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sidecar.verify.program import free_port
from tests.kit.client import SSEClient
from tests.kit.deadline import Overdue, within
from tests.kit.served import Served
from tests.kit.user_process import start_process
from tests.soak.measures import ProcessSample

STOP_S = 30.0
COUNT_S = 20.0
POLL_S = 0.02

HEARTBEAT_S, LINGER_S, RETAIN_S, STALL_S, IDLE_S = 1.0, 6.0, 6.0, 2.0, 5.0
FIRST_BYTE_S = 4.0
DRAIN_S = 1.5
LIVE_EVENTS_MAX = 6
"""So few that whoever comes back to a live feed has missed some, and has to be told."""

STREAMS: dict[str, Any] = {
    "heartbeat_s": HEARTBEAT_S,
    "linger_s": LINGER_S,
    "retain_s": RETAIN_S,
    "stall_s": STALL_S,
    "upstream_idle_s": IDLE_S,
    "first_byte_timeout_s": FIRST_BYTE_S,
}
ROUTES = [
    {"name": "chat", "path": "/v1/chat", **STREAMS},
    {"name": "feed", "path": "/feed", "methods": ["GET"], **STREAMS},
    {
        "name": "live",
        "path": "/live",
        "methods": ["GET"],
        "kind": "live",
        "log_events_max": LIVE_EVENTS_MAX,
        **STREAMS,
    },
]
SECRET = "the secret of the nemesis, number %d, long enough"


@dataclass(frozen=True, slots=True)
class Life:
    """From a start to the moment when it was told to end, in seconds of the loop's clock."""

    number: int
    secret: int
    from_s: float
    until_s: float | None = None


@dataclass
class SidecarProcess:
    """``code``: a directory with the package ``sidecar`` to run in place of this one; None: this one."""

    name: str
    upstream: str
    directory: Path
    code: Path | None = None
    port: int = field(default_factory=free_port)
    lives: list[Life] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    """Lines of the log that must never be, of all lives."""
    _served: Served | None = None
    _reading: asyncio.Task[None] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def life(self) -> Life:
        """This life, or the last one."""
        return self.lives[-1]

    @property
    def client(self) -> SSEClient:
        """Who talks to it directly."""
        return SSEClient("127.0.0.1", self.port)

    @property
    def served(self) -> Served:
        """The process of this life."""
        assert self._served is not None, "not started"
        return self._served

    async def start(self, secret: int = 0) -> None:
        """Begin a life; AssertionError if it does not come to that."""
        file = self.directory / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump(self._settings(secret)))
        command = (sys.executable, "-m", "tests.soak.counted", "serve", "--config", str(file))
        # Not in the current directory, which would come before `code`.
        process = await start_process(
            *command, stdout=None, stderr=PIPE, cwd=self.directory, env=self._environment()
        )
        self._served = Served(process)
        self._reading = asyncio.create_task(self._served.read_lines())
        self.lives.append(Life(len(self.lives), secret, asyncio.get_running_loop().time()))
        await self._served.started()

    def _settings(self, secret: int) -> dict[str, Any]:
        return {
            "upstream": self.upstream,
            "listen": f"127.0.0.1:{self.port}",
            "admin_listen": "127.0.0.1:0",
            "canary_interval_s": 0,
            "drain_s": DRAIN_S,
            "secret": SECRET % secret,
            "routes": ROUTES,
        }

    def _environment(self) -> dict[str, str]:
        paths = [str(self.code)] if self.code else []
        root = str(Path(__file__).parents[2])
        return os.environ | {"PYTHONPATH": os.pathsep.join([*paths, root])}

    async def again(
        self, number: signal.Signals, died: Callable[[], None], *, times: int = 1, pause_s: float, secret: int
    ) -> None:
        """End this life with a signal, call ``died``, and begin another."""
        async with self._turn:
            for _ in range(times):
                self._signal(number)
                await asyncio.sleep(POLL_S)
            await self._ended()
            died()
            await asyncio.sleep(pause_s)
            await self.start(secret)

    async def freeze(self, seconds: float) -> None:
        """Let it do nothing for so long."""
        async with self._turn:
            self._signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            self._signal(signal.SIGCONT)

    async def stop(self) -> int:
        """End it in order; return its exit code."""
        async with self._turn:
            if self._served is None:
                return 0
            self._signal(signal.SIGTERM)
            return await self._ended()

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        self.served.signal(number)

    async def _ended(self) -> int:
        served = self.served
        self.lives[-1] = _over(self.life, asyncio.get_running_loop().time())
        try:
            code = await served.exited(STOP_S)
        except Overdue as overdue:
            self.defects.append(f"{self.name} does not end: {overdue}")
            self.kill()
            code = await served.exited(STOP_S)
        assert self._reading is not None
        await self._reading
        self.note_defects()
        return code

    def note_defects(self) -> None:
        """Take note of what the log must not have, and forget what it has."""
        self.defects += [f"{self.name} wrote: {str(line)[:600]}" for line in self.served.defects]
        self.served.lines.clear()

    async def sample(self, at_s: float) -> ProcessSample:
        """Measure what the process holds; nothing shall be going on."""
        served = self.served
        return ProcessSample(at_s, served.rss_bytes, served.files, await self._tasks(), self._threads())

    def _threads(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.served.process.pid}/task").iterdir())

    async def _tasks(self) -> int:
        lines = self.served.lines
        before = len(lines)
        self._signal(signal.SIGUSR1)
        async with within(COUNT_S, lambda: f"{self.name} does not count its tasks"):
            while True:
                for line in lines[before:]:
                    if isinstance(line, dict) and line.get("event") == "counted":
                        return int(line["tasks"])
                await asyncio.sleep(POLL_S)


def _over(life: Life, at_s: float) -> Life:
    return Life(life.number, life.secret, life.from_s, at_s)


@asynccontextmanager
async def running(sidecar: SidecarProcess) -> AsyncIterator[SidecarProcess]:
    """Run it for the length of the block."""
    try:
        await sidecar.start()
        yield sidecar
    finally:
        if sidecar._served is not None:
            await sidecar.served.process.kill()
            if sidecar._reading is not None:
                await sidecar._reading
