"""Refuse requests of pages from other origins."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_foreign(headers: Headers, friends: Collection[str] = ()) -> bool:
    """Return whether a page of another origin sent it.

    ``friends`` are allowed origins. Sources: RFC 6454, Fetch Metadata.
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    return origin not in friends and urlsplit(origin).netloc != headers.get("host")


def is_misdirected(headers: Headers) -> bool:
    """Return whether its Host is another name: DNS rebinding."""
    name, _, port = headers.get("host", "").rpartition(":")
    return (name if port.isdigit() else headers.get("host", "")) not in LOOPBACK_NAMES
