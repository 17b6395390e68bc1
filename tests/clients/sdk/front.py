"""The demo backend, directly and through the sidecar with heartbeats."""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from sidecar.demo.webapi import create_app
from sidecar.demo.webapi import running as running_backend
from sidecar.demo.words import tokens
from tests.kit.relayed import assert_conserved
from tests.kit.running import RunningSidecar, running

TOKENS = 6
TEXT = "".join(tokens("sdk", TOKENS))
COURSE: dict[str, object] = {"n": TOKENS, "seed": "sdk"}
SLOW_MS = 130
"""Between two tokens: room for a heartbeat or two."""

HEARTBEAT_S = 0.05
HEARTBEATS_MIN = 3
"""Fewer in one slow answer would mean that nothing was put to the test."""

STREAM_TYPE = "text/event-stream"

EVERYTHING: dict[str, Any] = {"name": "default", "heartbeat_s": HEARTBEAT_S, "linger_s": 10}
CHAT = {**EVERYTHING, "name": "chat", "path": "/api/chat", "complete_on": "done"}
"""The demo's own dialect: only its operator can know which event ends it."""


class Accepts:
    """Record the Accept field of every request to a streaming route."""

    def __init__(self, app: ASGIApp, seen: list[str]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._seen.append(_accept_of(scope))
        await self._app(scope, receive, send)


def _accept_of(scope: MutableMapping[str, Any]) -> str:
    return next((value.decode() for name, value in scope["headers"] if name == b"accept"), "")


@dataclass(frozen=True)
class SdkEndpoint:
    """Where to ask, and what came of it; ``accepts`` are the Accept fields that the backend was sent."""

    direct: str
    relayed: str
    sc: RunningSidecar
    accepts: list[str]

    @property
    def heartbeats(self) -> int:
        return int(self.sc.metric("sse_heartbeats_total"))


@asynccontextmanager
async def fronted(route: dict[str, Any] | None = None) -> AsyncIterator[SdkEndpoint]:
    """Run both, and check the counters at the end."""
    accepts: list[str] = []
    app = create_app()
    app.add_middleware(Accepts, seen=accepts)
    async with (
        running_backend(app) as url,
        running(url, routes=[CHAT, {**EVERYTHING, **(route or {})}]) as sc,
    ):
        yield SdkEndpoint(url, f"http://127.0.0.1:{sc.port}", sc, accepts)
        await sc.until(lambda: not sc.metric("sse_subscribers"))
        assert_conserved(sc)
