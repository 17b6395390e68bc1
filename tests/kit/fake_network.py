"""A network in memory for the Python client: a script answers each request, in virtual or real time."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sidecar.client import EventSource
from sidecar.client.answer import ResponseHead
from sidecar.client.connection import Lost, StreamResponse
from sidecar.client.course import ConnectionLoss
from sidecar.client.request import Request

SSE = {"content-type": "text/event-stream"}

Step: TypeAlias = "bytes | float | ConnectionLoss"
"""Bytes of the body, seconds of silence, or how the connection is lost."""


class FakeAnswer:
    """Speaks the interface of an answer; after its last step the body ends in order."""

    def __init__(self, head: ResponseHead, *steps: Step, retry_after_s: float | None = None) -> None:
        self.head = head
        self.retry_after_s = retry_after_s
        self._steps = list(steps)

    async def chunk(self) -> bytes:
        while self._steps:
            step = self._steps.pop(0)
            if isinstance(step, ConnectionLoss):
                raise Lost(step)
            if isinstance(step, bytes):
                return step
            await asyncio.sleep(step)
        return b""

    def close(self) -> None:
        self._steps = [ConnectionLoss("The connection was closed.")]


def stream(*steps: Step, headers: Mapping[str, str] = SSE) -> FakeAnswer:
    """Answer with an event stream."""
    return FakeAnswer(ResponseHead(200, headers), *steps)


def status(number: int, *, retry_after_s: float | None = None, **problem: object) -> FakeAnswer:
    """Answer with a status and a problem document."""
    return FakeAnswer(ResponseHead(number, {}, problem), retry_after_s=retry_after_s)


REFUSED = ConnectionLoss("The server cannot be reached.", "Connection refused", unsent=True)
RESET = ConnectionLoss("The connection was lost.", "Connection reset by peer")


class FakeNetwork:
    """Answers the n-th request with what ``script(n, request)`` returns; a ConnectionLoss is how it fails."""

    def __init__(self, script: Callable[[int, Request], FakeAnswer | ConnectionLoss]) -> None:
        self._script = script
        self.requests: list[Request] = []
        self.asked_at: list[float] = []
        self.within_s: list[float] = []
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.takes_posts = True
        self.closed = False

    async def send(self, request: Request, within_s: float) -> StreamResponse:
        self.requests.append(request)
        self.within_s.append(within_s)
        self.asked_at.append(asyncio.get_running_loop().time())
        answer = self._script(len(self.requests) - 1, request)
        if isinstance(answer, ConnectionLoss):
            raise Lost(answer)
        return answer

    async def post(self, url: str, headers: dict[str, str], body: bytes = b"") -> bool:
        self.posts.append((url, headers, body))
        return self.takes_posts

    async def close(self) -> None:
        self.closed = True

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [json.loads(body) for url, _, body in self.posts if url.endswith("/reports")]


def scripted(*answers: FakeAnswer | ConnectionLoss) -> FakeNetwork:
    """Return a network that gives these answers, one each."""
    return FakeNetwork(lambda number, _: answers[number])


def source_on(network: FakeNetwork, url: str = "http://chat.test/api/chat", **options: Any) -> EventSource:
    """Return an event source on a network in memory."""
    return EventSource(url, transport=network, **options)
