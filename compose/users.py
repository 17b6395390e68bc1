"""A load like that of users, each with several habits."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import aiohttp

from compose import habits
from compose.chat_client import ChatRequest, client
from compose.faults import StackFault

USERS_DEFAULT = 16
USERS_MAX = 500
THINK_S = (0.5, 3.0)
TOKENS = (10, 50)
INTERVAL_MS = (30, 80)
FEED_INTERVAL_MS = 500
BURST_INTERVAL_MS = 10
FAULTY_SHARE = 0.5
"""Of the answers that are asked for while a fault lasts."""

MESSAGES = [{"role": "user", "content": "Tell me about trains."}]
HABITS: dict[str, habits.Habit] = {
    "tunnel": habits.tunnel,
    "vanish": habits.vanish,
    "burst": habits.burst,
    "renewed": habits.renewed,
}


class StackUsers:
    """Users of the service at ``url``.

    ``fault`` applies to the next request, and may change at any time.

    ``seed`` decides who asks what and does what; the order in which the network serves them it does not.
    """

    def __init__(self, url: str, *, seed: int, count: int = USERS_DEFAULT) -> None:
        self.fault: StackFault | None = None
        self.did: Counter[str] = Counter()
        """How often what was done; ``refused`` counts requests that got no answer at all."""

        self._url = url
        self._seed = seed
        self._count = min(count, USERS_MAX)

    async def run(self) -> None:
        """Let everybody do one thing after the other, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._live(number))

    async def _live(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")  # noqa: S311 - a load, no secret
        async with client(self._url, f"user-{number}") as browser:
            await asyncio.sleep(chance.uniform(0, THINK_S[1]))
            while True:
                question, habit = self._draw(chance)
                self.did[habit.__name__] += 1
                try:
                    await habit(browser, question, chance)
                except (aiohttp.ClientError, OSError, TimeoutError):
                    self.did["refused"] += 1
                await asyncio.sleep(chance.uniform(*THINK_S))

    def _draw(self, chance: random.Random) -> tuple[ChatRequest, habits.Habit]:
        """Make up what one user does next."""
        fault = self.fault
        if fault is not None and fault.habit == "burst":
            return ChatRequest("/notifications", {"interval_ms": str(BURST_INTERVAL_MS)}), habits.burst
        (ask,) = chance.choices([*QUESTIONS], [*QUESTIONS.values()])
        question = ask(chance)
        if ask is feed:
            return question, _one_of(habits.FEED_HABITS, chance)
        habit = _one_of(habits.ANSWER_HABITS, chance)
        if fault is None:
            return question, habit
        if fault.habit is not None:
            return question, HABITS[fault.habit]
        if fault.query and chance.random() < FAULTY_SHARE:
            question.query.update(fault.query)
            return question, habits.reads
        return question, habit


def chat(chance: random.Random) -> ChatRequest:
    """Ask in the demo's own form."""
    return ChatRequest("/api/chat", {"prompt": "trains", **_pace(chance)})


def openai(chance: random.Random) -> ChatRequest:
    """Ask in OpenAI's form."""
    return ChatRequest("/v1/chat/completions", _pace(chance), {"stream": True, "messages": MESSAGES})


def claude(chance: random.Random) -> ChatRequest:
    """Ask in Anthropic's form."""
    return ChatRequest("/v1/messages", _pace(chance), {"stream": True, "messages": MESSAGES})


def feed(_chance: random.Random) -> ChatRequest:
    """Follow the notifications."""
    return ChatRequest("/notifications", {"interval_ms": str(FEED_INTERVAL_MS)})


QUESTIONS: dict[Callable[[random.Random], ChatRequest], float] = {chat: 50, openai: 20, claude: 15, feed: 15}
"""How often each is asked, as weights."""


def _pace(chance: random.Random) -> dict[str, str]:
    tokens, interval_ms = chance.randint(*TOKENS), chance.randint(*INTERVAL_MS)
    return {"n": str(tokens), "interval_ms": str(interval_ms), "seed": str(chance.randint(1, 10**6))}


def _one_of(weights: dict[habits.Habit, float], chance: random.Random) -> habits.Habit:
    (habit,) = chance.choices([*weights], [*weights.values()])
    return habit
