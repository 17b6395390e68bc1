"""The upstream side of a stream: frame, judge, append, reconnect."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from sidecar.http1.headers import is_event_stream
from sidecar.http1.upstream.client import OutgoingRequest, Upstream
from sidecar.http1.upstream.response import UpstreamResponse
from sidecar.observability import errors, log_events
from sidecar.observability.labels import (
    DuplicateDisposition,
    DuplicateStage,
    LossReason,
    Outcome,
    ReconnectEnd,
    Side,
    UnprovenReason,
)
from sidecar.sse import backoff
from sidecar.sse.framing import Framer
from sidecar.sse.upstream_ids import UpstreamIds
from sidecar.streams.states import StreamInput, StreamState
from sidecar.streams.stream import Stream

RECONNECTS_MAX = 10
"""Attempts without a byte to come back to an upstream before it is given up: about 40 s."""

LOOK_AGAIN_S = 0.25
"""How often a backend that waits is looked after: nobody tells us when a client's kernel acknowledges."""

RECONNECT_STATUS_OVER = 204
"""An event source that answers so wants nobody to come back (WHATWG HTML section 9.2.3)."""


def _backoff_s(attempt: int) -> float:
    return backoff.delay_s(attempt, random.random())  # noqa: S311 - spreads load, guards nothing


