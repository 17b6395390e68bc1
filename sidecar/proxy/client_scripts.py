"""The browser client's scripts as served, each with its digest."""

import gzip
import hashlib
import re
from base64 import b64encode
from dataclasses import dataclass
from importlib.resources import files

from sidecar import __version__
from sidecar.http1.headers import Fields, values

FRESH_S = 300
"""A page that names no version has the new script this soon after an upgrade (RFC 9111 section 5.2.2.1)."""

FRESH_VERSIONED_S = 31_536_000
"""A year, the longest time that RFC 2616 section 14.21 advises. Caches treat it as permanent."""

FIELDS = [
    (b"access-control-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"accept-encoding"),
]
"""A browser fetches a module of another origin with CORS (HTML, "fetch a single module script")."""

VERSION_PARAMETER = f"v={__version__}".encode()

_refused = re.compile(rb"\s*q\s*=\s*0(?:\.0{0,3})?\s*")
"""The weight of a coding that is not acceptable (RFC 9110 section 12.4.2)."""


@dataclass(frozen=True, slots=True)
class ClientScript:
    """One script, plain or with a content coding (RFC 9110 section 8.4)."""

    name: str
    body: bytes
    coding: bytes = b""

    def gzipped(self) -> "ClientScript":
        """Return the script with gzip."""
        return ClientScript(self.name, gzip.compress(self.body, mtime=0), b"gzip")

    @property
    def integrity(self) -> str:
        """Return the ``integrity`` of its script tag (W3C SRI)."""
        return f"sha384-{b64encode(hashlib.sha384(self.body).digest()).decode()}"

    @property
    def etag(self) -> bytes:
        """The entity tag, a digest of the body."""
        return b'"%b"' % hashlib.sha256(self.body).hexdigest()[:20].encode()

    def known_to(self, fields: Fields) -> bool:
        """Return whether ``If-None-Match`` has the tag (RFC 9110 section 13.1.2)."""
        tags = [tag.strip() for value in values(fields, b"if-none-match") for tag in value.split(b",")]
        return b"*" in tags or self.etag in {tag.removeprefix(b"W/") for tag in tags}

    def fields(self, query: bytes) -> list[tuple[bytes, bytes]]:
        """Return the response fields.

        A script under the version of this sidecar is immutable.
        """
        versioned = VERSION_PARAMETER in query.split(b"&")
        fresh = b"%d, immutable" % FRESH_VERSIONED_S if versioned else b"%d" % FRESH_S
        return [
            (b"content-type", b"text/javascript; charset=utf-8"),
            (b"cache-control", b"public, max-age=" + fresh),
            (b"etag", self.etag),
            *FIELDS,
            *([(b"content-encoding", self.coding)] if self.coding else []),
        ]


def _found() -> dict[str, ClientScript]:
    folder = files("sidecar").joinpath("client", "js")
    modules = (file for file in folder.iterdir() if file.name.endswith(".js"))
    return {file.name: ClientScript(file.name, file.read_bytes()) for file in modules}


SCRIPTS = _found()
"""Every script of the package, by its name."""

_GZIPPED = {name: script.gzipped() for name, script in SCRIPTS.items()}


def chosen(name: str, fields: Fields) -> ClientScript:
    """Return a script in a coding that the request accepts.

    Raises KeyError if there is none of this name.
    """
    return (_GZIPPED if _takes_gzip(fields) else SCRIPTS)[name]


def _takes_gzip(fields: Fields) -> bool:
    for item in (item for value in values(fields, b"accept-encoding") for item in value.split(b",")):
        coding, _, weight = item.partition(b";")
        if coding.strip().lower() == b"gzip":
            return _refused.fullmatch(weight) is None
    return False
