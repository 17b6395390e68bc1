"""One client connection that reads a stream."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sidecar.http1.connection import Connection
from sidecar.sse import control_events
from sidecar.sse.framing import without_ids
from sidecar.streams.acknowledgements import Acknowledgements
from sidecar.streams.replay_log import READ_EVENTS_MAX
from sidecar.streams.stream import Stream

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RETRY_MS_DRAIN = 1000
ABORT_AFTER_S = 0.1
"""From a failure's terminal to the abort: Chromium's fetch drops what it has read but not handed over.

Measured there: with none a page misses the terminal in two of three replays; one that was just loaded, on a
machine with more to do than processors, misses it one time in thirty with 5 ms, once in hundreds with 50.
"""


class Subscriber:
    """Send ``stream`` after ``position`` to one connection.

    Nothing else writes to that connection.
    """

    __slots__ = (
        "_acknowledgements",
        "_beat_due",
        "_blocked_since",
        "_connection",
        "_control",
        "_drained",
        "_id_prefix",
        "_lead",
        "_retry_ms",
        "_returning",
        "_send",
        "_stamped",
        "_stream",
        "_waiter",
        "_wrote_at",
        "position",
        "raw_offset",
        "wheel_slot",
    )

    def __init__(  # noqa: PLR0913 - what a connection is read with, each with a name
        self,
        stream: Stream,
        connection: Connection,
        send: Send,
        *,
        stamped: bool,
        position: int = 0,
        control: bool = False,
        returning: bool = False,
        retry_ms: int = 0,
        lead: bytes = b"",
    ) -> None:
        """Read after ``position``.

        ``control`` requests ``sse-end``. ``returning`` marks a resume. The next event carries ``retry_ms``,
        unless it is 0. ``lead`` is written first.
        """
        self._stream = stream
        self._connection = connection
        self._send = send
        self._stamped = stamped
        self._control = control
        self._returning = returning
        self._retry_ms = retry_ms
        self._lead = lead
        self._acknowledgements = Acknowledgements(stream, connection)
        self._id_prefix = b"id: " + stream.id.encode() + b"."
        self._waiter: asyncio.Future[None] | None = None
        self._beat_due = returning and bool(stream.policy.heartbeat_s)  # if there is nothing to replay
        self._drained = False
        self._blocked_since: float | None = None
        self._wrote_at = stream.clock()
        self.position = position
        self.raw_offset = 0
        self.wheel_slot: int | None = None

    async def run(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Answer 200 with ``fields`` and send events to the end."""
        stream, connection = self._stream, self._connection
        done = False
        connection.on_lost = self._gone
        stream.join(self)
        try:
            stream.wheel.add(self, self._next_visit(self._wrote_at))
            await self._send({"type": "http.response.start", "status": 200, "headers": fields})
            if self._lead:
                await self._write(self._lead)
            await self._relay()
            if not connection.lost:
                done = await self._finish()
        finally:
            connection.on_lost = None
            stream.wheel.discard(self)
            self._leave(done=done)
        if done:
            self._acknowledgements.follow(self.position)

    def _gone(self) -> None:
        """Leave when the connection is lost.

        A client that resumes immediately finds this reader gone.
        """
        self._acknowledgements.lost(self.position)
        self._leave(done=False)
        self.wake()

    def _leave(self, *, done: bool) -> None:
        if self in self._stream.readers:
            self._stream.leave(self, cleanly=self._connection.lost_cleanly or self._drained, done=done)

    @property
    def proven(self) -> int:
        """Implements Reader."""
        return self._acknowledgements.proven(self.position)

    def appended(self, events: list[bytes], after: int) -> None:
        """Implements Reader: write immediately if possible, else wake the task.

        Without the task switch an event costs a third less CPU: ``make bench`` shows it.
        """
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        through = after + len(events)
        if (
            after != self.position
            or through - after > READ_EVENTS_MAX
            or self._beat_due
            or self._drained
            or self._returning
            or self._retry_ms
            or not self._connection.write(self._rendered(events, after + 1))
        ):
            waiter.set_result(None)
            return
        self._wrote_at = self._stream.last_byte_at
        self._delivered(after, through)

    def wake(self) -> None:
        """Implements Reader."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def drain(self) -> None:
        """Ask the client to reconnect, to another instance."""
        self._drained = True
        self.wake()

    def visit(self, now: float) -> float:
        """Implements Visited: send a heartbeat, or close a slow connection."""
        policy = self._stream.policy
        self._acknowledgements.look(self.position)
        if self._blocked_since is None:
            if policy.heartbeat_s and now >= self._wrote_at + policy.heartbeat_s:
                self._beat_due = True
                self.wake()
        elif now >= self._blocked_since + policy.send_timeout_s:
            self._stream.note("reader takes nothing: closed")
            self._connection.kill()
        return self._next_visit(now)

    def _next_visit(self, now: float) -> float:
        """Return when the next of heartbeat and send timeout may be due."""
        policy = self._stream.policy
        if self._blocked_since is not None:
            timeout = self._blocked_since + policy.send_timeout_s
            return timeout if timeout > now else now + policy.send_timeout_s
        timeout = now + policy.send_timeout_s
        if not policy.heartbeat_s:
            return timeout
        beat = self._wrote_at + policy.heartbeat_s
        return min(timeout, beat if beat > now else now + policy.heartbeat_s)

    async def _relay(self) -> None:
        stream, log, connection = self._stream, self._stream.log, self._connection
        while not connection.lost and not self._drained:
            if self.position + 1 < log.first_seq or self.position > log.last_seq:
                await self._tell_gap()
                continue
            if events := log.read(self.position):
                await self._deliver(events)
            elif stream.raw is not None and self.raw_offset < stream.raw.end:
                await self._deliver_raw()
            elif log.closed:
                return
            elif self._beat_due:
                await self._beat()
            else:
                await self._wait()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter
        self._waiter = None

    async def _write(self, body: bytes, *, more: bool = True) -> None:
        self._beat_due = False
        self._blocked_since = self._stream.clock()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._blocked_since = None
        self._wrote_at = self._stream.clock()
        if self._returning and not (self._connection.lost or self._drained):
            self._returning = False
            self._stream.resumed(self)

    async def _deliver(self, events: list[bytes]) -> None:
        after = self.position
        through = after + len(events)
        await self._write(self._rendered(events, after + 1))
        if self._connection.lost:
            return
        self._delivered(after, through)

    def _delivered(self, after: int, through: int) -> None:
        stream = self._stream
        self.position = through
        stream.ledger.deliver(after, through)
        if stream.pressure.paused:
            stream.pressure.drained()

    def _rendered(self, events: list[bytes], seq: int) -> bytes:
        """Return events as this client receives them.

        The sidecar's id comes last, since the last ``id`` field counts.
        """
        if not self._stamped:
            return events[0] + b"\n" if len(events) == 1 else b"\n".join(events) + b"\n"
        prefix = self._id_prefix
        if len(events) == 1:
            event = events[0]
            if event.find(b"\nid") >= 0 or event[:2] == b"id":
                event = without_ids(event)
            body = b"%b%b%d\n\n" % (event, prefix, seq)
        else:
            body = b"".join([b"%b%b%d\n\n" % (without_ids(e), prefix, n) for n, e in enumerate(events, seq)])
        if self._retry_ms:
            body = b"retry: %d\n%b" % (self._retry_ms, body)
            self._retry_ms = 0
        return body

    async def _deliver_raw(self) -> None:
        raw = self._stream.raw
        if raw is not None:
            chunk = raw.read(self.raw_offset)
            await self._write(chunk)
            self.raw_offset += len(chunk)
            self._stream.trim_raw()

    async def _tell_gap(self) -> None:
        log = self._stream.log
        gap, start = log.gap_before(self.position), log.first_seq - 1
        if gap is None:
            return
        await self._write(control_events.gap_event(*gap))
        if not self._connection.lost:
            self._stream.missed(gap)
            self.position = start  # the start of the log when the gap was written

    async def _beat(self) -> None:
        """Write a heartbeat.

        A stamped client receives no blank line, since some clients would dispatch an event.
        """
        stream = self._stream
        if stream.raw is not None:
            self._beat_due = False
            return
        idle_s = int(stream.clock() - stream.last_byte_at)
        await self._write(b": hb idle=%d\n" % idle_s if self._stamped else b": hb\n\n")
        stream.metrics.heartbeats += 1

    async def _finish(self) -> bool:
        """End the response as the stream ended.

        Return whether the client was sent everything.
        """
        stream, ending = self._stream, self._stream.ending
        if self._drained and not (stream.log.closed and self.position >= stream.log.last_seq):
            if self._stamped:
                await self._write(b"retry: %d\n" % RETRY_MS_DRAIN)
            self._acknowledgements.look(self.position)
            self._connection.abort()
            return False
        if ending is None:
            self._connection.abort()
            return False
        if ending.error is not None:
            await asyncio.sleep(ABORT_AFTER_S)
            self._acknowledgements.look(self.position)
            self._connection.abort()
        else:
            await self._end_cleanly()
        self._acknowledgements.prove_told()
        stream.read_to_end()
        return True

    async def _end_cleanly(self) -> None:
        stream = self._stream
        if self._control:  # before the partial block, which would swallow it
            await self._write(control_events.end_event(stream.ledger.received, stream.log.last_seq))
        if stream.partial:
            await self._write(stream.partial)
        await self._write(b"", more=False)
