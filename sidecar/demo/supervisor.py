"""Run the demo backend and restart it after ``POST /demo/kill``.

``python -m sidecar.demo.supervisor --port 8000``, or embedded: ``await supervise(host, port)``.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import Process

import click

from sidecar.demo.server import KILLED_EXIT

RESTART_S = 2.0
STOP_S = 3.0
"""How long the backend may take to stop before it is killed."""


async def supervise(host: str, port: int, *, setup: str = "{}", restart_s: float = RESTART_S) -> int:
    """Run the backend until an exit without the kill switch.

    Return that exit code.

    ``setup`` is handed on to it. When cancelled, the backend is stopped first.
    """
    while True:
        backend = await asyncio.create_subprocess_exec(*_command(host, port, setup))
        try:
            exit_code = await backend.wait()
        finally:
            await _stop(backend)
        if exit_code != KILLED_EXIT:
            return exit_code
        await asyncio.sleep(restart_s)


async def _supervise_until_terminated(host: str, port: int, setup: str) -> int:
    supervising = asyncio.ensure_future(supervise(host, port, setup=setup))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, supervising.cancel)
    try:
        return await supervising
    except asyncio.CancelledError:
        return 0


def _command(host: str, port: int, setup: str) -> list[str]:
    module = [sys.executable, "-m", "sidecar.demo.webapi"]
    return [*module, "--host", host, "--port", str(port), "--setup", setup, "--supervised"]


async def _stop(backend: Process) -> None:
    if backend.returncode is not None:
        return
    backend.terminate()
    try:
        await asyncio.wait_for(backend.wait(), STOP_S)
    except TimeoutError:
        backend.kill()
        await backend.wait()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65_535), help="Port to use.")
@click.option("--setup", default="{}", hidden=True, help="What `sse-sidecar demo` tells the page.")
def main(host: str, port: int, setup: str) -> None:
    """Run the demo backend; restart it 2 s after a kill from its page."""
    sys.exit(asyncio.run(_supervise_until_terminated(host, port, setup)))


if __name__ == "__main__":
    main()
