"""The demo's server: uvicorn with :class:`OpenProtocol`."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from sidecar.demo.connection import OpenProtocol

KILLED_EXIT = 3
"""Exit code after ``POST /demo/kill``: the supervisor restarts the process after this one only."""
KILL_DELAY_S = 0.05
"""Between the answer to ``POST /demo/kill`` and the end of the process, so that the answer leaves first."""
SHUTDOWN_S = 1


class DemoServer(uvicorn.Server):
    """A uvicorn server that resets its live streams when it stops."""

    def __init__(self, app: Starlette, *, signals: bool) -> None:
        super().__init__(_config(app))
        self._ledger = app.state.ledger
        self._signals = signals

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install no signal handlers when embedded in another program."""
        if not self._signals:
            yield
            return
        with super().capture_signals():
            yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: reset live streams and close the rest within ``SHUTDOWN_S``."""
        self._ledger.reset_live()
        await super().shutdown(sockets)


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Return a listening TCP socket; port 0 takes a free one.

    Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def url_of(listener: socket.socket) -> str:
    """Return the base URL of a listening socket, without a slash at its end."""
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(app: Starlette, listener: socket.socket, *, signals: bool = False) -> None:
    """Serve the application until cancelled.

    With ``signals``, until SIGINT or SIGTERM.
    """
    server = DemoServer(app, signals=signals)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


@asynccontextmanager
async def running(app: Starlette, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the application during a block; the value is its base URL."""
    with listen(host, port) as listener:
        serving = asyncio.create_task(serve(app, listener))
        try:
            yield url_of(listener)
        finally:
            serving.cancel()
            await asyncio.wait([serving])


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=OpenProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,  # the embedding program's logging is not ours to configure
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


def run(app: Starlette, listener: socket.socket) -> None:
    """Serve the application until SIGINT or SIGTERM, on uvloop if present."""
    with asyncio.Runner(loop_factory=_config(app).get_loop_factory()) as runner:
        runner.run(serve(app, listener, signals=True))


def die_soon() -> None:
    """End the process as a crash does: no clean-up, exit code ``KILLED_EXIT``."""
    asyncio.get_running_loop().call_later(KILL_DELAY_S, os._exit, KILLED_EXIT)