class UpstreamReader:
    """Read one upstream body into a stream, and detect its silence."""

    __slots__ = (
        "_again",
        "_attempts",
        "_first_at",
        "_framer",
        "_lost_at",
        "_lost_to",
        "_response",
        "_stream",
        "_task",
        "_upstream",
        "_upstream_ids",
        "_wait_s",
        "wheel_slot",
    )

    def __init__(
        self,
        stream: Stream,
        upstream: Upstream,
        again: OutgoingRequest,
        wait_s: Callable[[int], float] = _backoff_s,
    ) -> None:
        """Read for ``stream``; ``again`` is the request of a reconnect.

        ``wait_s`` returns how many seconds to wait before attempt 0, 1, 2 ... to come back.
        """
        self._stream = stream
        self._upstream = upstream
        self._again = again
        self._wait_s = wait_s
        self._attempts = 0
        self._framer = Framer()
        self._upstream_ids: UpstreamIds | None = None
        self._response: UpstreamResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._lost_to: type[errors.SidecarError] = errors.UpstreamReset
        self._lost_at: float | None = None
        self._first_at: float | None = None
        self.wheel_slot: int | None = None
        stream.feed_from(reopen=self._reopen, close=self.close)

    def start(self, response: UpstreamResponse) -> None:
        """Read a body whose head is here."""
        self._opened(response)
        response.relay(self)

    def start_late(self, response: Awaitable[UpstreamResponse]) -> None:
        """Wait for the head, after an early start (``early_start_s``)."""
        self._task = asyncio.get_running_loop().create_task(self._open_late(response))

    def close(self) -> None:
        """Close the connection and stop reading."""
        self._stream.wheel.discard(self)
        if self._response is not None:
            self._response.close()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def _reopen(self) -> None:
        if self._lost_at is None:
            self._lost_at = self._stream.clock()
        self._task = asyncio.get_running_loop().create_task(self._come_back())

    def took(self, chunk: bytes) -> None:
        """Implements BodySink; a defect ends the stream with an error."""
        stream = self._stream
        try:
            self._take(chunk)
        except Exception as error:  # noqa: BLE001 - the top of what the socket calls: logged, counted and told
            log_events.task_failed(error, "intake")
            stream.advance(StreamInput.LOST, stream.verdict.broken(errors.InternalError))
            return
        if stream.pressure.high and not stream.make_room():
            if self._response is not None:
                self._response.pause()
            stream.pause(self._drained)
            stream.wheel.add(self, stream.clock() + LOOK_AGAIN_S)

    def broke(self, error: errors.UpstreamError) -> None:
        """Implements BodySink."""
        self._lost(type(error), error.detail)

    def visit(self, now: float) -> float | None:
        """Implements Visited: detect silence."""
        policy, stream = self._stream.policy, self._stream
        stream.pressure.drained()
        if stream.pressure.paused:
            return now + LOOK_AGAIN_S
        silent_s = now - stream.last_byte_at
        if policy.upstream_idle_s and silent_s >= policy.upstream_idle_s:
            self._idle()
            return None
        if policy.stall_s and stream.state is StreamState.STREAMING:
            if silent_s < policy.stall_s:
                return stream.last_byte_at + policy.stall_s
            stream.advance(StreamInput.SILENCE)
        if policy.upstream_idle_s:
            return stream.last_byte_at + policy.upstream_idle_s
        return now + policy.stall_s if policy.stall_s else None

    def _idle(self) -> None:
        if self._resumable:
            self._lost(errors.UpstreamIdle, "idle")
        else:
            self._stream.advance(StreamInput.IDLE, self._stream.verdict.broken(errors.UpstreamIdle))

    def _opened(self, response: UpstreamResponse) -> None:
        stream = self._stream
        self._response = response
        stream.verdict.observe_response([name for name, _ in response.fields])
        stream.heard(stream.clock())
        stream.advance(StreamInput.BYTES)
        limits = [limit for limit in (stream.policy.stall_s, stream.policy.upstream_idle_s) if limit]
        if limits:
            stream.wheel.add(self, stream.last_byte_at + min(limits))

    async def _open_late(self, opening: Awaitable[UpstreamResponse]) -> None:
        stream = self._stream
        try:
            response = await opening
        except errors.UpstreamError as error:
            stream.advance(StreamInput.LOST, stream.verdict.broken(type(error)))
            return
        self._opened(response)
        if is_event_stream(response.status, "GET", response.fields):
            response.relay(self)
        else:
            stream.note(f"the backend answered {response.status}")
            stream.advance(StreamInput.LOST, stream.verdict.broken(errors.UpstreamNotAStream))

    def _take(self, chunk: bytes) -> None:
        stream = self._stream
        now = stream.clock()
        if stream.state is not StreamState.STREAMING:
            self._back(now)
        silent_s = now - stream.last_byte_at
        stream.heard(now)
        framer = self._framer
        events = framer.feed(chunk)
        if events:
            verdict, named = stream.verdict, self._upstream_ids is not None
            for event in events:
                verdict.observe(event)
                named = named or event.find(b"\nid") >= 0 or event[:2] == b"id"
                if event.find(b"\nretry") >= 0 or event[:5] == b"retry":
                    stream.pace.set_by_upstream = True
            if named:
                events = self._continuous(events)
            if self._first_at is None:
                self._first_at = now
                stream.metrics.time_to_first_message_seconds.observe(now - stream.started_at)
            else:
                stream.metrics.message_gap_seconds.observe(silent_s)
            if events:
                stream.accept(events)
        if framer.overflowed:
            stream.pass_through(framer.take_spill())

    def _back(self, now: float) -> None:
        stream = self._stream
        if stream.state is StreamState.RECONNECTING and self._lost_at is not None:
            took_s = stream.last_byte_at - self._lost_at  # until the head: a quiet feed speaks when it likes
            stream.metrics.reconnect_duration_seconds[Side.UPSTREAM, ReconnectEnd.RESUMED].observe(
                took_s, stream.exemplar
            )
            self._lost_at = None
        self._attempts = 0
        stream.advance(StreamInput.BYTES)
        if stream.policy.stall_s:
            stream.wheel.add(self, now + stream.policy.stall_s)

    def _continuous(self, events: list[bytes]) -> list[bytes]:
        """Check the backend's ids; drop duplicates of a reconnect."""
        if self._upstream_ids is None:
            self._upstream_ids = UpstreamIds()
        upstream_ids, stream = self._upstream_ids, self._stream
        reused, fresh = upstream_ids.reused, []
        for event in events:
            if not upstream_ids.is_duplicate(event):
                fresh.append(event)
                if upstream_ids.resuming:
                    self._count_missing(upstream_ids.missing_before(event))
            elif stream.policy.upstream_resume:
                stream.metrics.messages_duplicated[
                    DuplicateStage.UPSTREAM, DuplicateDisposition.SUPPRESSED
                ] += 1
                stream.metrics.messages_received += 1
            else:
                stream.metrics.messages_duplicated[
                    DuplicateStage.UPSTREAM, DuplicateDisposition.DELIVERED
                ] += 1
                fresh.append(event)
        if upstream_ids.reused and not reused:
            stream.metrics.continuity_unproven[UnprovenReason.REUSED_UPSTREAM_ID].inc()
        return fresh

    def _count_missing(self, missing: int | None) -> None:
        metrics = self._stream.metrics
        if missing is None:
            metrics.continuity_unproven[UnprovenReason.OPAQUE_UPSTREAM_ID].inc()
        elif missing:
            metrics.messages_lost[LossReason.UPSTREAM_GAP].inc(missing)
            self._stream.note(f"the backend skipped {missing} events")

    def _drained(self) -> None:
        """Continue to read if there is room."""
        stream = self._stream
        if stream.make_room():
            stream.resume()
            if self._response is not None:
                self._response.resume()

    def ended(self) -> None:
        """Implements BodySink."""
        stream, framer = self._stream, self._framer
        rest = framer.end()
        for event in framer.tail_events():
            stream.verdict.observe(event)
        stream.verdict.observe_rest(rest)
        ending = stream.verdict.ending(events=stream.ledger.received + framer.overflowed)
        feed_is_endless = stream.policy.kind == "live" and ending.outcome is Outcome.COMPLETED
        if self._resumable and (feed_is_endless or ending.error is errors.UpstreamTruncated):
            self._lost(errors.UpstreamTruncated, "clean end")
            return
        stream.finish(ending, rest if ending.error is None else b"")

    def _lost(self, error: type[errors.SidecarError], detail: str) -> None:
        stream = self._stream
        stream.note(f"upstream lost: {detail}")
        self._lost_to = error
        if stream.verdict.complete or not self._resumable:
            stream.advance(StreamInput.LOST, stream.verdict.broken(error))
        else:
            stream.advance(StreamInput.LOST_RESUMABLE)

    async def _come_back(self) -> None:
        """Request the upstream again until it streams, or give up."""
        stream = self._stream
        while self._attempts < RECONNECTS_MAX:
            await asyncio.sleep(self._wait_s(self._attempts))
            self._attempts += 1
            response = await self._ask_again()
            if response is None:
                continue
            if response.status == RECONNECT_STATUS_OVER:
                response.close()
                stream.advance(StreamInput.END, stream.verdict.ending(events=stream.ledger.received))
                return
            self._framer = Framer()
            self._response = response
            stream.heard(stream.clock())
            if self._upstream_ids is not None:
                self._upstream_ids.resumed()
            if stream.policy.upstream_idle_s:
                stream.wheel.add(self, stream.clock() + stream.policy.upstream_idle_s)
            response.relay(self)
            return
        if self._lost_at is not None:
            gave_up = stream.metrics.reconnect_duration_seconds[Side.UPSTREAM, ReconnectEnd.GAVE_UP]
            gave_up.observe(stream.clock() - self._lost_at, stream.exemplar)
        stream.advance(StreamInput.LOST, stream.verdict.broken(self._lost_to))

    @property
    def _resumable(self) -> bool:
        """Return whether a reconnect can continue: route and id allow it."""
        stream = self._stream
        if not stream.policy.upstream_resume or stream.raw is not None:
            return False
        return stream.policy.kind == "live" or (
            self._upstream_ids is not None and not self._upstream_ids.reused
        )

    async def _ask_again(self) -> UpstreamResponse | None:
        last_id = self._upstream_ids.last_id if self._upstream_ids is not None else None
        fields = [field for field in self._again.fields if field[0] != b"last-event-id"]
        if last_id is not None:
            fields.append((b"last-event-id", last_id))
        self._again.fields = fields
        try:
            response = await self._upstream.request(self._again)
        except errors.UpstreamError as error:
            self._stream.note(f"upstream not back yet: {error.code}")
            return None
        if response.status == RECONNECT_STATUS_OVER or is_event_stream(
            response.status, "GET", response.fields
        ):
            return response
        self._stream.note(f"upstream not back yet: status {response.status}")
        response.close()
        return None
