"""Start, read and stop a program within one block of a test.

async with user_process(sys.executable, "-m", "sidecar", "tail", url) as tail:
    assert await tail.line() == "first"
    tail.signal(signal.SIGTERM)
    assert (await tail.finish()).code == 0
"""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.kit.deadline import WAIT_S, Overdue, within

STOP_S = 20.0
"""How long a program may take to end after SIGTERM before it is killed."""

RUN_S = 120.0
"""How long a program that ends without a signal may run."""

SHOWN_CHARS = 2_000


class FinishedProcess(NamedTuple):
    """The exit code of a program and the output that no call had read before."""

    code: int
    stdout: str
    stderr: str


class UserProcess:
    """A running program. Only a stream that was opened as PIPE can be read."""

    def __init__(self, name: str, process: Process, *, own_session: bool) -> None:
        self.name = name
        self.process = process
        self.pid = process.pid
        self._own_session = own_session

    async def line(self, within_s: float = WAIT_S) -> str:
        """Return the next line of stdout, or "" at the end of the output."""
        assert self.process.stdout is not None, "stdout is not a pipe"
        async with within(within_s, lambda: f"{self.name} printed no line"):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def finish(self, within_s: float = RUN_S) -> FinishedProcess:
        """Read the output until the program ends; Overdue if it runs longer."""
        async with within(within_s, lambda: f"{self.name} still runs"):
            stdout, stderr = await self.process.communicate()
            code = await self.process.wait()
        return FinishedProcess(code, _text(stdout), _text(stderr))

    async def wait(self, within_s: float = WAIT_S, what: Callable[[], str] | None = None) -> int:
        """Return the exit code.

        If the program runs longer, raise Overdue with the sentence of ``what``.
        """
        async with within(within_s, what or (lambda: f"{self.name} still runs")):
            return await self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the program has ended.

        Not with ``send_signal``: it may reap the process before the event loop's watcher does.
        """
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stop(self, within_s: float = STOP_S) -> int:
        """Send SIGTERM and return the exit code.

        A program that runs longer is killed, and Overdue is raised.
        """
        self.signal(signal.SIGTERM)
        try:
            return await self.wait(within_s)
        except Overdue:
            await self.kill()
            raise

    async def kill(self) -> None:
        """Kill the program, and its children if it has its own session."""
        if self._own_session:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self.signal(signal.SIGKILL)
        await self.wait(STOP_S)


async def start_process(
    *command: str | Path, stdout: int | None = PIPE, start_new_session: bool = False, **options: Any
) -> UserProcess:
    """Start a program that the caller kills.

    ``options`` are those of ``asyncio.create_subprocess_exec``.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdout=stdout, start_new_session=start_new_session, **options
    )
    name = " ".join(str(word) for word in command)[:SHOWN_CHARS]
    return UserProcess(name, process, own_session=start_new_session)


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace")


@asynccontextmanager
async def user_process(*command: str | Path, **options: Any) -> AsyncIterator[UserProcess]:
    """Start a program, and kill it at the end of the block if it still runs."""
    running = await start_process(*command, **options)
    try:
        yield running
    finally:
        await running.kill()


async def run_to_end(*command: str | Path, within_s: float = RUN_S, **options: Any) -> FinishedProcess:
    """Run a program until it ends; Overdue if it runs longer."""
    async with user_process(*command, **options) as running:
        return await running.finish(within_s)
