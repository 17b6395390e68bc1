"""One stream's bytes: connections, parser and messages in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from sidecar.client.answer import CODE_PREFIX, Meaning, meaning
from sidecar.client.connection import Lost, StreamResponse, Transport
from sidecar.client.course import ConnectionLoss, StreamCourse
from sidecar.client.event_parser import Event, EventTooLarge
from sidecar.client.progress import LostOnTheWay, Progress
from sidecar.client.reading import BodyReader, Listeners
from sidecar.client.request import ACCEPT_TOLD, Request, StreamRequest

ENDING_S = 2.0
"""Longest wait for the connection's end once the sidecar has said its last word."""

FIRST_ANSWER_S = 150.0
"""Longest wait for the first head; the sidecar itself gives its backend less by default, and then says so."""

LATE_S = 1.0
"""A program that was busy for long gets so long to find what came meanwhile before silence counts."""

LOST_STREAM = frozenset({404, 410})

OnEnd = Literal["reconnect", "complete"]


class Flow:
    """Read one stream step by step.

    ``ready`` holds the messages of one chunk with their seqs.
    """

    def __init__(  # noqa: PLR0913 - what a flow is made of, each with a name
        self,
        question: StreamRequest,
        progress: Progress,
        course: StreamCourse,
        transport: Transport,
        listeners: Listeners,
        *,
        headers: Callable[[], Awaitable[Mapping[str, str]]],
        renews: bool,
        stall_s: float,
        on_end: OnEnd,
        jitter: Callable[[], float],
    ) -> None:
        self.question = question
        self.progress = progress
        self.course = course
        self.ready: deque[tuple[Event, int]] = deque()
        self.cancelling = False
        self._transport = transport
        self._listeners = listeners
        self._headers = headers
        self._renews = renews
        self._stall_s = stall_s
        self._on_end = on_end
        self._jitter = jitter
        self.reading: BodyReader | None = None
        """The body that is read, or was last."""
        self._clock = asyncio.get_running_loop().time
        self._wake = asyncio.Event()
        self._asking: asyncio.Task[StreamResponse] | None = None
        self._answer: StreamResponse | None = None
        self._request: Request | None = None
        self._renewed = False
        self._met_sidecar = False
        self._fault: ConnectionLoss | None = None
        """An error that the stream has told, whatever came after it."""

    async def pull(self) -> None:
        """Take the next step: wait, connect or read a chunk.

        A cancelled step may be called again.
        """
        if self.course.over:
            return
        if self._answer is not None and self.reading is not None:
            await self._read(self._answer, self.reading)
        else:
            await self._connect()

    def wake(self) -> None:
        """End the wait for the next attempt."""
        self._wake.set()

    def close(self) -> None:
        """Let go of the connection; a pull that waits returns."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        if self._asking is not None:
            self._asking.cancel()
        self.wake()

    async def _connect(self) -> None:
        await self._wait()
        if self.course.over:
            return
        headers = await self._asked()
        if headers is None or self.course.over:
            return
        request = self._request = self.question.next(self.progress, headers)
        if self.course.connects():
            self._listeners.state()
        # A stream that is kept is answered at once; a model that is asked first may think.
        within_s = self._stall_s if self.progress.stream else max(self._stall_s, FIRST_ANSWER_S)
        self._asking = asyncio.ensure_future(self._transport.send(request, within_s))
        try:
            answer = await self._asking
        except Lost as lost:
            self._lost(lost.loss)
        except asyncio.CancelledError:
            self._given_up(self._asking)
        else:
            self._judge(answer, request)
        finally:
            self._asking = None

    async def _asked(self) -> Mapping[str, str] | None:
        """Return the program's header fields, or None if its function failed.

        Such a failure counts as a lost network.
        """
        try:
            return await self._headers()
        except Exception as error:  # noqa: BLE001 - told as the detail, and bounded like any other attempt
            self._lost(
                ConnectionLoss(
                    "The login could not be renewed.", f"{type(error).__name__}: {error}", unsent=True
                )
            )
            return None

    async def _wait(self) -> None:
        retry_at = self.course.retry_at
        if retry_at is None:
            return
        try:
            async with asyncio.timeout_at(retry_at):
                await self._wake.wait()
        except TimeoutError:
            return

    def _given_up(self, asking: asyncio.Task[StreamResponse]) -> None:
        """Handle a cancelled request; raise if the step itself was cancelled."""
        if asking.done() and not asking.cancelled() and asking.exception() is None:
            asking.result().close()
        if not self.course.over:
            self._lost(ConnectionLoss("The connection was given up before an answer came."))
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError

    def _judge(self, answer: StreamResponse, request: Request) -> None:
        head = answer.head
        self._met_sidecar |= head.code.startswith(CODE_PREFIX)
        idempotent = "idempotency-key" in request.headers
        means = meaning(
            head,
            repeats=request.repeats or self._on_end == "reconnect",
            idempotent=idempotent,
            renews=self._renews and not self._renewed,
        )
        if means is Meaning.READ:
            self._begin(answer)
            return
        answer.close()
        if means is Meaning.COMPLETED:
            self._nothing_more()
        elif means is Meaning.RENEW:
            self._renewed = True
        elif means is Meaning.AGAIN:
            detail = f"{head.detail}: {head.code}" if head.code else head.detail
            self._lost(ConnectionLoss(head.reason, detail, head.code, answer.retry_after_s, unsent=True))
        elif self._began_nothing(head.status):
            self.progress.forget()
            self._lost(ConnectionLoss(head.reason, head.detail, head.code))
        else:
            self._fail(ConnectionLoss(head.reason, head.detail, head.code))

    def _began_nothing(self, status: int) -> bool:
        """Return whether a stream without a received message has expired.

        The URL can be requested again.
        """
        question, progress = self.question, self.progress
        fresh = bool(progress.stream) and not progress.last_seq and not question.join
        return fresh and question.method == "GET" and status in LOST_STREAM

    def _nothing_more(self) -> None:
        """Judge 204: the stream is complete, unless an error came before."""
        self._heard(None)
        if self._fault is not None and self.progress.stream:
            self._fail(self._fault)
        else:
            self._over(self.course.completed)

    def _begin(self, answer: StreamResponse) -> None:
        self._renewed = False
        self._answer = answer
        self.reading = BodyReader(answer.head, self.progress, self.course, self._listeners, self.ready)
        self._heard_at = self._clock()
        self.course.opened()
        self._listeners.state()

    async def _read(self, answer: StreamResponse, reading: BodyReader) -> None:
        now = self._clock()
        silent_at = max(self._heard_at + self._stall_s, now + min(LATE_S, self._stall_s))
        if reading.ended:
            silent_at = now + ENDING_S
        try:
            async with asyncio.timeout_at(silent_at):
                chunk = await answer.chunk()
        except TimeoutError:
            self._lost(ConnectionLoss(f"Nothing has arrived for {self._stall_s:g} seconds.", stalled=True))
        except Lost as lost:
            if not self.course.over:
                self._lost(lost.loss)
        else:
            if self.course.over:
                return
            if chunk:
                self._take(chunk, reading)
            else:
                self._end(reading)

    def _take(self, chunk: bytes, reading: BodyReader) -> None:
        self._heard_at = self._clock()
        self._heard(reading.replayed)
        try:
            reading.take(chunk, self._heard_at)
        except EventTooLarge as error:
            self._fail(ConnectionLoss("The server sent an event that is too large.", str(error)))
        except LostOnTheWay:
            self._lost(ConnectionLoss("Messages were lost on the way."))

    def _heard(self, replayed: int | None) -> None:
        recovery = self.course.heard(self._clock(), replayed)
        if recovery is not None:
            self._listeners.recovered(recovery)

    def _end(self, reading: BodyReader) -> None:
        """Judge a clean end; a sidecar's ``sse-end`` shows that it is complete."""
        asked = self._request is not None and self._request.headers.get("accept") == ACCEPT_TOLD
        says = reading.short or (self.progress.by_sidecar and asked)
        if self._on_end == "complete" and not says:
            reading.ended = True
        early = "The connection ended before the end of the answer."
        self._lost(ConnectionLoss(early if says else "The server ended the connection."))

    def _lost(self, loss: ConnectionLoss) -> None:
        """Go on after a connection, unless the stream is over with it."""
        read = self.reading if self._answer is not None else None
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        if read is not None:
            self._fault = read.fault or self._fault
        if read is not None and read.failure is not None:
            self._fail(read.failure)
        elif read is not None and read.ended:
            self._over(self.course.completed)
        elif self.cancelling:
            self.stopped()
        elif advice := self._advice(loss):
            self._fail(ConnectionLoss(f"{loss.reason} {advice}", loss.detail, loss.code))
        else:
            self.course.lost(loss, self._clock(), self._jitter())
            self._wake.clear()
            self._listeners.state()

    def _advice(self, loss: ConnectionLoss) -> str:
        """Return why a reconnect would be a second request, or ""."""
        request, question = self._request, self.question
        named = bool(question.join or (question.control and self.progress.stream))
        if question.method == "GET" or named or loss.unsent or request is None or self._on_end == "reconnect":
            return ""
        if self._met_sidecar and "idempotency-key" in request.headers and not self.progress.counted:
            return ""
        return "What was sent may have been carried out, so it is not sent again."

    def stopped(self) -> None:
        """The program has cancelled."""
        self._over(lambda: self.course.closed("You stopped this."))

    def _fail(self, loss: ConnectionLoss) -> None:
        if self.cancelling:
            self.stopped()
        else:
            self._over(lambda: self.course.failed(loss.reason, loss.code, loss.detail))

    def _over(self, settle: Callable[[], None]) -> None:
        if not self.course.over:
            settle()
            self.close()
            self._listeners.state()
