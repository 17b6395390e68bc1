"""A check of all streams: a missed timer must not hang a stream."""

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from sidecar.observability import log, log_events
from sidecar.observability.labels import SilentDisposition, SilentKind
from sidecar.observability.metrics import Metrics
from sidecar.streams.hub import Hub
from sidecar.streams.states import StreamState

PASS_S = 1.0
READING = frozenset({StreamState.STREAMING, StreamState.STALLED})
"""States of a stream whose upstream is connected."""

OVERDUE_S = 10.0
"""A stream may be so much later than its idle limit before the watchdog calls it hung."""


class Watchdog:
    """Check each stream's limits and the event loop's lag every PASS_S."""

    def __init__(self, metrics: Metrics, hub: Hub) -> None:
        self._metrics = metrics
        self._hub = hub
        self._hung: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._pass(asyncio.get_running_loop().time())
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + PASS_S
            await asyncio.sleep(PASS_S)
            self._metrics.event_loop_lag_seconds.observe(max(0.0, loop.time() - due))
            self._pass(loop.time())
            log.report_floods()

    def _pass(self, now: float) -> None:
        """Check every stream and set the timestamp.

        A failed check leaves the timestamp, so that an alert fires.
        """
        try:
            self._hung = self._look(now, self._hung)
        except Exception as error:  # noqa: BLE001 - the top of the task: logged, and the next pass looks again
            log_events.task_failed(error, "watchdog")
            return
        self._metrics.watchdog_last_pass_timestamp_seconds.set(time.time())

    def _look(self, now: float, known: set[str]) -> set[str]:
        """Count each stream whose idle limit passed unnoticed.

        Return the handles of such streams.
        """
        hung = set()
        for stream in self._hub.streams.values():
            limit_s = stream.policy.upstream_idle_s
            silent_s = now - stream.last_byte_at
            reading = not stream.pressure.paused and stream.state in (
                StreamState.STREAMING,
                StreamState.STALLED,
            )
            if limit_s and reading and silent_s > limit_s + OVERDUE_S:
                hung.add(stream.handle)
        for handle in hung - known:
            stream = self._hub.streams[handle]
            stream.note("hung: its idle limit passed unnoticed")
            stream.metrics.silent_failures[SilentKind.HUNG, SilentDisposition.LEAKED].inc()
        return hung
