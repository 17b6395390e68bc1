"""Follows one event stream to its end, over as many connections as it takes."""

import asyncio
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from sidecar import backoff, event_id
from sidecar.event_parser import ClientEvent, EventParser, EventTooLarge
from sidecar.tail_connection import Answer, Connections, Lost, NeverSent

ATTEMPTS_DEFAULT = 10
STALL_S_DEFAULT = 30.0
RETRY_S_MAX = 300.0
"""A server that asks for a longer wait is asked again after this one."""

CONTROL_PREFIX = "/_sse"
OWN_EVENTS = b"sse-"
"""Events whose type begins so are the sidecar's words to the client, no part of the answer."""

AGAIN_STATUS = frozenset({429, 502, 503, 504})
UNSENT_STATUS = frozenset({429, 503})
"""What says that nothing was begun, so that even a POST may be sent again."""


class Failed(Exception):
    """The stream cannot be read to its end; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Question:
    """The request that starts the stream; header names are in lower case."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Tail:
    """One stream. ``write`` takes each event, ``say`` each notice; ``jitter`` gives numbers of [0, 1]."""

    def __init__(  # noqa: PLR0913 - what a tail is made of, each with a name
        self,
        question: Question,
        *,
        write: Callable[[ClientEvent], None],
        say: Callable[[str], None],
        attempts_max: int = ATTEMPTS_DEFAULT,
        stall_s: float = STALL_S_DEFAULT,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._question = question
        self._write = write
        self._say = say
        self._attempts_max = attempts_max
        self._stall_s = stall_s
        self._jitter = jitter
        self._key = question.headers.get("idempotency-key") or str(uuid.uuid4())
        self._last_id = question.headers.get("last-event-id", "")
        self._stream: str | None = None
        self._events = 0
        self._attempt = 0
        self._retry_s: float | None = None
        self._lost = False

    async def follow(self) -> None:
        """Read until the stream is complete; raises Failed if it does not come to that."""
        async with Connections(self._stall_s) as connections:
            while True:
                try:
                    return await self._read(connections)
                except Lost as lost:
                    self._refuse_to_repeat(lost)
                    await self._pause(lost)

    async def _read(self, connections: Connections) -> None:
        """Read over one connection; returns when the stream is complete."""
        method, url, headers, body = self._request()
        async with connections.ask(method, url, headers, body) as answer:
            if answer.status == 204:  # noqa: PLR2004 - nobody shall come back (WHATWG HTML section 9.2.3)
                return
            await self._check(answer, method)
            self._began(answer.stream)
            parser = EventParser(self._last_id.encode())
            async for chunk in answer.chunks():
                self._take(parser, chunk)

    def _request(self) -> tuple[str, str, dict[str, str], bytes]:
        """Return the next request: the question itself, or what asks for the rest of its answer."""
        question = self._question
        headers = {"accept": "text/event-stream", "accept-encoding": "identity"} | question.headers
        position = self._position()
        headers.pop("last-event-id", None)
        if position:
            headers["last-event-id"] = position
        if self._stream and (question.method != "GET" or not self._last_id):
            control = f"{_origin(question.url)}{CONTROL_PREFIX}/streams/{self._stream}"
            return "GET", control, _without_body(headers), b""
        if question.method != "GET":
            headers["idempotency-key"] = self._key
        return question.method, question.url, headers, question.body

    def _position(self) -> str:
        """Return where the next connection goes on; events without ids are counted."""
        known = event_id.parse(self._last_id)
        if self._stream is None or (self._question.method == "GET" and self._last_id):
            return self._last_id
        if known is not None and known.stream == self._stream:
            return self._last_id
        return str(event_id.EventId(self._stream, self._events)) if self._events else ""

    def _began(self, stream: str | None) -> None:
        if stream is not None and stream != self._stream:
            self._stream, self._events = stream, 0

    async def _check(self, answer: Answer, method: str) -> None:
        """Raise unless the answer is an event stream."""
        if answer.is_event_stream:
            return
        told = await answer.told()
        if answer.status in (AGAIN_STATUS if method == "GET" else UNSENT_STATUS):
            raise NeverSent(told, answer.retry_after_s)
        raise Failed(told)

    def _take(self, parser: EventParser, chunk: bytes) -> None:
        if self._lost:
            self._lost = False
            self._say(f"resumed {self._place()}")
        try:
            events = parser.feed(chunk)
        except EventTooLarge as error:
            raise Failed(str(error)) from None
        self._last_id = parser.last_event_id.decode("utf-8", "replace")
        if parser.retry_ms is not None:
            self._retry_s = min(parser.retry_ms / 1000, RETRY_S_MAX)
        for event in events:
            self._attempt = 0
            self._events += not event.kind.startswith(OWN_EVENTS)
            self._write(event)
            self._notice(event)

    def _notice(self, event: ClientEvent) -> None:
        """Say what the sidecar tells in band; raise Failed if it, or the backend, says that it failed."""
        if event.kind == b"sse-gap":
            gap = _object(event.data)
            through = gap.get("missed_through")
            self._events = through if isinstance(through, int) else self._events
            self._say(f"gap: {_gap_text(gap)}")
        elif b'"error"' in event.data:
            error = _object(event.data).get("error")
            if error:
                raise Failed(f"the stream failed: {_error_text(error)}")

    def _refuse_to_repeat(self, lost: Lost) -> None:
        """Raise Failed where asking again would be a second request, or would find nothing."""
        if self._question.method == "GET" or self._stream is not None or isinstance(lost, NeverSent):
            return
        advice = "the request may have been carried out, so it is not sent again"
        if self._events:
            advice = "there is no SSE-Stream header to resume it by: is the sidecar in front of it?"
        raise Failed(f"{lost}; {advice}")

    async def _pause(self, lost: Lost) -> None:
        """Wait as long as the server asked, or longer each time."""
        if self._attempts_max and self._attempt >= self._attempts_max:
            raise Failed(f"{lost}; gave up after {self._attempt} attempts")
        waits = [wait for wait in (self._retry_s, lost.retry_after_s) if wait is not None]
        if self._attempt or not waits:
            waits.append(backoff.delay_s(self._attempt, self._jitter()))
        delay_s = min(max(waits), RETRY_S_MAX)
        self._attempt += 1
        self._lost = True
        self._say(f"{lost}; reconnecting in {delay_s:.1f} s")
        await asyncio.sleep(delay_s)

    def _place(self) -> str:
        position = self._position()
        known = event_id.parse(position)
        if known is not None:
            return f"after seq {known.seq}"
        return f"after id {position}" if position else "from the start: no event had an id"


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0].partition('#')[0]}"


def _without_body(headers: dict[str, str]) -> dict[str, str]:
    about_body = {"content-type", "content-length", "content-encoding", "transfer-encoding"}
    return {name: value for name, value in headers.items() if name not in about_body}


def _object(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _gap_text(gap: dict[str, object]) -> str:
    first, last = gap.get("missed_from"), gap.get("missed_through")
    return f"seq {first} to {'?' if last is None else last} will not come ({gap.get('reason')})"


def _error_text(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    code, message = error.get("code"), error.get("message")
    return f"{message or 'no message'} ({code})" if code else str(message or error)
