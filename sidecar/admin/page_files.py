"""The files of the admin page: public, since they hold no data.

What they show they ask for with ``GET /overview``.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}
"""A browser keeps the files and asks each time whether they are still these (RFC 9111 section 5.2.2.4)."""

_one_stream = re.compile(r"/streams/[^/]+")


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page."""

    body: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, name: str, media_type: str) -> "PageFile":
        """Read a file of the package; its tag is a digest of its content."""
        body = files("sidecar.admin").joinpath("page", name).read_bytes()
        return cls(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:20]}"')

    def answer(self, request: Request) -> Response:
        """Send the file, or 304 if the client has it (RFC 9110, 13.1.2)."""
        headers = HEADERS | {"ETag": self.etag}
        known = {
            tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")
        }
        if self.etag in known:
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type=self.media_type)


PAGE = PageFile.of("index.html", "text/html")
SCRIPTS = (
    "chart.js",
    "confirm.js",
    "element.js",
    "history.js",
    "listener.js",
    "numbers.js",
    "page.js",
    "stream.js",
    "streams.js",
    "words.js",
)
PARTS = {"/page.css": PageFile.of("page.css", "text/css")} | {
    f"/{name}": PageFile.of(name, "text/javascript") for name in SCRIPTS
}


def wants_page(headers: Headers) -> bool:
    """Return whether a request prefers HTML, as a browser's does."""
    types = {part.partition(";")[0].strip().lower() for part in headers.get("accept", "").split(",")}
    return "text/html" in types and "application/json" not in types


def is_page(scope: Scope) -> bool:
    """Return whether a request is for one of the page's public files."""
    path = scope["path"]
    if scope["method"] not in {"GET", "HEAD"}:
        return False
    if path == "/" or path in PARTS:
        return True
    return _one_stream.fullmatch(path) is not None and wants_page(Headers(scope=scope))
