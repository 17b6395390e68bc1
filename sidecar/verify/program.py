"""A program of the machine, on loopback, during a block."""

import asyncio
import os
import random
import shutil
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections, so that none is taken between look and use."""

PORT_TRIES_MAX = 100
READY_S = 30.0
POLL_S = 0.05
STOP_S = 5.0
"""How long a program may take to end before it is killed."""

LAST_WORDS_CHARS = 2_000


class ProgramMissing(Exception):
    """A program is not installed; the message has the install command."""


class NotReady(Exception):
    """A program ended, or did not answer; the message has its output."""


def find(names: Sequence[str], install: str) -> str:
    """Return the path of the first program found; raise ProgramMissing."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise ProgramMissing(f"{names[0]} is not installed: {install}")


def free_port(usual: int | None = None) -> int:
    """Return a free loopback port, the usual one if possible.

    Raises OSError if there is none.
    """
    drawn = random.sample(PORTS, PORT_TRIES_MAX)
    for port in drawn if usual is None else [usual, *drawn]:
        with suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise OSError("no free port on loopback")


def write(directory: Path, files: Mapping[str, str]) -> None:
    """Write a program's files into a directory of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


class ManagedProcess:
    """A command that can start and stop again; its output goes to ``log``.

    It has a session of its own, so that Ctrl-C reaches it only through ``stop``. ``ready_url`` answers with
    status 200 once it is ready. ``died`` is called when it ends without ``stop``.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        ready_url: str = "",
        died: Callable[[str], None] | None = None,
    ) -> None:
        self.process: Process | None = None
        self._command = command
        self._log = log
        self._ready_url = ready_url
        self._died = died
        self._watching: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start it and wait until it is ready; raise :class:`NotReady`."""
        with self._log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *tethered(self._command),
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if self._ready_url:
            await until_ready(self.process, self._ready_url, self._log)
        self._watching = asyncio.create_task(self._watch(self.process))

    async def _watch(self, process: Process) -> None:
        code = await process.wait()
        if self._died is not None:
            self._died(f"{Path(self._log).stem} ended with exit code {code}: {last_words(self._log)}")

    async def stop(self, within_s: float = STOP_S) -> None:
        """End it and what it started; when this returns it has gone."""
        if self._watching is not None:
            self._watching.cancel()
        if self.process is None or not self.running:
            return
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self.process.wait()
        finally:
            await self.kill()

    async def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._watching is not None:
            self._watching.cancel()
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended gets none.

        Not by ``send_signal``, which may reap the process before the event loop's own watcher does.
        """
        if self.process is not None and self.running:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


@asynccontextmanager
async def program(
    command: Sequence[str], log: Path, ready_url: str = "", died: Callable[[str], None] | None = None
) -> AsyncIterator[ManagedProcess]:
    """Run a command for the length of the block; see :class:`ManagedProcess`."""
    running = ManagedProcess(command, log, ready_url, died)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


def tethered(command: Sequence[str], parent: int | None = None) -> list[str]:
    """Return the command that ends with this process.

    Source: prctl(2), PR_SET_PDEATHSIG.

    The kernel sends no signal where the parent died before the request for it. So the command runs only if
    its parent is still ``parent`` (by default this process).
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return list(command)
    parent = os.getpid() if parent is None else parent
    return [setpriv, "--pdeathsig", "TERM", "sh", "-c", _UNLESS_ORPHANED, str(parent), *command]


_UNLESS_ORPHANED = 'test "$PPID" = "$0" && exec "$@"'


async def until_ready(process: Process, url: str, log: Path, within_s: float = READY_S) -> None:
    """Wait until ``url`` answers with 200; raise :class:`NotReady`."""
    try:
        async with asyncio.timeout(within_s), aiohttp.ClientSession() as session:
            while not await _answers(session, url):
                if process.returncode is not None:
                    raise NotReady(f"ended with exit code {process.returncode}: {last_words(log)}")
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise NotReady(f"{url} does not answer within {within_s:g} s: {last_words(log)}") from None


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200  # noqa: PLR2004
    except aiohttp.ClientError:
        return False


def last_words(log: Path) -> str:
    """Return the end of what a program wrote."""
    return log.read_text(errors="replace")[-LAST_WORDS_CHARS:] if log.exists() else "(nothing)"
