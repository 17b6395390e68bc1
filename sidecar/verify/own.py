"""The targets of verify: a demo backend and a sidecar before it."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from sidecar.verify.program import tethered

START_S = 30.0
"""How long a process may take until it serves."""

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only while people come over a real path

STOP_S = 5.0
"""How long a process may take to end by itself once it is asked to."""

LINES_MAX = 2_000
"""Log lines kept of a process; the oldest go first."""

LINE_BYTES_MAX = 1024 * 1024
STATS_S = 15.0

DEMO_SAYS = "demo backend on "

CHAT = "/api/chat"
SMALL = "/api/cha%74"
"""The same endpoint under another spelling: its route keeps next to nothing, for next to no time."""

SMALL_EVENTS = 8
SMALL_S = 1.0

HEARTBEAT_S = 1.0
STALL_S = 1.5
UPSTREAM_IDLE_S = 6.0
"""Silence of the backend after which our sidecar gives it up: short, so that it can be waited for."""


class NotStarted(Exception):
    """A process of ours did not come up; the sentence holds what it said."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process of verify at ``url``; only a sidecar has ``admin_url``.

    ``lines`` are its output.
    """

    url: str
    admin_url: str
    pid: int
    lines: deque[str]


@dataclass(frozen=True, slots=True)
class Own:
    """A backend, and the sidecar in front of it if there is one."""

    backend: Server
    sidecar: Server | None

    async def generations(self) -> list[dict[str, Any]]:
        """Return the backend's own record of its streams.

        Raises aiohttp.ClientError or TimeoutError.
        """
        timeout = aiohttp.ClientTimeout(total=STATS_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(f"{self.backend.url}/api/stats") as answer,
        ):
            streams: list[dict[str, Any]] = (await answer.json())["streams"]
            return streams


@asynccontextmanager
async def own(
    *, sidecar: bool = True, settings: Mapping[str, object] | None = None, host: str = LOOPBACK
) -> AsyncIterator[Own]:
    """Run a demo backend and, on request, a sidecar.

    ``settings`` replace those of ``configuration``.

    ``host``: where both listen; EVERYWHERE if people in a network namespace are to reach them without a
    relay. Raises NotStarted.
    """
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(demo_backend(host))
        server = None
        if sidecar:
            chosen = {**configuration(backend.url, host), **(settings or {})}
            server = await stack.enter_async_context(sidecar_process(chosen))
        yield Own(backend, server)


@asynccontextmanager
async def demo_backend(host: str = LOOPBACK) -> AsyncIterator[Server]:
    """Run a demo backend on a free port; raises NotStarted."""
    command = ["sidecar.demo.webapi", "--host", host, "--port", "0"]
    async with _process(command, _demo_urls) as server:
        yield server


@asynccontextmanager
async def sidecar_process(settings: Mapping[str, object]) -> AsyncIterator[Server]:
    """Run a sidecar with these settings; raise NotStarted."""
    with tempfile.TemporaryDirectory(prefix="sse-verify-") as folder:
        file = _configuration_file(folder, settings)
        async with _process(["sidecar", "serve", "--config", file], _sidecar_urls) as server:
            yield server


def _configuration_file(folder: str, settings: Mapping[str, object]) -> str:
    file = Path(folder, "sidecar.yaml")
    file.write_text(json.dumps(settings))  # JSON is YAML
    return str(file)


def configuration(upstream: str, host: str = LOOPBACK) -> dict[str, object]:
    """Return the settings of verify's sidecar: defaults with short times."""
    quick = {
        "complete_on": "done",
        "heartbeat_s": HEARTBEAT_S,
        "stall_s": STALL_S,
        "upstream_idle_s": UPSTREAM_IDLE_S,
    }
    small = {"log_events_max": SMALL_EVENTS, "linger_s": SMALL_S, "retain_s": SMALL_S}
    return {
        "upstream": upstream,
        "listen": f"{host}:0",
        "admin_listen": "127.0.0.1:0",
        "drain_s": 0,
        "canary_interval_s": 0,
        "routes": [
            {"name": "chat", "path": CHAT, **quick},
            {"name": "small", "path": SMALL, **quick, **small},
        ],
    }


@asynccontextmanager
async def _process(
    arguments: list[str], urls: Callable[[str], tuple[str, str] | None]
) -> AsyncIterator[Server]:
    """Run a module during a block.

    ``urls`` finds the addresses in a line of its output.
    """
    process = await asyncio.create_subprocess_exec(
        *tethered([sys.executable, "-m", *arguments]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
        limit=LINE_BYTES_MAX,
    )
    lines: deque[str] = deque(maxlen=LINES_MAX)
    draining = None
    try:
        url, admin_url = await _started(process, lines, urls)
        draining = asyncio.create_task(_drain(process, lines))
        yield Server(url, admin_url, process.pid, lines)
    finally:
        await _stop(process)
        if draining is not None:
            await draining


async def _started(
    process: Process, lines: deque[str], urls: Callable[[str], tuple[str, str] | None]
) -> tuple[str, str]:
    try:
        async with asyncio.timeout(START_S):
            while line := await _line(process):
                lines.append(line)
                if found := urls(line):
                    return found
    except TimeoutError:
        lines.append(f"(nothing more for {START_S:g} s)")
    raise NotStarted("a server of ours did not start: " + " ".join(list(lines)[-5:]))


async def _line(process: Process) -> str:
    line = await process.stdout.readline() if process.stdout is not None else b""
    return line.decode("utf-8", "replace")


async def _drain(process: Process, lines: deque[str]) -> None:
    while line := await _line(process):
        lines.append(line.rstrip())


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)  # its session is ours alone
        await process.wait()


def _demo_urls(line: str) -> tuple[str, str] | None:
    if not line.startswith(DEMO_SAYS):
        return None
    return _reachable(line.removeprefix(DEMO_SAYS).strip()), ""


def _sidecar_urls(line: str) -> tuple[str, str] | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("event") != "started":
        return None
    return _reachable(f"http://{said['listen']}"), f"http://{said['admin']}"


def _reachable(url: str) -> str:
    """Return a local address of a server that listens on all."""
    return url.replace(f"//{EVERYWHERE}:", f"//{LOOPBACK}:")
