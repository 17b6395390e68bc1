"""A small client of the demo that reads, cuts, resumes and cancels."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from sidecar.client.event_parser import EventParser

CONNECT_S = 10.0
SILENCE_S = 60.0
"""A reader that gets nothing at all for so long, not even a heartbeat, gives up."""

NOTHING_MORE = 204
"""What a resume is answered when everything has been delivered (WHATWG HTML section 9.2.3)."""

LINGER_ZERO = struct.pack("ii", 1, 0)
"""``struct linger``, on, 0 seconds: close sends RST, as a connection that dies on its way (socket(7))."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request for a stream.

    ``body`` makes it a POST. ``query`` has the pace and the fault.
    """

    path: str
    query: dict[str, str]
    body: dict[str, Any] | None = None

    @property
    def method(self) -> str:
        """The method."""
        return "GET" if self.body is None else "POST"


class ChatReply:
    """One answer over any number of connections.

    ``stream`` is its id, ``position`` where the client continues.
    """

    def __init__(self, question: ChatRequest) -> None:
        self.question = question
        self.stream = ""
        self.events = 0
        self.ended = False
        """The end of the body came in order, or a resume said that there is nothing more."""

        self._parser = EventParser()
        self._response: aiohttp.ClientResponse | None = None

    @property
    def position(self) -> str:
        """The id of the last event, or the stream's start."""
        return self._parser.last_event_id or f"{self.stream}.0"

    def begin(self, response: aiohttp.ClientResponse) -> None:
        """Read on over a new connection."""
        self._response = response
        self.stream = response.headers.get("SSE-Stream", self.stream)
        self.ended = response.status == NOTHING_MORE
        self._parser = EventParser(self._parser.last_event_id)

    async def read(self, events: int | None = None) -> None:
        """Read that many more events, or to the end.

        It returns early when the connection breaks or ends.
        """
        until = None if events is None else self.events + events
        assert self._response is not None  # noqa: S101 - begun
        try:
            while until is None or self.events < until:
                async with asyncio.timeout(
                    SILENCE_S
                ):  # wait_for may swallow a cancellation before Python 3.12
                    chunk = await self._response.content.readany()
                if not chunk:
                    self.ended = True
                    return
                self.events += len(self._parser.feed(chunk))
        except (aiohttp.ClientError, OSError, TimeoutError):
            return

    def cut(self) -> None:
        """Break the connection, as a network does that goes away."""
        transport = self._transport
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
            transport.abort()

    def leave(self) -> None:
        """Close the connection in order, as a tab does that is closed.

        FIN first: a close alone sends RST where the kernel holds bytes that this process had no time to read.
        """
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write_eof()
        if self._response is not None:
            self._response.close()

    @property
    def _transport(self) -> asyncio.Transport | None:
        connection = self._response.connection if self._response is not None else None
        return connection.transport if connection is not None else None


class ChatClient:
    """The client of one user, for ``async with client(...)``."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    @asynccontextmanager
    async def ask(self, question: ChatRequest) -> AsyncIterator[ChatReply]:
        """Request an answer; hold its connection to the block's end.

        Raises ClientError if the server refuses.
        """
        reading = ChatReply(question)
        body = None if question.body is None else json.dumps(question.body)
        url = f"{self._url}{question.path}"
        async with self._session.request(
            question.method, url, params=question.query, data=body, headers={"Accept": "text/event-stream"}
        ) as response:
            reading.begin(response)
            yield reading

    @asynccontextmanager
    async def back(self, reading: ChatReply, login: str | None = None) -> AsyncIterator[ChatReply]:
        """Resume an answer with ``Last-Event-ID``, also with another login."""
        fields = {"Accept": "text/event-stream", "Last-Event-ID": reading.position}
        if login is not None:
            fields["Authorization"] = f"Bearer {login}"
        url = f"{self._url}/_sse/streams/{reading.stream}"
        async with self._session.get(url, headers=fields) as response:
            reading.begin(response)
            yield reading

    async def cancel(self, reading: ChatReply) -> None:
        """Say that the rest of an answer is not wanted."""
        async with self._session.delete(f"{self._url}/_sse/streams/{reading.stream}"):
            reading.leave()


@asynccontextmanager
async def client(url: str, login: str) -> AsyncIterator[ChatClient]:
    """Use a login for every request."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        headers={"Authorization": f"Bearer {login}"},
        trust_env=False,
    ) as session:
        yield ChatClient(url, session)
