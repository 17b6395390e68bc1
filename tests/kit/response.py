"""A response as it arrives: head, body so far, events and ending."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, TypeAlias

from tests.kit.body import Body, response_body
from tests.kit.client_connection import RawConnection
from tests.kit.deadline import WAIT_S, within
from tests.kit.eventsource import DispatchedEvent
from tests.kit.head import Fields, MessageHead, split_head
from tests.kit.transcript import Transcript

Ended: TypeAlias = Literal["clean", "aborted", "open"]
Condition: TypeAlias = bytes | Callable[["Response"], bool]

SHOWN_BYTES = 300
"""How much of the body a failure's message shows."""


class BodyEnded(AssertionError):
    """The body ended before what was waited for."""


class Response:
    """One response, read only when something of it is asked for.

    ``ended``: "clean" when the framing's end came (final chunk; Content-Length reached; FIN where the body
    goes on until the close), "aborted" when the connection ended or the framing broke before, else "open".
    ``arrivals`` are the pieces of the body with the loop's time of each, ``interim`` the heads of 1xx
    responses that came before.
    """

    def __init__(
        self, connection: RawConnection, method: str, head: MessageHead, interim: list[MessageHead]
    ) -> None:
        self.connection = connection
        self.head = head
        self.status = head.status
        self.headers: Fields = head.fields
        self.interim = interim
        self.ended: Ended = "open"
        self.arrivals: list[tuple[float, bytes]] = []
        self._transcript = Transcript()
        self._events_taken = 0
        self._bytes_max: int | None = None
        self._body: Body = response_body(method, head.status, head.fields)
        self._note_end()

    def __repr__(self) -> str:
        """Show what a failed test wants to know."""
        size, tail = len(self._transcript), self._transcript.tail(SHOWN_BYTES)
        return f"<{self.head.start_line!r}, body {self.ended}, {size} bytes, ...{tail!r}>"

    @property
    def raw(self) -> bytes:
        """The body so far, out of its framing."""
        return self._transcript.raw

    @property
    def seen(self) -> list[DispatchedEvent]:
        """All events so far."""
        return self._transcript.events

    @property
    def comments(self) -> list[str]:
        """The text of the comment lines so far."""
        return self._transcript.parser.comments

    @property
    def retry_ms(self) -> int | None:
        """The reconnection time that the stream has set."""
        return self._transcript.parser.retry_ms

    @property
    def last_event_id(self) -> str:
        """What an EventSource would send as Last-Event-ID now."""
        return self._transcript.parser.last_event_id

    @property
    def trailers(self) -> list[str]:
        """The lines between the final chunk and the end."""
        return self._body.trailers

    @property
    def defect(self) -> str:
        """What was wrong with the framing, if that is why the body is aborted."""
        return self._body.defect

    def header(self, name: str) -> str | None:
        """Return the first value of a header field, None if there is none."""
        return self.headers.get(name)

    def json(self) -> Any:
        """Parse the body so far as JSON."""
        return json.loads(self.raw)

    async def more(self) -> bytes:
        """Wait for the next bytes of the body and return them; empty when the body has ended, or we left.

        Unbounded, for use inside a bounded wait.
        """
        while self.ended == "open" and self.connection.is_open:
            body = self._take(await self.connection.read())
            if body:
                return body
        return b""

    def _take(self, wire: bytes) -> bytes:
        body = self._body.feed(wire)
        if self._bytes_max is not None and len(self._transcript) + len(body) >= self._bytes_max:
            body = body[: self._bytes_max - len(self._transcript)]
        else:
            self._note_end()
        if body:
            self._transcript.add(body)
            self.arrivals.append((asyncio.get_running_loop().time(), body))
        return body

    def _note_end(self) -> None:
        closed = self.connection.closed_with
        if self._body.complete or (self._body.framing == "until close" and closed == "fin"):
            self.ended = "clean"
            self.connection.push_back(self._body.rest)
            self._body.rest = b""
        elif self._body.defect or closed:
            self.ended = "aborted"

    async def events(self, within_s: float = WAIT_S) -> AsyncIterator[DispatchedEvent]:
        """Give the events not taken yet, until the body ends; each within ``within_s``."""
        while (event := await self._next_event(within_s)) is not None:
            yield event

    async def event(self, within_s: float = WAIT_S) -> DispatchedEvent:
        """Wait for the next event; BodyEnded if the body ends before."""
        event = await self._next_event(within_s)
        if event is None:
            raise BodyEnded(f"no further event in {self}")
        return event

    async def take(self, count: int, within_s: float = WAIT_S) -> list[DispatchedEvent]:
        """Wait for so many further events; BodyEnded if the body ends before."""
        async with within(within_s, lambda: f"{count} events: not in {self}"):
            return [await self.event(within_s) for _ in range(count)]

    async def _next_event(self, within_s: float) -> DispatchedEvent | None:
        async with within(within_s, lambda: f"no further event in {self}"):
            while self._events_taken == len(self.seen):
                if not await self.more():
                    return None
        self._events_taken += 1
        return self.seen[self._events_taken - 1]

    async def read_until(self, condition: Condition, within_s: float = WAIT_S) -> bytes:
        """Read until the body contains these bytes, or the predicate of the response holds; return the body.

        BodyEnded if the body ends before.
        """
        async with within(within_s, lambda: f"{condition!r}: not in {self}"):
            while not self._holds(condition):
                if self.ended != "open" or not self.connection.is_open:
                    raise BodyEnded(f"{condition!r}: not in {self}")
                await self.more()
        return self.raw

    def _holds(self, condition: Condition) -> bool:
        return self._transcript.contains(condition) if isinstance(condition, bytes) else condition(self)

    async def read_to_end(self, within_s: float = WAIT_S) -> bytes:
        """Read until the body ends, cleanly or not (``ended``); return it."""
        async with within(within_s, lambda: f"no end of {self}"):
            while await self.more():
                pass
        return self.raw

    async def silent_for(self, seconds: float) -> bool:
        """Tell whether no byte of the body comes, and no end of it, for so long."""
        return self.ended == "open" and await self.connection.silent_for(seconds)

    async def cut_after(
        self,
        n_bytes: int,
        within_s: float = WAIT_S,
        *,
        or_when: Condition = lambda _: False,
        cleanly: bool = False,
    ) -> bytes:
        """Read exactly so many bytes of the body, counted from its start, and cut; return them.

        What arrived behind them is as good as never read. BodyEnded if the body is shorter, ValueError if
        more has been read already. ``or_when`` cuts it sooner; ``cleanly``: with FIN, else with RST.
        """
        if len(self._transcript) > n_bytes:
            raise ValueError(f"{len(self._transcript)} bytes have been read already")
        self._bytes_max = n_bytes
        await self.read_until(
            lambda response: len(response._transcript) >= n_bytes or response._holds(or_when), within_s
        )
        await (self.leave() if cleanly else self.cut())
        return self.raw

    async def cut(self) -> None:
        """Close the connection with RST."""
        await self.connection.cut()

    async def leave(self) -> None:
        """Close the connection with FIN."""
        await self.connection.leave()


async def read_response(connection: RawConnection, method: str, within_s: float = WAIT_S) -> Response:
    """Read the heads up to the final one; BodyEnded if the server closes before it."""
    interim: list[MessageHead] = []
    async with within(within_s, lambda: f"no answer to {method}; interim: {interim}"):
        while True:
            head = await _read_head(connection)
            if head.status >= 200 or head.status == 101:
                return Response(connection, method, head, interim)
            interim.append(head)


async def _read_head(connection: RawConnection) -> MessageHead:
    data = b""
    while True:
        new = await connection.read()
        head, data = split_head(data + new)
        if head is not None:
            connection.push_back(data)
            return head
        if not new:
            raise BodyEnded(
                f"no response, closed with {connection.closed_with}, after {data[:SHOWN_BYTES]!r}"
            )
