"""A user with the Python client, and a record of what the client delivers."""

import random
from collections.abc import Mapping

from sidecar.client import EventSource, Gap, State, StreamFailed
from sidecar.client.connection import HttpTransport, StreamResponse, Transport
from sidecar.client.request import Request
from sidecar.sse import event_id
from sidecar.verify.history import HistoryEvent, Received
from tests.soak.process import Life
from tests.soak.reader import SILENCE_S, body_of, target_of
from tests.soak.schedule import ScheduledVisit
from tests.soak.stand import Stand
from tests.soak.testimony import hash_of

IN_BAND = frozenset(
    {"err-sidecar-upstream-reset", "err-sidecar-upstream-truncated", "err-sidecar-upstream-empty"}
)
GONE = frozenset({"err-sidecar-resume-expired", "err-sidecar-stream-not-found", "err-sidecar-not-resumable"})


class Witness:
    """The client's network, and a note of which stream each answer carried."""

    def __init__(self, person: "ProductPerson", network: Transport) -> None:
        self._person = person
        self._network = network

    async def send(self, request: Request, within_s: float) -> StreamResponse:
        """Implements Transport."""
        answer = await self._network.send(request, within_s)
        self._person.answered(answer.head.headers)
        return answer

    async def post(self, url: str, headers: dict[str, str], body: bytes = b"") -> bool:
        """Implements Transport."""
        return await self._network.post(url, headers, body)

    async def close(self) -> None:
        """Implements Transport."""
        await self._network.close()


class ProductPerson:
    """One question of one person, asked with the product's client."""

    def __init__(self, stand: Stand, visit: ScheduledVisit, principal: str) -> None:
        self.stand = stand
        self.visit = visit
        self.name = f"the client of question {visit.number}"
        self._principal = principal
        self._chance = random.Random(visit.seed + 1)
        self._streams: dict[str, str] = {}
        self._stream = ""
        self._life: Life | None = None

    def _fields(self) -> Mapping[str, str]:
        return {"authorization": self._principal, "x-ask": self.stand.next_ask()}

    def answered(self, headers: Mapping[str, str]) -> None:
        """Take note of an answer's head."""
        token, generation = headers.get("sse-stream", ""), headers.get("x-generation", "")
        if not (token and generation):
            return
        self._life = self.stand.sidecar_of(self.visit).life
        if self._streams.get(token) != generation:
            self._leave()
            self._streams[token] = self._stream = generation
            testimony = self.stand.testimony
            testimony.attached(self.name, generation, 0, self._principal, self.stand.now_s)
            if self.visit.method == "POST":
                testimony.keyed[self.name, self._life.number].add(generation)

    async def live(self) -> None:
        """Ask, read, and do what the visit says."""
        source = EventSource(
            f"http://127.0.0.1:{self.stand.port_for(self.visit)}{target_of(self.visit)}",
            transport=Witness(self, HttpTransport()),
            method=self.visit.method,
            headers=self._fields,
            body=body_of(self.visit),
            stall_s=SILENCE_S,
            attempts_max=0,
            on_end="complete",
            on_gap=self._gap,
            jitter=self._chance.random,
        )
        async with source as events:
            await self._read(events)
        self.stand.testimony.counts[f"product client: {source.state}"] += 1

    async def _read(self, events: EventSource) -> None:
        stop_at = self._chance.randint(1, 6) if self.visit.deed != "reads" else 0
        try:
            async for event in events:
                self._take(event.id, event.type, event.data)
                if events.received == stop_at:
                    await self._stop(events)
        except StreamFailed as failed:
            self._failed(events, failed)
            return
        if events.state is State.COMPLETED:
            self._told("clean_end")
        else:
            self._leave()

    async def _stop(self, events: EventSource) -> None:
        """Leave, or stop the generation; what has come by then is handed out, and then no more."""
        if self.visit.deed == "cancels":
            self.stand.testimony.cancelled.add(self.visit.number)
            await events.cancel()
        else:
            events.close()

    def _take(self, name: str, kind: str, data: str) -> None:
        known = event_id.parse(name)
        if known is None or known.stream not in self._streams:
            self.stand.testimony.blame("answer", f"{self.name} was handed an event named {name!r}.")
            return
        received = Received(self.name, self._streams[known.stream], known.seq, hash_of(kind, data))
        self.stand.testimony.history.append(received)

    def _gap(self, gap: Gap) -> None:
        self.stand.testimony.counts["gaps told"] += 1
        if gap.missed_through is not None and gap.reason != "lost on the way":
            told = HistoryEvent(self.name, self._stream, "gap", gap.missed_from, gap.missed_through)
            self.stand.testimony.history.append(told)

    def _failed(self, events: EventSource, failed: StreamFailed) -> None:
        """Take note of a failure: the stream's own, or that it is gone, or that it could not be asked for."""
        testimony = self.stand.testimony
        testimony.counts[f"product client told {failed.code or failed}"] += 1
        if failed.code in GONE:
            life = self.stand.sidecar_of(self.visit).life
            if self._life is not None and life.number == self._life.number and not self.stand.is_troubled:
                sentence = f"{self.name} was told {failed}, and nothing was wrong."
                testimony.blame("answer", sentence, timed=True)
            self._leave()
        elif self._stream and events.received and failed.code:
            testimony.codes[self._stream].add(failed.code)
            self._told("terminal")
        else:
            if not self.stand.is_troubled and failed.code not in IN_BAND:
                sentence = f"{self.name} failed: {failed}, and nothing was wrong."
                testimony.blame("unprovoked", sentence, timed=True)
            self._leave()

    def _told(self, kind: str) -> None:
        if self._stream:
            at_s = self.stand.now_s
            told = HistoryEvent(
                self.name, self._stream, "terminal" if kind == "terminal" else "clean_end", at_s=at_s
            )
            self.stand.testimony.history.append(told)
        elif kind == "clean_end":
            self.stand.testimony.blame("ending", f"{self.name} completed without an answer.")

    def _leave(self) -> None:
        if self._stream:
            self.stand.testimony.left(self.name, self._stream)
