"""A paced response with a fault on request."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from itertools import chain

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sidecar.demo import connection
from sidecar.demo.answers import DemoAnswer
from sidecar.demo.faults import HUGE_BYTES, INTERRUPTIONS, AnswerScript, DemoFault, LineForm
from sidecar.demo.ledger import DemoGeneration, GenerationLog
from sidecar.demo.words import tokens

Blocks = AsyncGenerator[bytes, None]

ENDLESS = 2**62


async def events_of(answer: DemoAnswer, course: AnswerScript) -> Blocks:
    """Yield the events of an answer, an interval before each token."""
    opening = list(answer.opening())
    for block in opening:
        yield block
    for position, text in enumerate(tokens(course.seed, course.n or 0), start=len(opening)):
        await asyncio.sleep(course.interval_s)
        yield answer.write(_spoilt(text, position, len(opening), course))
    for block in chain(answer.finished(), () if course.fault is DemoFault.NO_TERMINAL else answer.terminal()):
        yield block


def _spoilt(text: str, position: int, first: int, course: AnswerScript) -> str:
    huge = course.fault is DemoFault.HUGE and position == max(course.at, first)
    return "x" * HUGE_BYTES if huge else text


async def halves_of(body: bytes, course: AnswerScript) -> Blocks:
    """Yield a plain body in two pieces, so that it can break between them.

    An interval precedes each piece.
    """
    middle = len(body) // 2
    for piece in (body[:middle], body[middle:]):
        await asyncio.sleep(course.interval_s)
        yield piece


class PacedResponse(Response):
    """Send blocks and record the generation under its ``X-Request-Id``.

    An instance answers one request. ``error`` makes the event of the fault ``error`` at the moment it is due.
    """

    def __init__(
        self,
        blocks: Blocks,
        course: AnswerScript,
        ledger: GenerationLog,
        *,
        headers: dict[str, str],
        error: Callable[[], bytes] = bytes,
    ) -> None:
        self.status_code = 200
        self.background = None
        self._id = f"req_{secrets.token_hex(8)}"
        self.init_headers({**headers, "X-Request-Id": self._id})
        self._blocks = blocks
        self._course = course
        self._ledger = ledger
        self._error = error
        self._form = LineForm(course.fault)
        self._gone = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the blocks until they end or the client leaves."""
        self._send = send
        self._transport = connection.transport_of(scope)
        self._record = self._note(scope)
        playing = asyncio.create_task(self._play(with_body=scope["method"] != "HEAD"))
        leaving = asyncio.create_task(self._wait_until_gone(receive))
        try:
            await asyncio.wait((playing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._close(playing, leaving)
        if not playing.cancelled():
            playing.result()

    def _note(self, scope: Scope) -> DemoGeneration:
        transport = self._transport
        generation = DemoGeneration(
            id=self._id,
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            last_event_id=_last_event_id(scope),
            reset=None if transport is None else lambda: connection.reset(transport),
        )
        self._ledger.open(generation)
        return generation

    async def _wait_until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone.set()

    async def _close(self, *tasks: asyncio.Task[None]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._record.ending == "live":
            self._record.ending = "client_left"
        self._ledger.close(self._record)

    async def _play(self, *, with_body: bool) -> None:
        async with aclosing(self._blocks) as blocks:
            await self._send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if with_body and self._course.fault is not DemoFault.EMPTY:
                await self._play_blocks(blocks)
        await self._put(self._form.finish())
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        if self._record.ending == "live" and not self._gone.is_set():
            self._record.ending = "completed"

    async def _play_blocks(self, blocks: Blocks) -> None:
        interrupted = self._course.fault in INTERRUPTIONS
        await self._forward(blocks, self._course.at if interrupted else ENDLESS)
        if interrupted:
            await asyncio.sleep(self._course.interval_s)
            await self._interrupt(blocks)
        if self._course.fault is DemoFault.STALL:
            await self._forward(blocks, ENDLESS)

    async def _forward(self, blocks: Blocks, most: int) -> None:
        for _ in range(most):
            block = await anext(blocks, None)
            if block is None or self._gone.is_set():
                return
            if self._course.fault is DemoFault.REPEAT and self._record.events_sent == self._course.at:
                block = b"id: %b\n%b" % (self._id.encode(), block)
                await self._put_event(block)
            await self._put_event(block)

    async def _put_event(self, block: bytes) -> None:
        await self._put(self._form.encode(block))
        self._record.events_sent += 1

    async def _put(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self._record.bytes_sent += len(piece)

    async def _interrupt(self, blocks: Blocks) -> None:
        match self._course.fault:
            case DemoFault.STALL:
                await self._stall()
            case DemoFault.ERROR:
                await self._put_event(self._error())
                self._record.ending = DemoFault.ERROR
            case DemoFault.TRUNCATE:
                block = await anext(blocks, b": the end of the answer\n\n")
                await self._put(block[: len(block) // 2])
                await self._break(connection.close)
            case DemoFault.RESET:
                await self._break(connection.reset)

    async def _stall(self) -> None:
        try:
            async with asyncio.timeout(self._course.stall_s):
                await self._gone.wait()
        except TimeoutError:
            return

    async def _break(self, end: Callable[[asyncio.Transport], None]) -> None:
        if self._transport is None:
            raise RuntimeError(f"the fault {self._course.fault} needs the demo's own server")
        connection.hold_writes(self._transport)
        await self._put(b"")
        self._record.ending = str(self._course.fault)
        end(self._transport)
        await self._gone.wait()


def _last_event_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"last-event-id":
            return bytes(value).decode("utf-8", "replace")
    return None
