"""One user's visit: a request, a behaviour and a record."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

import aiohttp

from sidecar.client import Event, EventSource, Recovery, State, StreamFailed
from sidecar.client.told import failure_of
from sidecar.demo.faults import DemoFault
from sidecar.observability.labels import Outcome
from sidecar.sse import event_id
from sidecar.verify import invariants
from sidecar.verify.history import Attached, Finished, HistoryEvent, Left, Opened, Received, Record, Sent
from sidecar.verify.load.account import Account
from sidecar.verify.load.line import ClientSession
from sidecar.verify.load.talk import UserDialogue, content

MORE_S = 120.0
"""Whoever has not been told so long after the end how an answer ends was never told."""

ATTEMPTS_MAX = 10
ATTEMPTS_OF_REFUSED = 2
"""Whoever is refused by the backend asks that often again, and then believes it."""

SOON_EVENTS = (2, 6)
"""How much of an answer is read before its reader does something."""

AWAY_S = (0.2, 2.0)
MARGIN_S = 0.5
"""An answer that is over within it when something happens may have been over already."""


class Habit(StrEnum):
    """What people do with an answer."""

    READS = "read to the end"
    IS_CUT = "lost the connection and came back"
    MOVES = "changed networks: the old connection went dark"
    RETURNS = "left, came back and read on"
    CANCELS = "cancelled"
    LEAVES = "left for good"


HABITS: dict[Habit, float] = {
    Habit.READS: 54,
    Habit.IS_CUT: 16,
    Habit.MOVES: 6,
    Habit.RETURNS: 8,
    Habit.CANCELS: 8,
    Habit.LEAVES: 8,
}
"""How often each is seen, as weights."""


STOPS = (Habit.CANCELS, Habit.LEAVES)
MORE_TOKENS = 40
"""What is stopped is a long answer: how it ended does not depend on who was faster."""


def draw_habit(talk: UserDialogue, chance: random.Random) -> Habit:
    """Choose a user's behaviour; read a failing answer to its error."""
    (drawn,) = chance.choices([*HABITS], [*HABITS.values()])
    return Habit.READS if talk.fails else drawn


@dataclass(frozen=True, slots=True)
class Visitor:
    """A user of the service at ``url``, with its login in ``session``."""

    url: str
    session: aiohttp.ClientSession
    stall_s: float


