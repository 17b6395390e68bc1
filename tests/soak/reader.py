"""A raw client of one stream that is cut, resumes and records its bytes."""

import asyncio
import json
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from sidecar.verify.history import HistoryEvent, Received
from tests.kit.client import BodyEnded, SSEClient
from tests.kit.deadline import Overdue
from tests.kit.eventsource import DispatchedEvent
from tests.kit.head import FieldLines
from tests.kit.recorder import END, GAP, data_hash, is_terminal
from tests.kit.response import Response
from tests.soak.answers import Decision, judged
from tests.soak.process import Life
from tests.soak.schedule import ScheduledVisit
from tests.soak.stand import Stand

SILENCE_S = 6.0
"""A connection that says nothing for so long, heartbeats included, is given up."""

PAUSE_S = 0.4
SLOW_S = 0.3


@dataclass(eq=False)
class SoakReader:
    """``stream`` and ``position``: where it is; ``over``: it knows how it ended, or that it is gone."""

    stand: Stand
    visit: ScheduledVisit
    name: str
    chance: random.Random
    principal: str
    key: str = ""
    rcvbuf_bytes: int = 0
    stream: str = ""
    generation: str = ""
    position: int = 0
    life: Life | None = None
    over: bool = False
    ending: str = ""
    cuts: list[int] = field(default_factory=list)
    received: int = 0
    _gone_at_s: float | None = None
    _attached_at_s: float = 0.0
    _owes_gap: bool = False
    _before: tuple[str, str, int, Life | None] = ("", "", 0, None)

    async def see_through(self) -> None:
        """Go on until it is over, however many connections that takes."""
        while not self.over:
            await self.connection()

    async def connection(self) -> None:
        """Make one connection and read it to where it ends."""
        async with AsyncExitStack() as holding:
            response = await self._connected(holding)
            if response is None or not self._carries_on(response):
                await self._pause(response)
                return
            await self._read(response)
            self._note(response)

    async def _pause(self, response: Response | None) -> None:
        if not self.over:
            self.stand.testimony.counts["asked again"] += 1
            await asyncio.sleep(PAUSE_S * (1 + self.chance.random()))

    async def _connected(self, holding: AsyncExitStack) -> Response | None:
        """Ask, or ask for the rest; None: there was no answer."""
        client = SSEClient("127.0.0.1", self.stand.port_for(self.visit), rcvbuf_bytes=self.rcvbuf_bytes)
        method, target, fields, body = self._request()
        try:
            return await holding.enter_async_context(client.open(method, target, fields, body))
        except (OSError, BodyEnded, Overdue):
            return None

    def _request(self) -> tuple[str, str, FieldLines, bytes]:
        fields = [("Authorization", self.principal), ("X-Ask", self.stand.next_ask())]
        if not self.stream:
            if self.key:
                fields.append(("Idempotency-Key", self.key))
            return self.visit.method, target_of(self.visit), fields, body_of(self.visit)
        here = f"/_sse/streams/{self.stream}"
        if not self.position:
            return "GET", here, fields, b""
        name = f"{self.stream}.{self.position}"
        ways: list[tuple[str, FieldLines]] = [
            (here, [("Last-Event-ID", name)]),
            (target_of(self.visit), [("Last-Event-ID", name)]),
            (f"{here}?last_event_id={name}", []),
            (f"{target_of(self.visit)}&lastEventId={name}", []),
        ]
        target, more = self.chance.choice(ways)
        return "GET", target, [*fields, *more], b""

    def _carries_on(self, response: Response) -> bool:
        """Tell whether an answer carries the stream; if not, it may be over, or is asked for again."""
        verdict, words = judged(self, response)
        counts = self.stand.testimony.counts
        match verdict:
            case Decision.STREAM:
                self._attach(response)
                return True
            case Decision.NOTHING_MORE:
                self._told("no_content")
                self.over, self.ending = True, self.ending or "no_content"
            case Decision.GONE:
                counts["told that it is gone"] += 1
                self.leave()
                self.over, self.ending = True, "gone"
            case Decision.WRONG:
                self.stand.testimony.blame("answer", f"{self.name} {words}.", timed=response.status == 410)
                self.leave()
                self.over, self.ending = True, "wrong"
            case Decision.AGAIN:
                if not self.stand.is_troubled:
                    sentence = f"{self.name} {words}, and nothing was wrong."
                    self.stand.testimony.blame("unprovoked", sentence, timed=True)
        return False

    def _attach(self, response: Response) -> None:
        stand, token = self.stand, response.header("SSE-Stream") or ""
        if self.stream and token != self.stream:  # a live feed, asked anew
            self.leave()
            self._before = (self.stream, self.generation, self.position, self.life)
            self.position, self._owes_gap, self._gone_at_s = 0, True, None
        self.stream, self.generation = token, response.header("X-Generation") or ""
        self.life = stand.sidecar_of(self.visit).life
        self._attached_at_s = stand.now_s
        if self._gone_at_s is not None and self.position:
            stand.testimony.recovered_s.append(stand.now_s - self._gone_at_s)
        stand.testimony.attached(self.name, self.generation, self.position, self.principal, stand.now_s)
        if self.key:
            stand.testimony.keyed[self.key, self.life.number].add(self.generation)

    async def _read(self, response: Response) -> None:
        """Read until the body ends, until the next cut, or until nothing comes any more."""
        if self.cuts:
            await self._cut(response, self.cuts.pop(0))
            return
        slow = self.visit.deed == "reads slowly"
        while response.ended == "open" and response.connection.is_open:
            try:
                async with asyncio.timeout(SILENCE_S):
                    await response.more()
            except TimeoutError:
                self.stand.testimony.counts["silent connections"] += 1
                await response.cut()
            if slow:
                await asyncio.sleep(SLOW_S * self.chance.random())

    async def _cut(self, response: Response, at_bytes: int) -> None:
        self.stand.testimony.counts["cuts by the reader"] += 1
        try:
            await response.cut_after(
                at_bytes,
                SILENCE_S,
                or_when=lambda so_far: so_far.ended != "open",
                cleanly=self.chance.random() < 0.5,
            )
        except Overdue:
            await response.cut()

    def _note(self, response: Response) -> None:
        """Take what a connection brought, and how it ended."""
        if self._owes_gap and not response.seen and response.ended != "clean":
            self._go_back()
            return
        if self.visit.deed != "reads slowly":  # else it may read on for long what came before an end
            there = (self.name, self._attached_at_s, self.stand.now_s)
            self.stand.testimony.present[self.generation].append(there)
        terminals = 0
        for event in response.seen:
            terminals += self._take(event)
        self.received += len(response.seen)
        self._gone_at_s = self.stand.now_s
        if response.ended == "clean":
            self._told("clean_end")
            self.over, self.ending = True, "clean_end"
        elif response.ended == "open":
            self.leave()
        else:
            self._told("abort")
        if terminals:
            self.over, self.ending = True, "terminal"

    def _go_back(self) -> None:
        """Stay where it was: until something of the other stream has come, that is what it has."""
        self.leave()
        self._owes_gap = False
        self.stream, self.generation, self.position, self.life = self._before
        self._gone_at_s = self.stand.now_s

    def _take(self, event: DispatchedEvent) -> bool:
        """Take one event; tell whether it is a terminal."""
        history, who = self.stand.testimony.history, (self.name, self.generation)
        if event.type == END:
            return False
        if event.type == GAP:
            self._take_gap(event)
            return False
        if self._owes_gap:
            self._owes_gap = False
            self.stand.testimony.blame(
                "missing", f"{self.name} was given another stream for its own, and was told of no gap."
            )
        stream, _, seq = event.last_event_id.rpartition(".")
        if stream != self.stream or not seq.isdigit():
            sentence = f"{self.name} got an event named {event.last_event_id!r} of the stream {self.stream}."
            self.stand.testimony.blame("answer", sentence)
            return False
        self.position = int(seq)
        if is_terminal(event):
            self._take_terminal(event)
            return True
        history.append(Received(*who, self.position, data_hash(event)))
        return False

    def _take_gap(self, event: DispatchedEvent) -> None:
        self.stand.testimony.counts["gaps told"] += 1
        if self._owes_gap:
            self._owes_gap = False
            return
        first, last = missed_in(event)
        self.stand.testimony.history.append(HistoryEvent(self.name, self.generation, "gap", first, last))
        self.position = last

    def _take_terminal(self, event: DispatchedEvent) -> None:
        code = code_in(event)
        self.stand.testimony.codes[self.generation].add(code)
        self.stand.testimony.counts[f"told {code}"] += 1
        self._told("terminal")

    def _told(self, kind: Any) -> None:
        self.stand.testimony.history.append(
            HistoryEvent(self.name, self.generation, kind, at_s=self.stand.now_s)
        )

    def leave(self) -> None:
        """Say that it is owed nothing more."""
        if self.generation:
            self.stand.testimony.left(self.name, self.generation)

    @property
    def away_s(self) -> float:
        """For how long it has had no connection."""
        return 0.0 if self._gone_at_s is None else self.stand.now_s - self._gone_at_s


def target_of(visit: ScheduledVisit) -> str:
    """Return what a question asks for."""
    return f"{visit.path}?visit={visit.number}&seed={visit.seed}"


def body_of(visit: ScheduledVisit) -> bytes:
    """Return the body of a question."""
    return b'{"question": %d}' % visit.number if visit.method == "POST" else b""


def missed_in(event: DispatchedEvent) -> tuple[int, int]:
    """Return the first and the last seq of a gap; (0, 0), which is none, if it does not say them."""
    said = _object(event.data)
    first, last = said.get("missed_from"), said.get("missed_through")
    return (first, last) if isinstance(first, int) and isinstance(last, int) else (0, 0)


def code_in(event: DispatchedEvent) -> str:
    """Return the code of a terminal."""
    error = _object(event.data).get("error")
    return str(error.get("code")) if isinstance(error, dict) else ""


def _object(data: str) -> dict[str, Any]:

    value = json.loads(data)
    return value if isinstance(value, dict) else {}
