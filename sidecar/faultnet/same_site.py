"""Refuse requests of foreign pages: a switch that breaks a network is for the page it belongs to."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_foreign(headers: Headers, friends: Collection[str] = ()) -> bool:
    """Tell whether a page of neither this origin nor ``friends`` sent it (RFC 6454, Fetch Metadata)."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    return origin not in friends and urlsplit(origin).netloc != headers.get("host")


def is_misdirected(headers: Headers) -> bool:
    """Tell whether it was sent to another name than this machine's own: DNS rebinding ends here."""
    name, _, port = headers.get("host", "").rpartition(":")
    return (name if port.isdigit() else headers.get("host", "")) not in LOOPBACK_NAMES
