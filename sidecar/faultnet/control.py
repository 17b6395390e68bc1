"""The HTTP control of a network with faults.

* ``GET /``: the number of connections, and the toxics with their names.
* ``POST /toxics``, for example ``{"type": "latency", "latency_s": 0.2}``: add one; the answer has its name.
* ``DELETE /toxics/{name}``: remove it.
* ``DELETE /toxics``: remove all.
* ``POST /cut``: reset every open connection.
* ``POST /hand_off``: drop every open connection without FIN or RST; new ones pass.
* ``POST /drop_bytes?n=N``: drop the next N bytes to the client on each open connection.

It refuses requests of pages from other sites, and requests for another host name (DNS rebinding).
"""

import json
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.faultnet.network import FaultyNetwork
from sidecar.faultnet.same_site import is_foreign, is_misdirected
from sidecar.faultnet.toxic_words import toxic_of, words_of
from sidecar.faultnet.toxics import Toxic

BODY_BYTES_MAX = 4096
DROP_BYTES_MAX = 1024 * 1024


class Control:
    """The toxics in force by name, and the requests that change them."""

    def __init__(self, network: FaultyNetwork) -> None:
        self._network = network
        self._toxics: dict[str, Toxic] = {}
        self._added = 0

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.show),
                Route("/toxics", self.add_one, methods=["POST"]),
                Route("/toxics", self.remove_all, methods=["DELETE"]),
                Route("/toxics/{name}", self.remove_one, methods=["DELETE"]),
                Route("/{event}", self.happen, methods=["POST"]),
            ]
        )

    def add(self, toxic: Toxic) -> str:
        """Add a toxic and return its name.

        Raises ValueError if it exists, or if there are too many.
        """
        if toxic in self._toxics.values():
            raise ValueError("this very toxic is in force already")
        self._network.add(toxic)
        self._added += 1
        self._toxics[str(self._added)] = toxic
        return str(self._added)

    async def show(self, request: Request) -> Response:
        """Tell how the network is."""
        _admit(request)
        return self._state()

    async def add_one(self, request: Request) -> Response:
        """Put the toxic of the body in force."""
        _admit(request)
        words = await _object(request)
        try:
            name = self.add(toxic_of(str(words.pop("type", "")), words))
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return JSONResponse({"name": name, **words_of(self._toxics[name])}, 201)

    async def remove_one(self, request: Request) -> Response:
        """Take one toxic out."""
        _admit(request)
        toxic = self._toxics.pop(request.path_params["name"], None)
        if toxic is None:
            raise HTTPException(404, f"no toxic of this name; there are {', '.join(self._toxics) or 'none'}")
        self._network.remove(toxic)
        return self._state()

    async def remove_all(self, request: Request) -> Response:
        """Take all toxics out."""
        _admit(request)
        self._toxics.clear()
        self._network.clear()
        return self._state()

    async def happen(self, request: Request) -> Response:
        """Let something happen once, to the connections that are open."""
        _admit(request)
        event = request.path_params["event"]
        if event == "cut":
            self._network.cut()
        elif event == "hand_off":
            self._network.hand_off()
        elif event == "drop_bytes":
            self._network.drop_bytes(_count(request.query_params.get("n", "")))
        else:
            raise HTTPException(404, "one of toxics, cut, hand_off, drop_bytes")
        return self._state()

    def _state(self) -> Response:
        toxics = [{"name": name, **words_of(toxic)} for name, toxic in self._toxics.items()]
        network = self._network
        return JSONResponse({"live": network.live, "accepted": network.accepted, "toxics": toxics})


def _admit(request: Request) -> None:
    if is_misdirected(request.headers):
        raise HTTPException(421, "ask 127.0.0.1 or localhost")
    if is_foreign(request.headers):
        raise HTTPException(403, "this came from another site's page")


async def _object(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413, f"at most {BODY_BYTES_MAX} bytes")
    try:
        words = json.loads(body)
    except ValueError:
        words = None
    if not isinstance(words, dict):
        raise HTTPException(400, 'an object, such as {"type": "latency", "latency_s": 0.2}')
    return words


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < len(text) < 9 or int(text) > DROP_BYTES_MAX:  # noqa: PLR2004
        raise HTTPException(400, f"n: a number of bytes, at most {DROP_BYTES_MAX}")
    return int(text)
