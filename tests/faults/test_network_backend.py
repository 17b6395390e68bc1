"""A backend behind a network that the kernel breaks: nobody reaches it, or its machine is gone for good."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sidecar.faultnet.path import FINE, Weather
from sidecar.faultnet.real_path import RealPath, real_path
from sidecar.http1.upstream.connection import TCP_USER_TIMEOUT_S
from tests.kit.deadline import within
from tests.kit.relayed import assert_conserved
from tests.kit.remote_server import needs_real_path
from tests.kit.running import RunningSidecar, running

pytestmark = [needs_real_path, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PORT = 8000
WAIT_S = 30.0
POLL_S = 0.05
LATE_S = 10.0
"""What a busy machine may add to a promise of time."""


@asynccontextmanager
async def _far_backend(route: dict[str, Any]) -> AsyncIterator[tuple[RunningSidecar, RealPath]]:
    """Run the sidecar here, and its backend at the end of a path where otherwise people live."""
    async with real_path("http://127.0.0.1:1") as path, running(f"http://{path.address}:{PORT}", route) as sc:
        command = [sys.executable, "-m", "sidecar.demo.webapi", "--host", path.address, "--port", str(PORT)]
        quiet = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        backend = await path.people.call(partial(subprocess.Popen, command, **quiet))
        try:
            await _listens(path.address)
            yield sc, path
            assert_conserved(sc)
        finally:
            backend.kill()
            backend.wait()


async def _listens(host: str) -> None:
    async with within(WAIT_S, lambda: "the backend does not start"):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, PORT)
            except ConnectionRefusedError:
                await asyncio.sleep(POLL_S)
            else:
                writer.close()
                return


async def test_an_unreachable_backend_is_504_at_the_connect_timeout() -> None:
    async with _far_backend({}) as (sc, path):
        loop = asyncio.get_running_loop()
        await path.set(Weather(silent=True))
        began = loop.time()
        response = await sc.client.fetch("POST", "/api/chat", within_s=WAIT_S)
        took_s = loop.time() - began
        assert response.status == 504
        assert response.header("Proxy-Status") == "sse-sidecar; error=connection_timeout"
        assert 4.8 <= took_s <= 5.2 + LATE_S
        await path.set(FINE)
        assert (await sc.client.fetch("GET", "/healthz", within_s=WAIT_S)).status == 200


@pytest.mark.timeout(120)
async def test_a_lost_backend_machine_counts_as_a_reset_within_30_s() -> None:
    route = {"heartbeat_s": 1, "stall_s": 0, "upstream_idle_s": 0, "complete_on": "done"}
    async with _far_backend(route) as (sc, path):
        loop = asyncio.get_running_loop()
        async with sc.client.open("GET", "/api/chat?n=10000&interval_ms=50") as response:
            await response.take(3)
            await path.set(Weather(silent=True))
            began = loop.time()
            await response.read_to_end(90)
            took_s = loop.time() - began
        assert response.ended == "aborted"
        assert took_s <= TCP_USER_TIMEOUT_S + LATE_S
        told = response.seen[-1]
        assert told.type == "sse-error"
        assert "err-sidecar-upstream" in told.data
        stream = response.header("SSE-Stream") or ""
        again = await _resume(sc, f"{stream}.2")
        assert again.seen == response.seen[2:]
        assert (await _resume(sc, told.last_event_id)).status == 204
        assert sc.outcomes() == {"upstream_truncated": 1}


async def _resume(sc: RunningSidecar, last: str) -> Any:
    headers = [("Accept", "text/event-stream"), ("Last-Event-ID", last)]
    return await sc.client.fetch("GET", "/api/chat", headers)
