"""Refuse requests of pages from other origins."""

from collections.abc import Collection

from starlette.datastructures import Headers

from sidecar.http1.same_origin import is_same_origin

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_foreign(headers: Headers, friends: Collection[str] = ()) -> bool:
    """Return whether a page of another origin sent it.

    ``friends`` are allowed origins.
    """
    origin, site, host = (headers.get(name) for name in ("origin", "sec-fetch-site", "host"))
    return not is_same_origin(origin=origin, site=site, host=host, allowed=friends)


def is_misdirected(headers: Headers) -> bool:
    """Return whether its Host is another name: DNS rebinding."""
    name, _, port = headers.get("host", "").rpartition(":")
    return (name if port.isdigit() else headers.get("host", "")) not in LOOPBACK_NAMES
