"""Users of a chat product, its scripted backend, and expected counts."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import count
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from tests.kit.client import SSEClient
from tests.kit.fake_upstream import SSE_HEADERS, RecordedRequest, Script, UpstreamConnection
from tests.kit.recorder import Recorder
from tests.kit.response import Response
from tests.kit.scrape import Scrape

PATIENCE_S = 60.0
"""The longest wait of a user, far above what 200 users need on a busy machine."""

EVENT_EVERY_S_MAX = 0.03
FEED_SHARE = 0.3
"""Of the questions: asked with GET, the way an EventSource asks."""

Then = Literal["end", "fin", "reset", "bad chunk"]


@dataclass
class UpstreamScript:
    """The backend's answer to one request.

    It sends the blocks with a pause before each, and waits for each Event.
    """

    blocks: list[bytes | asyncio.Event]
    then: Then
    chance: random.Random
    requests: list[RecordedRequest] = field(default_factory=list)

    async def __call__(self, connection: UpstreamConnection) -> None:
        self.requests.append(connection.request)
        await connection.body(PATIENCE_S)
        await connection.send_head(200, SSE_HEADERS)
        for block in self.blocks:
            if isinstance(block, asyncio.Event):
                await _until_told(connection, block)
            else:
                await asyncio.sleep(self.chance.uniform(0, EVENT_EVERY_S_MAX))
                await connection.write(block)
        await self._finish(connection)

    async def _finish(self, connection: UpstreamConnection) -> None:
        if self.then == "reset":
            await connection.reset()
        elif self.then == "fin":
            await connection.fin()
        elif self.then == "bad chunk":
            await connection.send(b"no size\r\n")
            await connection.stall(PATIENCE_S)
        else:
            await connection.end()


async def _until_told(connection: UpstreamConnection, told: asyncio.Event) -> None:
    """Wait for the user; ConnectionResetError if the peer leaves first."""
    waits = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(connection.closed_by_peer(PATIENCE_S))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    if not told.is_set():
        raise ConnectionResetError("nobody listens any more")


@dataclass(frozen=True)
class End:
    """The expected outcome of one stream.

    ``unread`` is the number of events that arrived after the last client left.
    """

    talk: UpstreamScript
    outcome: str
    unread: int = 0


class RoutingBackend:
    """Route each request to its script, and sum the expected counts."""

    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()
        self.ends: list[End] = []
        self.too_late = 0
        self.silent = 0
        self._scripts: dict[str, Script] = {}
        self._keys = count(1)

    def route(self, request: RecordedRequest) -> Script:
        """Choose what the backend does, by the key in the target; each key is good for one request."""
        (key,) = parse_qs(urlsplit(request.target).query)["key"]
        return self._scripts.pop(key)

    def expect(self, script: Script, path: str) -> str:
        """Prepare the backend for one request; return its target."""
        key = str(next(self._keys))
        self._scripts[key] = script
        return f"{path}?key={key}"

    @property
    def received(self) -> int:
        """How many events the backend has sent, by its own record."""
        return sum(len(request.truth) for end in self.ends for request in end.talk.requests)

    def residuals(self, now: Scrape) -> dict[str, float]:
        """Return the differences from the sidecar's counts that are not zero."""
        m, unread = now.metric, sum(end.unread for end in self.ends)
        outcomes = Counter(end.outcome for end in self.ends) + Counter(resume_expired=self.too_late)
        left = {
            "requests": sum(len(end.talk.requests) for end in self.ends) - len(self.ends),
            "started": m("sse_streams_started_total") - outcomes.total(),
            "received": m("sse_messages_received_total") - self.received,
            "delivered": m("sse_messages_delivered_total") - (self.received - unread),
            "unread": m("sse_unread_messages_total") - unread,
            "proven too often": sum(
                abs(a - b) for a, b in zip(now.proof(), sorted(now.proof()), strict=True)
            ),
            "lost": m("sse_messages_lost_total"),
            "surfaced": m("sse_silent_failures_total", disposition="surfaced") - self.silent,
            "leaked": m("sse_silent_failures_total", disposition="leaked"),
        }
        counted = now.outcomes()
        left |= {name: counted.get(name, 0) - outcomes[name] for name in {*counted, *outcomes}}
        return {name: value for name, value in (left | now.conservation()).items() if value}


@dataclass
class User:
    """One user with a login."""

    number: int
    client: SSEClient
    crowd: RoutingBackend
    chance: random.Random

    @property
    def login(self) -> list[tuple[str, str]]:
        """The user's credentials."""
        return [("Authorization", f"Bearer user-{self.number}")]

    def talk(self, *, then: Then = "end", events: int = 0) -> UpstreamScript:
        """Make up an answer."""
        told = range(events or self.chance.randint(2, 16))
        return UpstreamScript(
            [b"data: %d of user %d\n\n" % (n, self.number) for n in told], then, self.chance
        )

    def open(self, talk: UpstreamScript, *fields: tuple[str, str]) -> AbstractAsyncContextManager[Response]:
        """Open a new stream, which the backend answers with a script."""
        if self.chance.random() < FEED_SHARE and not fields:
            return self.client.open("GET", self.crowd.expect(talk, "/feed"), self.login)
        target = self.crowd.expect(talk, "/v1/chat")
        return self.client.open("POST", target, [*self.login, *fields], b'{"stream": true}')

    def resume(self, response: Response) -> AbstractAsyncContextManager[Response]:
        """Resume after the last event that a response brought."""
        stream = response.header("SSE-Stream")
        assert stream, response
        position = response.last_event_id or f"{stream}.0"
        return self.client.resume(position, target="/feed", headers=self.login)

    def note(self, talk: UpstreamScript, outcome: str, *, unread: int = 0) -> None:
        """Set the expected outcome of a stream."""
        self.crowd.ends.append(End(talk, outcome, unread))

    def check(self, talk: UpstreamScript, *responses: Response, whole: bool | None = True) -> None:
        """Compare the events of one client's connections with the backend's."""
        record = Recorder()
        (request,) = talk.requests
        name = f"user {self.number} at {request.target}"
        for response in responses:
            record.client("client", name, response)
        record.upstream(name, request, whole=whole)
        record.assert_sound()


Behaviour = Callable[[User], Awaitable[None]]
