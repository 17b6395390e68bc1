"""The client for asyncio."""

import asyncio
import random
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp

from sidecar.client.connection import HttpTransport, Transport
from sidecar.client.course import StreamCourse
from sidecar.client.event_parser import Event
from sidecar.client.flow import Flow, OnEnd
from sidecar.client.options import (
    ATTEMPTS_DEFAULT,
    CONTROL_DEFAULT,
    STALL_S_DEFAULT,
    HeaderSource,
    asked,
    check,
    ignore,
    position_in,
)
from sidecar.client.progress import Progress
from sidecar.client.reading import Listeners
from sidecar.client.report import At, report
from sidecar.client.request import StreamRequest, without_body
from sidecar.client.state import Gap, Recovery, State, StreamFailed

CANCEL_S = 2.0
"""How long a stream that was stopped is read on, so that everything delivered is confirmed."""

SETTLE_S = 2.0
"""How long leaving the block waits for reports that are under way."""


class EventSource:
    """One stream over several connections; each message arrives once.

    Its clock is the event loop's. It reads only as fast as the program iterates, and nothing before that.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each option
        self,
        url: str,
        *,
        method: str = "GET",
        headers: HeaderSource | None = None,
        body: bytes | str = b"",
        join: str = "",
        position: str = "",
        stall_s: float = STALL_S_DEFAULT,
        attempts_max: int = ATTEMPTS_DEFAULT,
        on_end: OnEnd | None = None,
        control: str = CONTROL_DEFAULT,
        reports: bool = True,
        redirects: bool = False,
        session: aiohttp.ClientSession | None = None,
        transport: Transport | None = None,
        on_state: Callable[[State, str], None] | None = None,
        on_gap: Callable[[Gap], None] | None = None,
        on_heartbeat: Callable[[int], None] | None = None,
        on_recovered: Callable[[Recovery], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Check the options, which ``docs/client-python.md`` describes.

        Raises ValueError.
        """
        check(url, stall_s, attempts_max)
        if transport is not None and (session is not None or redirects):
            raise ValueError("`session` and `redirects` are options of the default transport")
        content = body.encode() if isinstance(body, str) else body
        self.url = url.partition("#")[0]
        key, control = str(uuid.uuid4()), control.rstrip("/")
        self._question = StreamRequest(self.url, method.upper(), content, join, control, key)
        self._headers = headers
        self._progress = Progress(join, position or position_in(headers))
        self._handed_id = self._progress.last_event_id
        self._handed_seq = self._progress.last_seq
        self._handed = 0
        self._course = StreamCourse(attempts_max)
        self._stall_s = stall_s
        self._on_end: OnEnd = on_end or ("reconnect" if self._question.method == "GET" else "complete")
        self._reports = reports and bool(control)
        self._redirects = redirects
        self._session = session
        self._given_transport = transport
        self._on_state, self._on_gap = on_state or ignore, on_gap or ignore
        self._on_heartbeat, self._on_recovered = on_heartbeat or ignore, on_recovered or ignore
        self._jitter = jitter
        self._posts: set[asyncio.Task[bool]] = set()
        self._pulling = asyncio.Lock()
        self._reported_end = False
        self._flow: Flow | None = None

    async def __aenter__(self) -> Self:
        """Prepare; the iteration makes the first connection."""
        listeners = Listeners(self._tell_state, self._on_gap, self._on_heartbeat, self._tell_recovered)
        self._transport = self._given_transport or HttpTransport(self._session, redirects=self._redirects)
        self._flow = Flow(
            self._question,
            self._progress,
            self._course,
            self._transport,
            listeners,
            headers=lambda: asked(self._headers),
            renews=callable(self._headers),
            stall_s=self._stall_s,
            on_end=self._on_end,
            jitter=self._jitter,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream and send the report, within SETTLE_S."""
        try:
            self.close()
        finally:  # a callback may raise
            self._report_end()
            await self._settle()

    async def _settle(self) -> None:
        try:
            if self._posts:
                await asyncio.wait(self._posts, timeout=SETTLE_S)
        finally:
            for post in self._posts:
                post.cancel()
            await self._transport.close()

    def __aiter__(self) -> Self:
        """Iterate over the messages."""
        return self

    async def __anext__(self) -> Event:
        """Return the next message; raise StreamFailed if the stream failed."""
        while (event := self._taken()) is None:
            if not await self._more():
                raise StopAsyncIteration
        return event

    async def _more(self) -> bool:
        """Wait for a message; return whether there is one.

        Raises StreamFailed.
        """
        flow = self._running
        while not flow.ready:
            if self._course.over:
                self._report_end()
                if self.state is State.FAILED:
                    raise StreamFailed(self.reason, self.code)
                return False
            async with self._pulling:
                if not flow.ready:
                    await flow.pull()
        return True

    def _taken(self) -> Event | None:
        """Hand out the next message that is ready."""
        ready = self._running.ready
        if not ready:
            return None
        event, self._handed_seq = ready.popleft()
        self._handed += 1
        self._handed_id = event.id
        return event

    @property
    def state(self) -> State:
        """What the stream is doing now."""
        return self._course.state

    @property
    def reason(self) -> str:
        """A sentence that a user can be shown: why the state is what it is."""
        return self._course.reason

    @property
    def code(self) -> str:
        """Return the error code of a failed stream, or "".

        For example ``err-sidecar-upstream-truncated``.
        """
        return self._course.code

    @property
    def detail(self) -> str:
        """Return a detail for an engineer, such as ``Connection refused``.

        It may be "".
        """
        return self._course.detail

    @property
    def stream(self) -> str:
        """Return the stream's id at the sidecar, for ``join``.

        It is "" before the first response and without a sidecar.
        """
        return self._progress.stream

    @property
    def last_event_id(self) -> str:
        """The last event id of the messages that were handed out."""
        return self._handed_id

    @property
    def position(self) -> str:
        """Return the position after the last delivered message.

        It works for events without ids too.
        """
        known = Progress(self.stream, self._handed_id)
        known.last_seq = self._handed_seq
        return known.position

    @property
    def received(self) -> int:
        """Messages handed out."""
        return self._handed

    @property
    def duplicates(self) -> int:
        """Messages that came again and were dropped."""
        return self._progress.duplicates

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What will not come; the latest hundred."""
        return tuple(self._progress.gaps)

    @property
    def attempt(self) -> int:
        """Number of this reconnect, from 1; 0 after a message."""
        return self._course.attempt

    @property
    def retry_at(self) -> float | None:
        """Return when the next connection starts (``time.monotonic()``), or None."""
        return self._course.retry_at

    @property
    def idle_s(self) -> int:
        """Return whole seconds since the backend's last byte.

        The value is that of the last heartbeat, and 0 after a message.
        """
        reading = self._flow.reading if self._flow is not None else None
        return reading.idle_s if reading is not None else 0

    def retry_now(self) -> None:
        """Do not wait for ``retry_at``."""
        self._running.wake()

    def close(self) -> None:
        """Leave the stream; received messages are still delivered.

        The server decides whether the generation continues.
        """
        if not self._course.over:
            self._course.closed()
            self._running.close()
            self._tell_state()

    async def cancel(self) -> bool:
        """Stop the generation; return whether the server confirmed.

        Messages received before are still delivered.
        """
        flow = self._running
        if self._course.over:
            return False
        if not (self._question.control and self.stream):
            self.close()
            return False
        flow.cancelling = True
        url = self._question.control_url(f"streams/{self.stream}/cancel")
        stopped = await self._transport.post(url, without_body(await asked(self._headers)))
        if stopped:
            await self._read_on(flow)
            flow.stopped()
        else:
            self.close()
        return stopped and self.state is State.CLOSED

    async def _read_on(self, flow: Flow) -> None:
        try:
            async with asyncio.timeout(CANCEL_S):
                while not self._course.over:
                    async with self._pulling:
                        await flow.pull()
        except TimeoutError:
            return

    @property
    def _running(self) -> Flow:
        if self._flow is None:
            raise RuntimeError("use it in `async with`")
        return self._flow

    def _tell_state(self) -> None:
        self._on_state(self.state, self.reason)

    def _tell_recovered(self, recovery: Recovery) -> None:
        self._on_recovered(recovery)
        self._report("recovery")

    def _report_end(self) -> None:
        if not self._reported_end:
            self._reported_end = True
            self._report("end")

    def _report(self, at: At) -> None:
        if not (self._reports and self._progress.by_sidecar):
            return
        said = report(self._progress, self._course, at, unread=len(self._running.ready))
        url = self._question.control_url("reports")
        post = asyncio.ensure_future(self._transport.post(url, {"content-type": "application/json"}, said))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
