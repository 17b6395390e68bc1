"""Bound every wait of the tests, and name what it waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

WAIT_S = 10.0
"""The longest wait for anything, unless the call says otherwise; far beyond what a loaded machine needs."""


class Overdue(AssertionError):
    """A wait reached its bound."""


@asynccontextmanager
async def within(seconds: float, what: Callable[[], str]) -> AsyncIterator[None]:
    """Bound the waits inside; Overdue with the sentence of ``what``, made at that moment."""
    try:
        async with asyncio.timeout(seconds) as deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        raise Overdue(f"{what()} (waited {seconds:g} s)") from None
