"""Follow one event stream to its end, for a terminal."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sidecar.client import Event, EventSource, Gap, Recovery, State, StreamFailed
from sidecar.client.options import ATTEMPTS_DEFAULT, STALL_S_DEFAULT
from sidecar.sse import event_id


class Failed(Exception):
    """The stream cannot be read to its end; the message is for a person."""


@dataclass(frozen=True, slots=True)
class FollowRequest:
    """The request that starts the stream; header names are in lower case."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Tail:
    """One stream. ``write`` takes each event, ``say`` each notice."""

    def __init__(
        self,
        question: FollowRequest,
        *,
        write: Callable[[Event], None],
        say: Callable[[str], None],
        attempts_max: int = ATTEMPTS_DEFAULT,
        stall_s: float = STALL_S_DEFAULT,
    ) -> None:
        self._write = write
        self._say = say
        self._events = EventSource(
            question.url,
            method=question.method,
            headers=question.headers,
            body=question.body,
            stall_s=stall_s,
            attempts_max=attempts_max,
            on_end="complete",
            on_state=self._tell_state,
            on_gap=self._tell_gap,
            on_recovered=self._tell_recovered,
        )

    async def follow(self) -> None:
        """Read until the stream is complete; raise Failed if it is not."""
        try:
            async with self._events as events:
                async for event in events:
                    self._write(event)
        except StreamFailed as failed:
            more = " ".join(f"({text})" for text in (failed.code, self._events.detail) if text)
            raise Failed(f"{failed} {more}".rstrip()) from None

    def _tell_state(self, _state: State, reason: str) -> None:
        retry_at = self._events.retry_at
        if retry_at is None:
            return
        wait_s = max(0.0, retry_at - asyncio.get_running_loop().time())
        detail = f" ({self._events.detail})" if self._events.detail else ""
        self._say(f"{reason.removesuffix('.')}{detail}; reconnecting in {wait_s:.1f} s")

    def _tell_gap(self, gap: Gap) -> None:
        through = "?" if gap.missed_through is None else gap.missed_through
        self._say(f"Gap: seq {gap.missed_from} to {through} will not come ({gap.reason})")

    def _tell_recovered(self, _recovery: Recovery) -> None:
        position = self._events.position
        known = event_id.parse(position)
        if known is not None:
            self._say(f"Resumed after seq {known.seq}")
        else:
            self._say(f"Resumed after id {position}" if position else "Begun again: no event had an id")
