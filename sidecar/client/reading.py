"""One response's body: messages, and the sidecar's control events."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.client import told
from sidecar.client.answer import ResponseHead
from sidecar.client.course import ConnectionLoss, StreamCourse
from sidecar.client.event_parser import Event, EventParser
from sidecar.client.progress import Progress
from sidecar.client.state import Gap, Recovery


@dataclass(frozen=True, slots=True)
class Listeners:
    """What is called when something happens to the stream."""

    state: Callable[[], None]
    gap: Callable[[Gap], None]
    heartbeat: Callable[[int], None]
    recovered: Callable[[Recovery], None]


class BodyReader:
    """Take the chunks of one body; add new messages to ``ready``."""

    def __init__(
        self,
        head: ResponseHead,
        progress: Progress,
        course: StreamCourse,
        listeners: Listeners,
        ready: deque[tuple[Event, int]],
    ) -> None:
        progress.answered(head.headers.get("sse-stream", ""))
        replayed = head.headers.get("sse-replayed", "")
        self.replayed = int(replayed) if replayed.isascii() and replayed.isdigit() else None
        """Messages that come late, from the replay log; None: the server does not say."""
        self.ended = False
        """The sidecar has said its last word, and only the connection's end is missing."""
        self.short = False
        """It has, but messages are missing."""
        self.failure: ConnectionLoss | None = None
        """The error that the last message told."""
        self.fault: ConnectionLoss | None = None
        """The error that any message told."""
        self.idle_s = 0
        self._progress = progress
        self._course = course
        self._listeners = listeners
        self._ready = ready
        self._parser = EventParser(progress.last_event_id)
        self._beats = 0
        self._spoke_at: float | None = None

    def take(self, chunk: bytes, now: float) -> None:
        """Read the next bytes; raises EventTooLarge and LostOnTheWay."""
        parser = self._parser
        events = parser.feed(chunk)
        if self._spoke_at is None or events:
            self._spoke_at = now
        if parser.retry_ms is not None:
            self._course.said_retry(parser.retry_ms)
        for event in events:
            if event.type in told.OWN_EVENTS:
                self._hear_word(event)
            else:
                self._message(event)
        self._progress.last_event_id = parser.last_event_id
        self._hear_heartbeats(now - self._spoke_at)

    def _message(self, event: Event) -> None:
        new = self._progress.take(event)
        self.failure = told.failure_of(event)
        self.fault = self.failure or self.fault
        if not new:
            return
        self._course.message()
        self._ready.append((event, self._progress.last_seq))
        if self._progress.jumped is not None:
            self._listeners.gap(self._progress.jumped)

    def _hear_word(self, event: Event) -> None:
        if event.type == told.GAP:
            gap = told.gap_of(event)
            self._progress.missed(gap)
            self._listeners.gap(gap)
        elif event.type == told.END:
            self.short = self._progress.lacks(told.last_seq_of(event))
            self.ended = not self.short
        else:
            self.failure = self.fault = told.failure_of(event)
            self.ended = True

    def _hear_heartbeats(self, silent_s: float) -> None:
        parser = self._parser
        self.idle_s = int(silent_s) if parser.idle_s is None else parser.idle_s
        if parser.heartbeats != self._beats:
            self._beats = parser.heartbeats
            self._listeners.heartbeat(self.idle_s)
