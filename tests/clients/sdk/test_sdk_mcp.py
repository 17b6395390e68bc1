"""MCP SDKs: a tool call survives a lost connection and runs once."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

import pytest
from mcp import Client

from tests.clients.sdk import node_sdks
from tests.clients.sdk.cut import beaten, cut, delivered
from tests.clients.sdk.mcp_server import STEPS, counting_server
from tests.clients.sdk.node_sdks import case
from tests.clients.sdk.seen import SdkResult
from tests.kit.running import running

pytestmark = pytest.mark.sdk

ROUTES = [
    {"name": "mcp-events", "path": "/mcp", "methods": ["GET"], "kind": "live", "heartbeat_s": 0.05},
    {"name": "default", "heartbeat_s": 0.05, "linger_s": 5},
]
"""The stream of the server's own messages is endless; the one that answers a call is not."""

CALL_MS = 5000

Call = Callable[[str], Coroutine[None, None, SdkResult]]


async def call_in_python(mode: str, url: str) -> SdkResult:
    seen = SdkResult()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.note(f"progress {progress:g}")

    try:
        async with Client(f"{url}/mcp", mode=mode) as client:
            result = await client.call_tool("count", {}, progress_callback=on_progress)
            seen.note("result", getattr(result.content[0], "text", ""))
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what its application gets
        seen.error = f"{type(error).__name__}: {error}"
    return seen


async def call_in_node(url: str) -> SdkResult:
    """Call with a time limit; by itself it is 60 s, and all that ends a call whose stream is over."""
    (seen,) = await node_sdks.run("mcp", case(url, {"timeout_ms": CALL_MS}))
    return seen


NODE = pytest.mark.needs("npm")
SDKS = [
    pytest.param(partial(call_in_python, "auto"), id="mcp"),
    pytest.param(partial(call_in_python, "legacy"), id="mcp-sessions"),
    pytest.param(call_in_node, id="@modelcontextprotocol/sdk", marks=NODE),
]
WHOLE = [*(f"progress {step}" for step in range(1, STEPS + 1)), "result"]


@pytest.mark.parametrize("call", SDKS)
async def test_a_call_that_is_cut_goes_on_and_is_made_once(call: Call) -> None:
    async with counting_server() as server, running(server.url, routes=ROUTES) as sc:
        calling = asyncio.create_task(call(f"http://127.0.0.1:{sc.port}"))
        await server.allow(3)
        stream = await delivered(sc, 3)
        await beaten(sc)
        await cut(sc, stream)
        await beaten(sc)
        await server.allow(STEPS)
        seen = await calling
        assert (seen.kinds, seen.text, seen.error) == (WHOLE, f"counted to {STEPS}", "")
        assert server.calls == 1
        assert sc.metric("sse_resumes_total", result="resumed") == 1
        assert sc.metric("sse_messages_lost_total") == 0


@pytest.mark.parametrize("call", SDKS)
async def test_a_call_whose_server_dies_raises_and_is_not_made_again(call: Call) -> None:
    async with counting_server() as server, running(server.url, routes=ROUTES) as sc:
        calling = asyncio.create_task(call(f"http://127.0.0.1:{sc.port}"))
        await server.allow(3)
        await delivered(sc, 3)
        server.crash()
        seen = await calling
        assert seen.kinds == WHOLE[:3]
        assert seen.error
        assert server.calls == 1
