"""Drives any client that speaks the service protocol of LaunchDarkly's SSE contract tests, over real sockets.

https://github.com/launchdarkly/sse-contract-tests/blob/main/docs/service_spec.md
"""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import ClientSession

from tests.kit.blocking_process import blocking_process, read_until
from tests.kit.deadline import within
from tests.kit.eventsource import DispatchedEvent
from tests.kit.fake_upstream import FakeUpstream, RecordedRequest, Script, UpstreamConnection, plain

ROOT = Path(__file__).parents[2]
LONG_S = 20.0


@contextmanager
def service_process(*command: str) -> Iterator[str]:
    """Run a service; gives its URL, which is the first line that it prints."""
    with blocking_process(command, stdout=subprocess.PIPE) as process:
        yield read_until(process, process.stdout, "http", LONG_S).strip()
        process.kill()


class CallbackLog(NamedTuple):
    """What the client has called back with, in its order."""

    events: list[DispatchedEvent]
    errors: list[str]


class Contract:
    """One test's server of streams (``up``), and the clients that it lets the service make."""

    def __init__(self, up: FakeUpstream, service: str, session: ClientSession, callback_url: str) -> None:
        self.up = up
        self._service = service
        self._session = session
        self._calls: dict[int, dict[str, Any]] = {}
        self._news = asyncio.Condition()
        self._made: list[str] = []
        self._callback_url = callback_url

    async def capabilities(self) -> set[str]:
        """Return what the service says that its client can."""
        async with self._session.get(self._service) as response:
            return set((await response.json())["capabilities"])

    async def client(self, path: str = "/", **params: object) -> None:
        """Let the service make a client that reads a stream of ours."""
        asked = {
            "streamUrl": f"{self.up.url}{path}",
            "callbackUrl": self._callback_url,
            "tag": "test",
            **params,
        }
        async with self._session.post(self._service, json=asked) as response:
            assert response.status // 100 == 2
            self._made.append(response.headers["Location"])

    async def says(self, events: int = 0, errors: int = 0) -> CallbackLog:
        """Wait until the client has called back with so many of each, and return what it said until then."""
        async with within(LONG_S, lambda: f"the client said only {self._said()}"), self._news:
            await self._news.wait_for(lambda: self._enough(events, errors))
        return self._said()

    async def close(self) -> None:
        """Let the service stop its clients."""
        for made in self._made:
            async with self._session.delete(made) as response:
                assert response.status // 100 == 2

    def called(self, request: RecordedRequest) -> Script:
        """Take a callback; its number is the end of its path."""
        answer = plain(202)

        async def take(connection: UpstreamConnection) -> None:
            await answer(connection)
            self._calls[int(request.target.rpartition("/")[2])] = json.loads(request.body)
            async with self._news:
                self._news.notify_all()

        return take

    def _enough(self, events: int, errors: int) -> bool:
        said = self._said()
        return len(said.events) >= events and len(said.errors) >= errors

    def _said(self) -> CallbackLog:
        said = CallbackLog([], [])
        for number in range(1, len(self._calls) + 1):
            call = self._calls.get(number)
            if call is None:
                break
            if call["kind"] == "event":
                event = call["event"]
                said.events.append(
                    DispatchedEvent(event.get("type") or "message", event["data"], event.get("id") or "")
                )
            elif call["kind"] == "error":
                said.errors.append(call.get("error") or call.get("comment") or "")
        return said


@asynccontextmanager
async def contract(service: str) -> AsyncIterator[Contract]:
    """Be a harness for the length of a block."""
    async with FakeUpstream() as up, FakeUpstream() as callbacks, ClientSession() as session:
        made = Contract(up, service, session, callbacks.url)
        callbacks.route(made.called)
        yield made
        await made.close()
