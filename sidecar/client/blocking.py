"""The client for programs without asyncio.

A thread of its own runs the event loop. Nothing is read ahead but the one chunk whose messages are handed
out, so the server waits for a slow program as it does for any other slow reader.
"""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from sidecar.client import event_source
from sidecar.client.event_parser import Event
from sidecar.client.state import Gap, State

T = TypeVar("T")

OUTSIDE = "use it in `with`"
JOIN_S = 10.0
"""Longest wait for the thread when the block is left; it is a daemon, which keeps no program alive."""


class BlockingEventSource:
    """One stream without asyncio.

    It has the options, states and guarantees of :class:`sidecar.client.EventSource`.

    Callbacks and a function for headers are called in the client's thread. ``close``, ``cancel`` and
    ``retry_now`` may be called from any thread.
    """

    def __init__(self, url: str, **options: Any) -> None:  # noqa: ANN401 - each is checked by the client for asyncio
        self._source = event_source.EventSource(url, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start the thread; the iteration makes the first connection."""
        self._loop = loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="sse-client", daemon=True)
        self._thread.start()
        self._run(self._source.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream and end the thread, also after KeyboardInterrupt."""
        try:
            self._run(self._source.__aexit__(kind, error, trace))
        finally:
            self._run(self._cancel_all())
            self._end(self._running, self._thread)

    def _end(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread | None) -> None:
        self._loop = None
        loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join(JOIN_S)
        if not loop.is_running():
            loop.close()

    def __iter__(self) -> Self:
        """Iterate over the messages."""
        return self

    def __next__(self) -> Event:
        """Return the next message; raise StreamFailed if the stream failed."""
        if self._loop is None:
            raise RuntimeError(OUTSIDE)
        while (event := self._source._taken()) is None:  # noqa: SLF001 - one client in two forms
            if not self._run(self._source._more()):  # noqa: SLF001
                raise StopIteration
        return event

    @property
    def url(self) -> str:
        """The URL, without a fragment."""
        return self._source.url

    @property
    def state(self) -> State:
        """What the stream is doing now."""
        return self._source.state

    @property
    def reason(self) -> str:
        """A sentence that a user can be shown: why the state is what it is."""
        return self._source.reason

    @property
    def detail(self) -> str:
        """What an engineer wants to know beside the reason; may be ""."""
        return self._source.detail

    @property
    def code(self) -> str:
        """The error code of a failed stream; otherwise ""."""
        return self._source.code

    @property
    def stream(self) -> str:
        """Id of the stream at the sidecar, for ``join``; may be ""."""
        return self._source.stream

    @property
    def last_event_id(self) -> str:
        """The last event id of the messages that were handed out."""
        return self._source.last_event_id

    @property
    def position(self) -> str:
        """Where to go on behind the last message that was handed out."""
        return self._source.position

    @property
    def received(self) -> int:
        """Messages handed out."""
        return self._source.received

    @property
    def duplicates(self) -> int:
        """Messages that came again and were dropped."""
        return self._source.duplicates

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What will not come; the latest hundred."""
        return self._source.gaps

    @property
    def attempt(self) -> int:
        """Number of this reconnect, from 1; 0 after a message."""
        return self._source.attempt

    @property
    def retry_at(self) -> float | None:
        """Return when the next connection starts (``time.monotonic()``), or None."""
        return self._source.retry_at

    @property
    def idle_s(self) -> int:
        """Return whole seconds since the backend's last byte.

        The value is that of the last heartbeat, and 0 after a message.
        """
        return self._source.idle_s

    def retry_now(self) -> None:
        """Do not wait for ``retry_at``."""
        self._running.call_soon_threadsafe(self._source.retry_now)

    def close(self) -> None:
        """Leave: the generation goes on as the server decides."""
        self._running.call_soon_threadsafe(self._source.close)

    def cancel(self) -> bool:
        """Stop the generation; True: the server has confirmed."""
        return self._run(self._source.cancel())

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        """Run a step in the thread; an interrupted wait cancels the step."""
        if threading.current_thread() is self._thread:
            step.close()
            raise RuntimeError("a callback cannot wait for the thread that calls it")
        try:
            future = asyncio.run_coroutine_threadsafe(step, self._running)
        except RuntimeError:
            step.close()
            raise
        try:
            return future.result()
        finally:
            future.cancel()

    @property
    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError(OUTSIDE)
        return self._loop

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


EventSource = BlockingEventSource
"""The former name of :class:`BlockingEventSource`, kept for one release."""
