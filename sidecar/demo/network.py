"""The network of the demo's page, and the switches that break it.

``python -m sidecar.demo.network --carry 8080 8081 --control 9465``: what comes to 8080 is carried to 8081;
``POST http://127.0.0.1:9465/cut`` cuts it for some seconds. The switches have a port of their own, so that
they can be reached while the network is cut; the page at 8080 may press them, other sites' pages may not.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import click
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.faultnet.network import FaultyNetwork
from sidecar.faultnet.same_site import is_foreign, is_misdirected
from sidecar.faultnet.toxics import Down
from sidecar.server.server import admin_listener, listening_socket

HOST = "127.0.0.1"
PORT = click.IntRange(1, 65_535)
FAULT_S_DEFAULT = {"cut": 6.0, "silent": 10.0, "lose": 2.0}
"""How long a fault lasts unless the request says ``for_s``; bytes are lost once, and spoken of so long."""
FAULT_S_MAX = 60.0
LOST_BYTES = 2 * 1460
"""Two packets of an ordinary network."""
WORKS = "works"


class Switches:
    """The common state of the networks, and the requests that change it."""

    def __init__(self, networks: Sequence[FaultyNetwork], pages: Collection[str]) -> None:
        self.networks = networks
        self.url = ""
        self._pages = pages
        self._state = WORKS
        self._mending: asyncio.TimerHandle | None = None

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [Route("/", self.show), Route("/{fault}", self.press, methods=["POST"])]
        app = Starlette(routes=routes)
        app.add_middleware(CORSMiddleware, allow_origins=[*self._pages], allow_methods=["GET", "POST"])
        return app

    async def show(self, request: Request) -> Response:
        """Tell how the network is."""
        if is_misdirected(request.headers):
            raise HTTPException(421, "ask 127.0.0.1 or localhost")
        return JSONResponse(self.as_json())

    async def press(self, request: Request) -> Response:
        """Break the network for some seconds, or repair it."""
        if is_misdirected(request.headers) or is_foreign(request.headers, self._pages):
            raise HTTPException(403, "this came from another site's page")
        fault = request.path_params["fault"]
        if fault not in {WORKS, *FAULT_S_DEFAULT}:
            raise HTTPException(404, f"one of {WORKS}, {', '.join(FAULT_S_DEFAULT)}")
        self.mend()
        if fault != WORKS:
            self.break_for(fault, _seconds(request, FAULT_S_DEFAULT[fault]))
        return JSONResponse(self.as_json())

    def break_for(self, fault: str, seconds: float) -> None:
        """Break every network; each recovers after a time.

        Otherwise a reloaded page could not connect again.
        """
        self._state = fault
        self._mending = asyncio.get_running_loop().call_later(seconds, self.mend)
        for network in self.networks:
            if fault == "cut":
                network.add(Down())
            elif fault == "silent":
                network.blackhole()
            else:
                network.drop_bytes(LOST_BYTES)

    def mend(self) -> None:
        """Let everything pass again."""
        if self._mending is not None:
            self._mending.cancel()
        self._state, self._mending = WORKS, None
        for network in self.networks:
            network.clear()

    def as_json(self) -> dict[str, Any]:
        """Return the state, and the seconds until it is repaired."""
        loop = asyncio.get_running_loop()
        left_s = max(0.0, self._mending.when() - loop.time()) if self._mending else 0.0
        return {"state": self._state, "left_s": round(left_s, 3)}


def _seconds(request: Request, default: float) -> float:
    text = request.query_params.get("for_s")
    try:
        seconds = default if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= FAULT_S_MAX:
        raise HTTPException(400, f"for_s: more than 0 and at most {FAULT_S_MAX:g} seconds")
    return seconds


@asynccontextmanager
async def breakable(carry: Sequence[tuple[int, int]], control: int = 0) -> AsyncIterator[Switches]:
    """Carry connections from port to port, the page's first.

    Port 0 as the first of a pair takes a free one.
    """
    async with AsyncExitStack() as stack:
        networks = [
            await stack.enter_async_context(FaultyNetwork(HOST, to, port_of_its_own=at)) for at, to in carry
        ]
        switches = Switches(networks, [f"http://{name}:{networks[0].port}" for name in (HOST, "localhost")])
        listener = admin_listener(switches.app())
        socket = listening_socket(HOST, control)
        switches.url = f"http://{HOST}:{socket.getsockname()[1]}"
        await listener.open(socket)
        try:
            yield switches
        finally:
            switches.mend()
            await listener.shut(0)


async def _run(carry: Sequence[tuple[int, int]], control: int) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with breakable(carry, control):
        await ended.wait()


@click.command()
@click.option("--carry", type=(PORT, PORT), multiple=True, required=True, help="From, to; can be repeated.")
@click.option("--control", type=PORT, required=True, help="Port of the switches.")
def main(carry: tuple[tuple[int, int], ...], control: int) -> None:
    """Carry connections on loopback, and break them on request."""
    asyncio.run(_run(carry, control))


if __name__ == "__main__":
    main()
