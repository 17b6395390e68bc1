"""One user: the Python client, with a record of its connections."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sidecar.client import Event, EventSource, Gap, State, StreamFailed
from sidecar.client.connection import HttpTransport
from sidecar.client.flow import OnEnd
from sidecar.verify.wire import CONNECTIONS_MAX, RecordedConnection, RecordedTransport

MESSAGES_MAX = 100_000
"""Messages of one user; whoever gets more leaves."""

ATTEMPTS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRequest:
    """A user's request; ``join`` is a sidecar's stream to read instead."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    join: str = ""


class Handed(NamedTuple):
    """A message that a user was given, and when (seconds, monotonic)."""

    at_s: float
    event: Event


class ShownState(NamedTuple):
    """A state that a user was shown, its sentence, and when."""

    at_s: float
    state: State
    sentence: str


class Person:
    """Read one answer to its end, or until the user leaves."""

    def __init__(  # noqa: PLR0913 - what distinguishes people, each with a name
        self,
        name: str,
        question: UserRequest,
        *,
        stall_s: float,
        seed: int,
        attempts_max: int = ATTEMPTS_MAX,
        on_end: OnEnd = "complete",
        reports: bool = True,
        on_message: Callable[["Person"], None] = lambda _: None,
    ) -> None:
        """``on_message`` is called in the loop of ``read`` after each message."""
        self.name = name
        self.question = question
        self.connections: deque[RecordedConnection] = deque(maxlen=CONNECTIONS_MAX)
        self.handed: list[Handed] = []
        self.seen: list[ShownState] = []
        self.gaps: list[tuple[float, Gap]] = []
        self.heartbeats: list[tuple[float, int]] = []
        """When a heartbeat came, and for how many seconds the backend had been silent."""
        self.dropped = 0
        self.events: EventSource | None = None
        self._stall_s = stall_s
        self._attempts_max = attempts_max
        self._on_end = on_end
        self._reports = reports
        self._on_message = on_message
        self._when: tuple[int, Callable[[], None]] | None = None
        self._jitter = random.Random(f"{seed} {name}").random  # noqa: S311 - repeatable

    @property
    def state(self) -> State:
        """The last state that was shown."""
        return self.seen[-1].state if self.seen else State.CONNECTING

    @property
    def stream(self) -> str:
        """Id of the stream at a sidecar; "" without one."""
        return next((each.stream for each in self.connections if each.stream), "")

    def leave(self) -> None:
        """Leave; what has come already is still handed out."""
        if self.events is not None:
            self.events.close()

    def when(self, messages: int, call: Callable[[], None]) -> None:
        """Have ``call`` called once so many messages have been handed out."""
        if len(self.handed) >= messages:
            call()
        else:
            self._when = (messages, call)

    async def read(self, leave_after_s: float | None = None) -> None:
        """Read to the end, or leave after so many seconds."""
        loop = asyncio.get_running_loop()
        async with self._client() as events:
            self.events = events
            leaving = loop.call_later(leave_after_s, events.close) if leave_after_s is not None else None
            try:
                await self._read(events)
            finally:
                self.dropped = events.duplicates
                if leaving is not None:
                    leaving.cancel()

    async def _read(self, events: EventSource) -> None:
        try:
            async for event in events:
                self.handed.append(Handed(time.monotonic(), event))
                self._on_message(self)
                if self._when is not None and len(self.handed) == self._when[0]:
                    self._when[1]()
                if len(self.handed) >= MESSAGES_MAX:
                    events.close()
        except StreamFailed:
            return  # its state and sentence are among those that were shown

    def _client(self) -> EventSource:
        question = self.question
        return EventSource(
            question.url,
            transport=RecordedTransport(HttpTransport(), self.connections),
            method=question.method,
            headers=question.headers,
            body=question.body,
            join=question.join,
            stall_s=self._stall_s,
            attempts_max=self._attempts_max,
            on_end=self._on_end,
            reports=self._reports,
            jitter=self._jitter,
            on_state=self._see,
            on_gap=lambda gap: self.gaps.append((time.monotonic(), gap)),
            on_heartbeat=lambda idle_s: self.heartbeats.append((time.monotonic(), idle_s)),
        )

    def _see(self, state: State, sentence: str) -> None:
        self.seen.append(ShownState(time.monotonic(), state, sentence))
