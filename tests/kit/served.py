"""Run ``sse-sidecar serve`` as a separate process.

async with served(up.url, tmp_path, route={"linger_s": 1}) as sc:
    async with sc.client.open("POST", "/v1/chat") as response:
        ...
    assert (await sc.scrape()).outcomes() == {"completed": 1}
"""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.kit.client import SSEClient
from tests.kit.deadline import WAIT_S, within
from tests.kit.scrape import Scrape
from tests.kit.user_process import UserProcess, start_process

START_S = 30.0
POLL_S = 0.05
KIB = 1024


class Served:
    """A running process. ``lines`` are what it wrote to stderr so far, parsed where they are JSON."""

    def __init__(self, process: UserProcess) -> None:
        self.process = process
        self.lines: list[dict[str, Any] | str] = []
        self.client = SSEClient("127.0.0.1", 0)
        self.admin = SSEClient("127.0.0.1", 0)
        self._started = asyncio.Event()

    async def read_lines(self) -> None:
        """Read stderr to its end."""
        stderr = self.process.process.stderr
        assert stderr is not None
        async for line in stderr:
            self._note(line.decode().rstrip("\n"))
        self._started.set()

    def _note(self, line: str) -> None:
        try:
            parsed: dict[str, Any] | str = json.loads(line)
        except ValueError:
            parsed = line
        self.lines.append(parsed)
        if isinstance(parsed, dict) and parsed.get("event") == "started":
            self.client = _client_of(parsed["listen"])
            self.admin = _client_of(parsed["admin"])
            self._started.set()

    async def started(self) -> None:
        """Wait until it serves; fail with its log if it does not."""
        async with within(START_S, lambda: f"not started: {self.lines}"):
            await self._started.wait()
        assert self.admin.port, f"not started: {self.lines}"
        assert (await self.admin.fetch("GET", "/livez")).status == 200

    async def scrape(self) -> Scrape:
        """Return all metrics."""
        response = await self.admin.fetch("GET", "/metrics", within_s=START_S)
        assert response.status == 200, response
        return Scrape.of_text(response.raw.decode())

    async def until(self, true: Callable[[Scrape], object], within_s: float = WAIT_S) -> Scrape:
        """Wait until the metrics meet a condition, and return them."""
        now = await self.scrape()
        async with within(within_s, lambda: f"not true; outcomes {now.outcomes()}, {now.conservation()}"):
            while not true(now):
                await asyncio.sleep(POLL_S)
                now = await self.scrape()
        return now

    @property
    def rss_bytes(self) -> int:
        """Memory that it holds now."""
        return self._memory("VmRSS")

    @property
    def rss_bytes_max(self) -> int:
        """Peak memory since the start or ``forget_rss_max``."""
        return self._memory("VmHWM")

    def forget_rss_max(self) -> None:
        """Reset ``rss_bytes_max`` (proc(5), clear_refs)."""
        self._proc("clear_refs").write_text("5\n")

    @property
    def data_bytes(self) -> int:
        """Private memory that it may write to: what RLIMIT_DATA bounds (getrlimit(2))."""
        return self._memory("VmData")

    @property
    def state(self) -> str:
        """Its state as proc(5) abbreviates it; T is stopped."""
        return self._proc("stat").read_text().rpartition(")")[2].split()[0]

    @property
    def files(self) -> int:
        """How many descriptors it has open."""
        return sum(1 for _ in self._proc("fd").iterdir())

    def _memory(self, field: str) -> int:
        for line in self._proc("status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * KIB
        raise LookupError(field)

    def _proc(self, name: str) -> Path:
        return Path(f"/proc/{self.process.pid}/{name}")

    @property
    def defects(self) -> list[dict[str, Any] | str]:
        """Log lines at level error, and lines that are not JSON."""
        return [line for line in self.lines if isinstance(line, str) or line.get("level") == "error"]

    def ended_streams(self) -> dict[str, int]:
        """Return the number of logged stream ends by outcome."""
        counts: dict[str, int] = {}
        for line in self.lines:
            if isinstance(line, dict) and line.get("event") == "stream ended":
                counts[line["outcome"]] = counts.get(line["outcome"], 0) + 1
        return counts

    def logged_s(self, first: str, last: str) -> float:
        """Return the seconds between the log lines of two events."""
        at = {line["event"]: line["timestamp"] for line in self.lines if isinstance(line, dict)}
        return (datetime.fromisoformat(at[last]) - datetime.fromisoformat(at[first])).total_seconds()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.signal(number)

    async def exited(self, within_s: float = WAIT_S) -> int:
        """Return the exit code; Overdue if the process does not end in time."""
        return await self.process.wait(within_s, lambda: f"still running; last lines: {self.lines[-3:]}")


def _client_of(address: str) -> SSEClient:
    host, _, port = address.rpartition(":")
    return SSEClient(host, int(port))


@asynccontextmanager
async def served(
    upstream: str, directory: Path, route: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Served]:
    """Start a sidecar on free ports and kill it at the end of the block.

    ``route``: options of the one route ``all``, which takes every path; ``settings``: those of the file.
    """
    if route is not None:
        settings["routes"] = [{"name": "all", "path": "/*", **route}]
    own = {
        "upstream": upstream,
        "listen": "127.0.0.1:0",
        "admin_listen": "127.0.0.1:0",
        "canary_interval_s": 0,
    }
    file = directory / "sidecar.yaml"
    file.write_text(yaml.safe_dump(own | settings))
    command = (sys.executable, "-m", "sidecar", "serve", "--config", str(file))
    process = await start_process(*command, stdout=None, stderr=PIPE)
    sidecar = Served(process)
    reading = asyncio.create_task(sidecar.read_lines())
    try:
        await sidecar.started()
        yield sidecar
    finally:
        await process.kill()
        await reading
