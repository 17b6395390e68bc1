"""The chat page: its files, the browser client and its addresses."""

import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Self
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MEDIA_TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript"}
OF_THE_PAGE = (
    "index.html",
    "element.js",
    "faults.js",
    "page.css",
    "page.js",
    "panel.js",
    "plain.js",
    "tally.js",
    "turn.js",
)
OF_THE_CLIENT = ("client.js", "status.js")
"""Served like any other file of the application, so that the page works without a sidecar too."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What stands around the backend; the defaults are: nothing."""

    network: str | None = None
    """Base URL of what breaks the network between the page and the sidecar (:mod:`sidecar.demo.network`)."""
    bare: str | None = None
    """Base URL of the backend itself, over that network."""
    page_origins: tuple[str, ...] = ()
    """Origins of the page, whose scripts may read answers from ``bare``."""
    stall_s: float = 30.0
    """Silence after which the page takes its connection for stalled."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse the output of :meth:`as_json`; raise ValueError or TypeError."""
        return cls(**json.loads(text))

    def as_json(self) -> str:
        """Return it as one argument for a command line."""
        return json.dumps(asdict(self))

    def content_security_policy(self) -> str:
        """Return the page's policy (CSP level 3): own files, known addresses."""
        others = " ".join(_origin(url) for url in (self.network, self.bare) if url)
        return (
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {others}; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        )

    def cors(self, request: Request) -> dict[str, str]:
        """Return the CORS field for reads without the sidecar (Fetch 3.3.3)."""
        origin = request.headers.get("origin", "")
        return {"Access-Control-Allow-Origin": origin} if origin in self.page_origins else {}


class ChatPage:
    """The page's resources."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._files = _read(files("sidecar.demo").joinpath("page"), OF_THE_PAGE)
        self._files |= _read(files("sidecar").joinpath("client", "js"), OF_THE_CLIENT)

    def routes(self) -> list[Route]:
        """Return the routes."""
        named = [Route(f"/page/{name}", self.file) for name in self._files]
        return [Route("/", self.file), *named, Route("/demo/setup", self.setup)]

    async def file(self, request: Request) -> Response:
        """Send a file."""
        name = request.url.path.rpartition("/")[2] or "index.html"
        headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": self._setup.content_security_policy(),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        media_type = MEDIA_TYPES[name.rpartition(".")[2]]
        return Response(self._files[name], headers=headers, media_type=media_type)

    async def setup(self, _request: Request) -> Response:
        """Tell the page where it is."""
        return JSONResponse(asdict(self._setup), headers={"Cache-Control": "no-store"})


def _read(folder: Traversable, names: tuple[str, ...]) -> dict[str, bytes]:
    return {name: folder.joinpath(name).read_bytes() for name in names}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
