"""A scripted upstream behind the real sidecar, with checks at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.kit.fake_upstream import FakeUpstream
from tests.kit.running import RunningSidecar, running

Relayed = tuple[FakeUpstream, RunningSidecar]


@asynccontextmanager
async def relayed(route: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Relayed]:
    """Run both; at the end the conservation laws hold and no failure was taken for an end.

    ``route`` are the options of the one route that takes every path, ``settings`` the others of ``Settings``.
    """
    async with FakeUpstream() as up, running(up.url, route, **settings) as sc:
        yield up, sc
        assert_conserved(sc)


def assert_conserved(sc: RunningSidecar) -> None:
    """Check that every stream, every message and every failure is accounted for."""
    assert sc.conservation() == {"streams": 0.0, "messages": 0.0}
    proof = sc.proof()
    assert proof == tuple(sorted(proof))
    assert sc.metric("sse_silent_failures_total", disposition="leaked") == 0
