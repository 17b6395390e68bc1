"""What a program may set: defaults, forms and checks."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

ATTEMPTS_DEFAULT = 10
STALL_S_DEFAULT = 30.0
CONTROL_DEFAULT = "/_sse"

HeaderSource: TypeAlias = Mapping[str, str] | Callable[[], Mapping[str, str] | Awaitable[Mapping[str, str]]]
"""Header fields, or a function that is asked for them before every connection."""


async def asked(headers: HeaderSource | None) -> Mapping[str, str]:
    """Return header fields with names in lower case.

    A function is called each time and may raise anything.
    """
    if callable(headers):
        answer = headers()
        headers = await answer if inspect.isawaitable(answer) else answer
    return {name.lower(): value for name, value in (headers or {}).items()}


def position_in(headers: HeaderSource | None) -> str:
    """Return the ``Last-Event-ID`` of given fields, or "".

    It is "" for a function, too.
    """
    if headers is None or callable(headers):
        return ""
    return next((value for name, value in headers.items() if name.lower() == "last-event-id"), "")


def check(url: str, stall_s: float, attempts_max: int) -> None:
    """Raise ValueError for what cannot be asked."""
    check_url(url)
    if stall_s <= 0:
        raise ValueError("stall_s must be above 0")
    if attempts_max < 0:
        raise ValueError("attempts_max must not be negative")


def check_url(url: str) -> None:
    """Raise ValueError unless it is the URL of an event stream."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # ValueError if it is out of range
        fine = parts.scheme in {"http", "https"} and parts.hostname and url.isascii() and url.isprintable()
    except ValueError:
        fine = False
    if not fine:
        raise ValueError(f"{url!r} is no http:// or https:// URL")


def ignore(*_: object) -> None:
    """Do nothing: there is no callback."""
