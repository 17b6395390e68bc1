r"""A scripted HTTP/1.1 server on raw TCP: it sends literal bytes and remembers everything it got.

async with FakeUpstream() as up:
    up.script(sse(b"data: 1\n\n", then="reset"))
    ...
    assert up.requests[0].target == "/v1/chat"
    await up.requests[0].closed_by_peer(within_s=1.0)
"""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias

from tests.kit.deadline import WAIT_S, within
from tests.kit.eventsource import DispatchedEvent
from tests.kit.scripts import SSE_HEADERS, ByHand, Ending, Script, literal, plain, sse
from tests.kit.upstream_connection import UpstreamConnection
from tests.kit.upstream_request import RecordedRequest
from tests.kit.wire import AcceptedConnection

__all__ = [
    "SSE_HEADERS",
    "ByHand",
    "Ending",
    "FakeUpstream",
    "RecordedRequest",
    "Router",
    "Script",
    "UnscriptedRequest",
    "UpstreamConnection",
    "literal",
    "plain",
    "sse",
]

Router: TypeAlias = Callable[[RecordedRequest], Script]

LOOPBACK = "127.0.0.1"
BACKLOG = 4096
ACCEPTING_TURNS = 4
"""Turns of the event loop within which a connection that it has accepted becomes known here."""


class UnscriptedRequest(AssertionError):
    """A request came that no script was there for."""


class FakeUpstream:
    """Answers each request with the next queued script, else with the router's choice.

    A request that neither answers, and a script that fails other than by its peer's leaving, fail the test
    when the ``async with`` block ends.
    """

    def __init__(self, router: Router | None = None) -> None:
        self.requests: list[RecordedRequest] = []
        self.connections: list[UpstreamConnection] = []
        self.failures: list[Exception] = []
        self.host = LOOPBACK
        self.port = 0
        self._router = router
        self._queue: deque[Script] = deque()
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], AcceptedConnection] = {}

    @property
    def url(self) -> str:
        """The origin, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    @property
    def truth(self) -> list[list[DispatchedEvent]]:
        """Per request the events that its response has carried so far."""
        return [request.truth for request in self.requests]

    def script(self, *scripts: Script) -> None:
        """Queue scripts: the next requests get them, one each, in the order of their heads' arrival."""
        self._queue.extend(scripts)

    def by_hand(self, *, head: bool = True) -> ByHand:
        """Queue a script that the test speaks itself (after the head of a stream, if ``head``); return it."""
        script = ByHand(head=head)
        self.script(script)
        return script

    def route(self, router: Router) -> None:
        """Choose the script of every request that finds the queue empty."""
        self._router = router

    async def request(self, number: int = 0, within_s: float = WAIT_S) -> RecordedRequest:
        """Wait for the request with this number, counted from 0; Overdue if it does not come."""
        async with (
            within(within_s, lambda: f"request {number} did not come; {len(self.requests)} did"),
            self._news,
        ):
            await self._news.wait_for(lambda: len(self.requests) > number)
        return self.requests[number]

    async def accept(self) -> None:
        """Listen; after ``refuse`` on the same port again."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: AcceptedConnection(self._connected), self.host, self.port, backlog=BACKLOG
        )
        self.port = server.sockets[0].getsockname()[1]
        self._server = server

    def refuse(self) -> None:
        """Stop listening: new connections are refused by the kernel, those that are there live on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def __aenter__(self) -> Self:
        """Listen on a free port of loopback."""
        await self.accept()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close everything; raise what went wrong in the scripts, unless the test has failed already."""
        await self._accept_the_last()
        self.refuse()
        tasks = dict(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(wire.reset() for wire in tasks.values()))
        if self.failures and error is None:
            raise ExceptionGroup("the fake upstream", self.failures)
        if self.failures and error is not None:
            error.add_note(f"The fake upstream failed as well: {self.failures!r}")

    async def _accept_the_last(self) -> None:
        """Take no more connections but those that are half accepted: a closed server forgets these."""
        if self._server is None:
            return
        for listener in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(ACCEPTING_TURNS):
            await asyncio.sleep(0)

    def _connected(self, wire: AcceptedConnection) -> None:
        connection = UpstreamConnection(len(self.connections), wire)
        self.connections.append(connection)
        task = asyncio.get_running_loop().create_task(self._serve(connection, wire))
        self._tasks[task] = wire
        task.add_done_callback(self._tasks.pop)

    async def _serve(self, connection: UpstreamConnection, wire: AcceptedConnection) -> None:
        try:
            while await self._serve_one(connection):
                pass
        except Exception as error:  # noqa: BLE001 - whatever a script raises is the test's to see
            if not (isinstance(error, ConnectionError) and wire.peer_left.is_set()):
                self.failures.append(error)
        await wire.fin()

    async def _serve_one(self, connection: UpstreamConnection) -> bool:
        request = await connection.next_request(len(self.requests))
        if request is None:
            return False
        script = self._script_for(request)
        self.requests.append(request)
        async with self._news:
            self._news.notify_all()
        await script(connection)
        return await connection.kept_alive()

    def _script_for(self, request: RecordedRequest) -> Script:
        if self._queue:
            return self._queue.popleft()
        if self._router is not None:
            return self._router(request)
        raise UnscriptedRequest(f"request {request.number}: {request.method} {request.target}")