class UserVisit:
    """One question, over however many connections and clients it takes."""

    def __init__(self, visitor: Visitor, talk: UserDialogue, habit: Habit, chance: random.Random) -> None:
        self.account = Account()
        self._visitor = visitor
        self._chance = chance
        self.habit = habit
        self._talk = replace(talk, tokens=talk.tokens + MORE_TOKENS) if habit in STOPS else talk
        self._act_after = chance.randint(*SOON_EVENTS)
        self._jitter = random.Random(f"{talk.seed}/jitter").random  # noqa: S311 - repeatable
        self._name = f"answer {talk.number}"
        self._records: list[Record] = []
        self._seqs: list[int] = []
        self._terminal = self._cancelling = False
        self._known = 0
        """Messages that were there before this client."""

        self._stalled_at: float | None = None
        self._left_at: float | None = None
        self._over_at = time.monotonic() + self._talk.least_s
        """When the backend has sent all of it, at the earliest."""

    async def run(self) -> Account:
        """Do it all, and return what came of it."""
        self.account.did[self.habit] += 1
        self._records.append(Attached("person", self._name))
        try:
            async with asyncio.timeout(self._talk.least_s + MORE_S):
                await self._read()
        except TimeoutError:
            self.account.silent += 1
            self.account.end(self._talk.outcome, *Outcome)
            self.account.breach(f"{self._name}: {MORE_S:g} s after its end nothing had been told of it.")
            return self.account
        self._judge()
        return self.account

    async def _read(self) -> None:
        line = ClientSession(self._visitor.session)
        async with self._client(line) as events:
            await self._take_all(events, partial(self._act, events, line))
        back = self.habit is Habit.RETURNS and events.state is State.CLOSED and events.stream
        if back:
            await self._come_back(line, events)
        else:
            self._settle(events, line)

    async def _come_back(self, line: ClientSession, events: EventSource) -> None:
        """A reloaded page: a new client that joins the stream by its id."""
        self._left_at = time.monotonic()
        await asyncio.sleep(self._chance.uniform(*AWAY_S))
        self._records.append(Attached("person", self._name, after=len(self._seqs)))
        self._known = len(self._seqs)
        async with self._client(line, join=events.stream, position=events.position) as again:
            await self._take_all(again)
        self._settle(again, line)

    def _returned(self, left_at: float) -> None:
        """Take note of the answer's head after an absence of one's own will."""
        now, self._left_at = time.monotonic(), None
        self.account.reconnects_s.append(now - left_at)
        at_once = now - left_at < AWAY_S[1] + MARGIN_S
        self._count_return(certain=at_once and now < self._over_at - MARGIN_S, attempts=1)

    async def _take_all(self, events: EventSource, act: Callable[[], Awaitable[None]] | None = None) -> None:
        count = 0
        try:
            async for event in events:
                self._take(event)
                count += 1
                if act is not None and count == self._act_after:
                    await act()
        except StreamFailed:
            self._tell_end()

    async def _act(self, events: EventSource, line: ClientSession) -> None:
        if self.habit is Habit.IS_CUT:
            line.cut()
        elif self.habit is Habit.MOVES:
            line.go_dark()
        elif self.habit is Habit.CANCELS:
            self._cancelling = True
            await events.cancel()
        elif self.habit in (Habit.LEAVES, Habit.RETURNS):
            events.close()

    def _take(self, event: Event) -> None:
        known = event_id.parse(event.id)
        if failure_of(event) is not None:
            if not self._cancelling:  # whose stream is stopped hears of it as of any other end
                self._tell_end()
            return
        seq = known.seq if known is not None else 0
        self.account.events += 1
        self._seqs.append(seq)
        self._records.append(Received("person", self._name, seq, content(event.type, event.data)))

    def _tell_end(self) -> None:
        if not self._terminal:
            self._terminal = True
            self.account.failures_told += 1
            self._records.append(HistoryEvent("person", self._name, "terminal"))

    def _client(self, line: ClientSession, **options: Any) -> EventSource:  # noqa: ANN401 - the client's own
        talk = self._talk
        refused = talk.fault is DemoFault.STATUS
        return EventSource(
            f"{self._visitor.url}{talk.target}",
            transport=line,
            method="POST",
            body=talk.body,
            headers={"content-type": "application/json"},
            on_end="reconnect",
            stall_s=self._visitor.stall_s,
            attempts_max=ATTEMPTS_OF_REFUSED if refused else ATTEMPTS_MAX,
            on_state=self._see,
            jitter=self._jitter,
            on_recovered=self._recovered,
            **options,
        )

    def _see(self, state: State, _reason: str) -> None:
        if state is State.STALLED:
            self._stalled_at = time.monotonic()
            self.account.did["noticed that nothing came any more"] += 1
        elif state is State.OPEN and self._left_at is not None:
            self._returned(self._left_at)

    def _recovered(self, recovery: Recovery) -> None:
        self.account.reconnects_s.append(recovery.seconds)
        lost_at = time.monotonic() - recovery.seconds
        certain = (
            recovery.attempts == 1
            and self._stalled_at is None
            and len(self._seqs) > self._known
            and recovery.replayed is not None
            and lost_at < self._over_at - MARGIN_S
        )
        self._stalled_at = None
        self._count_return(certain=certain, attempts=recovery.attempts)

    def _count_return(self, *, certain: bool, attempts: int) -> None:
        if certain:
            self.account.returns += 1
        else:
            self.account.returns_in_doubt += attempts

    def _settle(self, events: EventSource, line: ClientSession) -> None:
        """Return the sidecar's possible outcomes and the reader's end."""
        account, state = self.account, events.state
        account.dropped += events.duplicates
        account.gaps += len(events.gaps)
        if not line.streams:
            account.did["was refused by the backend, and told"] += state is State.FAILED
            account.silent += state is not State.FAILED
            return
        if len(line.streams) > 1:
            account.asked_again += len(line.streams) - 1
            account.breach(f"{self._name} took {len(line.streams)} upstream requests, not one.")
        if state is State.COMPLETED:
            self._records.append(HistoryEvent("person", self._name, "clean_end"))
            account.end(Outcome.COMPLETED)
        elif state is State.FAILED:
            self._settle_failed(events)
        else:
            self._records.append(Left("person", self._name))
            self._settle_left(events, line)

    def _settle_failed(self, events: EventSource) -> None:
        if self._talk.fails:
            self.account.end(self._talk.outcome)
            return
        self.account.end(Outcome.SIDECAR_ERROR)
        told = " ".join(part for part in (events.reason, events.code, events.detail) if part)
        self.account.breach(f"{self._name}, {self.habit}: it failed, though the backend did not: {told}")

    def _settle_left(self, events: EventSource, line: ClientSession) -> None:
        cancelled = self.habit is Habit.CANCELS and events.reason.startswith("You stopped")
        word = Outcome.CLIENT_CANCELLED if cancelled else Outcome.CLIENT_LEFT
        is_sure = cancelled or self.habit is not Habit.CANCELS  # the word of one that failed may have arrived
        if is_sure and line.taken_at is not None and line.taken_at < self._over_at - MARGIN_S:
            self.account.end(word)
        else:
            others = [Outcome.COMPLETED, Outcome.CLIENT_LEFT, Outcome.CLIENT_ABANDONED]
            others += [Outcome.CLIENT_CANCELLED] if self.habit is Habit.CANCELS else []
            self.account.end(word, *(other for other in others if other != word))

    def _judge(self) -> None:
        """Hold the record against what the backend sent."""
        account, talk = self.account, self._talk
        truth = talk.truth()
        if talk.fault is not DemoFault.STATUS:
            backend: list[Record] = [Opened(self._name)]
            backend += [Sent(self._name, seq, each) for seq, each in enumerate(truth, 1)]
            found = invariants.check([*backend, Finished(self._name, whole=not talk.fails), *self._records])
            misled = any(each.rule in ("untold", "ending") for each in found)
            account.silent += misled and not self._terminal
            for each in found:
                account.breach(str(each))
        left = isinstance(self._records[-1], Left)
        due = max(self._seqs, default=0) if left else len(truth)
        account.lost += len(set(range(1, due + 1)) - set(self._seqs))
        account.duplicates += len(self._seqs) - len(set(self._seqs))
