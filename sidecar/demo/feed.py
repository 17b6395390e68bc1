"""An endless feed of notifications, with ids and replay of its own."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from itertools import islice

from sidecar.demo.faults import HUGE_BYTES, AnswerScript, DemoFault
from sidecar.demo.words import tokens

PAST_MAX = 100
"""Notifications that a reader can still get with ``Last-Event-ID``."""
WORDS = 7
ID_DIGITS_MAX = 18


@dataclass(frozen=True, slots=True)
class FeedNotification:
    """One notification; ids count 1, 2, 3 ... over the life of the process."""

    id: int
    text: str

    def as_event(self) -> bytes:
        """Return the event, its id first, as most backends write it."""
        data = json.dumps({"id": self.id, "text": self.text}, ensure_ascii=False)
        return f"id: {self.id}\nevent: notification\ndata: {data}\n\n".encode()


class Feed:
    """A feed with the same notifications for all readers.

    The first reader whose interval ends publishes the next notification.

    That needs no background task, and a feed without readers costs nothing.
    """

    def __init__(self) -> None:
        self.newest = 0
        self._past: deque[FeedNotification] = deque(maxlen=PAST_MAX)
        self._news = asyncio.Event()

    def publish(self, text: str = "") -> FeedNotification:
        """Add a notification and wake every reader."""
        self.newest += 1
        notification = FeedNotification(self.newest, text or "".join(tokens(f"feed {self.newest}", WORDS)))
        self._past.append(notification)
        self._news.set()
        self._news = asyncio.Event()
        return notification

    def position(self, last_event_id: str) -> int:
        """Return a reader's position: its id, or the newest if it is unknown."""
        ours = last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) <= ID_DIGITS_MAX
        return min(int(last_event_id), self.newest) if ours else self.newest

    async def read(self, position: int, course: AnswerScript) -> AsyncGenerator[bytes, None]:
        """Yield the events after ``position``: kept ones, then live ones."""
        sent = 0
        while course.n is None or sent < course.n:
            await self._wait_for_news(position, course.interval_s)
            for notification in self._after(position, None if course.n is None else course.n - sent):
                position = notification.id
                yield self._spoilt(notification, course, sent).as_event()
                sent += 1

    async def _wait_for_news(self, position: int, interval_s: float) -> None:
        if position < self.newest:
            return
        try:
            async with asyncio.timeout(interval_s):
                await self._news.wait()
        except TimeoutError:
            if position == self.newest:
                self.publish()

    def _after(self, position: int, most: int | None) -> list[FeedNotification]:
        oldest = self.newest - len(self._past) + 1
        start = max(0, position + 1 - oldest)
        return list(islice(self._past, start, None if most is None else start + most))

    @staticmethod
    def _spoilt(notification: FeedNotification, course: AnswerScript, sent: int) -> FeedNotification:
        if course.fault is DemoFault.HUGE and sent == course.at:
            return FeedNotification(notification.id, "x" * HUGE_BYTES)
        return notification
