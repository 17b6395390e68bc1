"""An unnamed network namespace, which ends with its process.

Only the thread that makes it is in it, and what that thread starts. Python has ``os.setns`` from 3.12 on.
"""

import asyncio
import ctypes
import os
import subprocess
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Generic, TypeVar

from sidecar.faultnet.target import PathError

Outcome = TypeVar("Outcome")

COMMAND_S = 10.0
"""The longest that a command of iproute2 or iptables may take."""

LEAVE_S = 30.0
"""The longest that people who were cancelled may take to leave."""

CLONE_NEWNET = 0x40000000
_SELF = "/proc/thread-self/ns/net"


class Namespace:
    """Devices, addresses, routes and rules of its own.

    ``path`` names the namespace to ip(8) while it is open.
    """

    def __init__(self) -> None:
        """Make it; raises PathError where that is not allowed."""
        self._inside = ThreadPoolExecutor(1, thread_name_prefix="namespace")
        try:
            self._fd = self._inside.submit(_unshare).result()
        except OSError as error:
            self._inside.shutdown()
            raise PathError(f"no network namespace: {error.strerror}") from error
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"

    def close(self) -> None:
        """Leave it: with the last process in it, it is gone."""
        self._inside.shutdown()
        os.close(self._fd)

    async def call(self, function: Callable[[], Outcome]) -> Outcome:
        """Call a function inside the namespace, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._inside, function)

    async def command(self, line: str, given: str = "") -> str:
        """Run a command inside and return its output.

        Raises PathError with its error output.
        """
        return await self.call(partial(command, line, given))

    async def live(self, people: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Run a coroutine inside, in a loop of its own.

        Its exception is raised here; a cancellation ends it.
        """
        life = _Life(self._fd, people)
        Thread(target=life.lead, name="people", daemon=True).start()
        outcome = asyncio.wrap_future(life.outcome)
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            life.end()
            outcome.add_done_callback(_forget)
            await asyncio.wait({outcome}, timeout=LEAVE_S)
            raise


def _forget(outcome: asyncio.Future[Outcome]) -> None:
    """Retrieve an exception without a waiter."""
    if not outcome.cancelled():
        outcome.exception()


class _Life(Generic[Outcome]):
    """A thread in a namespace, and the task that it runs there."""

    def __init__(self, namespace: int, people: Callable[[], Awaitable[Outcome]]) -> None:
        self.outcome: Future[Outcome] = Future()
        self._namespace = namespace
        self._people = people
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Outcome] | None = None

    def lead(self) -> None:
        """Run, and pass on the result or the exception."""
        try:
            _enter(self._namespace)
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                outcome = runner.run(self._life())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(outcome)

    async def _life(self) -> Outcome:
        self._task = asyncio.ensure_future(self._people())
        if self._ended:
            self._task.cancel()
        return await self._task

    def end(self) -> None:
        """Cancel it, from another thread."""
        self._ended = True
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)


def command(line: str, given: str = "") -> str:
    """Run a command in this thread's namespace.

    Raises PathError if it fails or takes longer than COMMAND_S.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the words are our own
            line.split(), input=given, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PathError(f"{line}: {error}") from error
    if done.returncode:
        raise PathError(f"{line}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def _unshare() -> int:
    """Move this thread to a new namespace; return its descriptor."""
    _checked(_libc().unshare(CLONE_NEWNET))
    return os.open(_SELF, os.O_RDONLY | os.O_CLOEXEC)


def _enter(namespace: int) -> None:
    """Move this thread to a namespace (setns(2))."""
    _checked(_libc().setns(namespace, CLONE_NEWNET))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def sysctl(name: str, value: str) -> None:
    """Set a kernel parameter in this thread's namespace; raise OSError."""
    Path("/proc/sys/net", name).write_text(value)
