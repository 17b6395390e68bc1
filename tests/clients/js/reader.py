"""The browser client in a process of its own, reading over real sockets."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.clients.js.node import HOME, node
from tests.kit.deadline import within
from tests.kit.user_process import start_process

LONG_S = 30.0
"""Longest wait for anything; the machine may have other things to do, and Node.js takes a moment to start."""

LINE_BYTES_MAX = 16 * 1024 * 1024

Said = dict[str, Any]


class JsReader:
    """What a stream dispatches, in order; ``send`` calls a method of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._news = asyncio.Condition()
        self.said: list[Said] = []

    async def listen(self) -> None:
        """Take what it says until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.said.append(json.loads(line))
            async with self._news:
                self._news.notify_all()

    async def send(self, command: str) -> None:
        """Call a method of the stream."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        await self._process.stdin.drain()

    async def until(self, true: Callable[[Said], bool]) -> Said:
        """Wait until something that fits was said, and return the first such."""
        async with within(LONG_S, lambda: f"only this was said: {self.said}"), self._news:
            await self._news.wait_for(lambda: any(map(true, self.said)))
        return next(filter(true, self.said))

    async def messages(self, count: int) -> list[Said]:
        """Wait for so many messages, and return all that are there."""
        async with within(LONG_S, lambda: f"only this was said: {self.said}"), self._news:
            await self._news.wait_for(lambda: len(self._of("message")) >= count)
        return self._of("message")

    async def done(self) -> Said:
        """Wait for the end, and return what is true then."""
        return await self.until(lambda said: said["kind"] == "done")

    def _of(self, kind: str) -> list[Said]:
        return [said for said in self.said if said["kind"] == kind]

    @property
    def over(self) -> bool:
        """Whether the stream has come to its end."""
        return bool(self._of("done"))

    @property
    def data(self) -> list[str]:
        """The data of every message so far."""
        return [said["data"] for said in self._of("message")]

    @property
    def states(self) -> list[Said]:
        """Every state so far."""
        return self._of("state")

    @property
    def recoveries(self) -> list[Said]:
        """Every recovery so far."""
        return self._of("recovered")


@asynccontextmanager
async def reading(url: str, *types: str, **options: object) -> AsyncIterator[JsReader]:
    """Let the client read ``url`` and listen also for events of ``types``."""
    asked = json.dumps({"url": url, "options": options, "types": types})
    command = (node(), HOME / "live" / "read.mjs", asked)
    process = await start_process(*command, stdin=subprocess.PIPE, limit=LINE_BYTES_MAX)
    reader = JsReader(process.process)
    listening = asyncio.create_task(reader.listen())
    try:
        yield reader
        if reader.over:
            await process.wait(LONG_S)  # its last report is under way
    finally:
        await process.kill()
        await listening
