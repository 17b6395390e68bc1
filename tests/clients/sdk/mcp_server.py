"""A small MCP server of the ``mcp`` package: one tool that reports progress as the test lets it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from sidecar.demo.server import listen, url_of

STEPS = 6


class Counting:
    """The server and its tool ``count``, which takes each step when it is ``allowed`` to."""

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0
        self._allowed = 0
        self._news = asyncio.Condition()
        server = MCPServer("counting")
        server.tool(name="count")(self.count)
        app = server.streamable_http_app()
        self.server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))

    async def allow(self, steps: int) -> None:
        """Let the tool take so many steps in all."""
        async with self._news:
            self._allowed = steps
            self._news.notify_all()

    async def count(self, context: Context) -> str:
        """Count to ``STEPS``."""
        self.calls += 1
        for step in range(1, STEPS + 1):
            await self._until_allowed(step)
            await context.report_progress(step, STEPS)
        return f"counted to {STEPS}"

    async def _until_allowed(self, step: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: self._allowed >= step)

    def crash(self) -> None:
        """Break every connection."""
        for connection in list(self.server.server_state.connections):
            assert connection.transport is not None
            connection.transport.abort()


@asynccontextmanager
async def counting_server() -> AsyncIterator[Counting]:
    """Serve over streamable HTTP at ``/mcp``."""
    counting = Counting()
    with listen() as listener:
        counting.url = url_of(listener)
        serving = asyncio.create_task(counting.server.serve([listener]))
        try:
            yield counting
        finally:
            counting.crash()
            counting.server.should_exit = True
            await serving
