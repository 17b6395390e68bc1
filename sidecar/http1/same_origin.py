"""The one check of requests that change state: from which page they come."""

from collections.abc import Collection
from urllib.parse import urlsplit

FROM_HERE = frozenset({"same-origin", "none"})


def is_same_origin(
    *, origin: str | None, site: str | None, host: str | None, allowed: Collection[str] = ()
) -> bool:
    """Return whether a request is from this origin, or from no page.

    ``origin``, ``site`` and ``host`` are the fields Origin, Sec-Fetch-Site and Host, or None. A page of the
    origins ``allowed`` passes. A browser's Sec-Fetch-Site decides before the comparison of Origin and Host,
    since a proxy may rewrite Host. Sources: Fetch Metadata; RFC 6454.
    """
    if origin is not None and origin in allowed:
        return True
    if site is not None:
        return site in FROM_HERE
    return origin is None or urlsplit(origin).netloc == host
