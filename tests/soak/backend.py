"""The soak's backend: answers by seed, fails on order, records the truth."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf, isnan, nan
from urllib.parse import parse_qs, urlsplit

from tests.kit.answers import random_answer
from tests.kit.fake_upstream import SSE_HEADERS, FakeUpstream, RecordedRequest, UpstreamConnection

BODY_S = 60.0
"""The longest wait for the rest of a request."""

PAUSE_S_MAX = 0.5
TALK_S_MAX = 6.0
"""About how long an answer takes at the most when nothing goes wrong."""

STREAM_PATHS = ("/v1/chat", "/feed", "/live")
UNAVAILABLE = b"the backend has no time"
PLAIN_BYTES_MAX = 50_000
BROKEN_SHARE = 0.08
"""Of the answers: they break off by themselves."""


@dataclass(eq=False)
class BackendRequest:
    """One request to the backend and what became of it. ``name`` is what histories call the stream.

    ``whole``: True after its proper end, False if it broke off, None while it goes on, or if the sidecar
    closed it.
    """

    name: str
    visit: int
    ask: str
    request: RecordedRequest
    began: bool = False
    whole: bool | None = None
    over: bool = False
    over_at_s: float = nan
    ended_at_s: float = nan
    spoke_at_s: float = nan
    silent_s_max: float = 0.0
    """Its longest silence so far."""

    def speaks(self, now_s: float) -> None:
        """Take note that it speaks now, or that nobody listens any more."""
        if not isnan(self.spoke_at_s):
            self.silent_s_max = max(self.silent_s_max, now_s - self.spoke_at_s)
        self.spoke_at_s = now_s


@dataclass
class SoakBackend:
    """``speaks`` is clear while it stalls, ``answers`` while it takes requests and says nothing."""

    up: FakeUpstream = field(default_factory=FakeUpstream)
    speaks: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    accepting: asyncio.Lock = field(default_factory=asyncio.Lock)
    unavailable: bool = False
    resets_heads: bool = False
    truncates: bool = False
    generations: list[BackendRequest] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    """Requests that should never have come here."""
    _talks: dict[BackendRequest, UpstreamConnection] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.speaks.set()
        self.answers.set()
        self.up.route(lambda _: self.serve)

    @property
    def talking(self) -> list[BackendRequest]:
        """Those that go on."""
        return [*self._talks]

    def over_for_s(self, name: str) -> float:
        """For how long a generation has been over; 0 while it goes on, without end if it never was."""
        now_s = asyncio.get_running_loop().time()
        for generation in self.generations:
            if generation.name == name:
                over_at_s = generation.over_at_s
                if isnan(over_at_s) and generation in self._talks:
                    over_at_s = self._talks[generation].closed_by_peer_at or nan
                return 0.0 if isnan(over_at_s) else now_s - over_at_s
        return inf

    def forget(self) -> None:
        """Begin a new round."""
        self.generations.clear()
        self.stray.clear()
        self._asked.clear()
        self.up.requests.clear()
        self.up.connections.clear()

    async def serve(self, connection: UpstreamConnection) -> None:
        """Answer one request; whoever goes away, goes away."""
        with suppress(ConnectionError):
            await connection.body(BODY_S)
            await self.answers.wait()
            if self.resets_heads:
                await connection.reset()
            elif self.unavailable:
                await self._plain(connection, 503, UNAVAILABLE)
            elif urlsplit(connection.request.target).path in STREAM_PATHS:
                await self._talk(connection, self._generation(connection.request))
            else:
                await self._plain(connection, 200, connection.request.body)

    async def _plain(self, connection: UpstreamConnection, status: int, body: bytes) -> None:
        length = len(body) + (status == 200 and self.truncates)
        await connection.send_head(status, [("Content-Length", str(length)), ("X-Backend", "nemesis")])
        await connection.write(body)
        if length > len(body):
            await connection.fin()
        else:
            await connection.end()

    def _generation(self, request: RecordedRequest) -> BackendRequest:
        query = parse_qs(urlsplit(request.target).query)
        visit, ask = query["visit"][0], request.header("X-Ask") or ""
        if request.header("Last-Event-ID"):
            self.stray.append(f"a resume of question {visit} reached the backend")
        name = f"question {visit}.{ask}"
        self._asked[name] += 1
        if self._asked[name] > 1:
            name += f", asked {self._asked[name]} times"
        generation = BackendRequest(name, int(visit), ask, request)
        self.generations.append(generation)
        return generation

    async def _talk(self, connection: UpstreamConnection, generation: BackendRequest) -> None:
        (seed,) = parse_qs(urlsplit(generation.request.target).query)["seed"]
        chance = random.Random(seed)
        answer = random_answer(chance)
        pauses_s = TALK_S_MAX / len(answer.pieces) * chance.random()
        self._talks[generation] = connection
        try:
            await connection.send_head(200, [*SSE_HEADERS, ("X-Generation", generation.name)])
            generation.began = True
            generation.speaks(asyncio.get_running_loop().time())
            for piece in answer.pieces:
                await self._say(connection, generation, piece)
                await asyncio.sleep(min(PAUSE_S_MAX, chance.uniform(0, 2 * pauses_s)))
            await self._finish(connection, generation, broken=chance.random() < BROKEN_SHARE)
        finally:
            if connection.closed_by_peer_at is not None:
                generation.speaks(connection.closed_by_peer_at)
                self._note_over(generation, connection.closed_by_peer_at)
            else:
                self._note_over(generation, asyncio.get_running_loop().time())
            generation.over = True
            del self._talks[generation]

    async def _say(self, connection: UpstreamConnection, generation: BackendRequest, piece: bytes) -> None:
        await self.speaks.wait()
        if generation.over or connection.closed_by_peer_at is not None:
            raise ConnectionResetError
        generation.speaks(asyncio.get_running_loop().time())
        await connection.write(piece)

    async def _finish(
        self, connection: UpstreamConnection, generation: BackendRequest, *, broken: bool
    ) -> None:
        await self._say(connection, generation, b"")
        if broken:
            await self._break(generation, connection, "reset")
        else:
            generation.over = True
            await connection.end()
            self._note_end(generation, whole=True)

    async def break_all(self, how: str) -> None:
        """Break off everything that goes on: ``reset``, or ``fin`` in the middle of an event."""
        await asyncio.gather(*(self._break(*talk, how) for talk in [*self._talks.items()]))

    async def _break(self, generation: BackendRequest, connection: UpstreamConnection, how: str) -> None:
        if generation.over or not generation.began:
            return
        generation.over = True
        with suppress(ConnectionError):
            if how == "fin":
                await connection.write(b"data: half an eve")
                await connection.fin()
            else:
                await connection.reset()
        if connection.closed_by_peer_at is None:
            self._note_end(generation, whole=False)

    def _note_end(self, generation: BackendRequest, *, whole: bool) -> None:
        generation.whole = whole
        generation.ended_at_s = asyncio.get_running_loop().time()
        self._note_over(generation, generation.ended_at_s)

    def _note_over(self, generation: BackendRequest, at_s: float) -> None:
        """Take the first end: what broke off while it stalled notices that only behind the stall."""
        if isnan(generation.over_at_s):
            generation.over_at_s = at_s
