"""The habits of a user: read, reconnect, cancel or leave."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from compose.chat_client import ChatClient, ChatRequest

Habit = Callable[[ChatClient, ChatRequest, random.Random], Awaitable[None]]

SOON_EVENTS = (1, 8)
"""How much of an answer is read before something happens."""

FEED_EVENTS = (3, 12)
FEED_MORE_EVENTS = 2
AWAY_S = (0.2, 2.0)
TUNNEL_S = (6.0, 9.0)
"""Beyond the five seconds of the reconnect objective, within the sidecar's linger."""

BURST_EVENTS = 20
BURST_AWAY_S = (2.0, 3.0)


async def reads(client: ChatClient, question: ChatRequest, _chance: random.Random) -> None:
    """Read an answer to its end."""
    async with client.ask(question) as reading:
        await reading.read()


async def loses_the_network(client: ChatClient, question: ChatRequest, chance: random.Random) -> None:
    """Lose the connection, resume a moment later, and read the rest."""
    await _is_away(client, question, chance.randint(*SOON_EVENTS), chance.uniform(*AWAY_S))


async def cancels(client: ChatClient, question: ChatRequest, chance: random.Random) -> None:
    """Press stop."""
    async with client.ask(question) as reading:
        await reading.read(chance.randint(*SOON_EVENTS))
        await client.cancel(reading)


async def leaves(client: ChatClient, question: ChatRequest, chance: random.Random) -> None:
    """Close the tab in the middle of the answer."""
    async with client.ask(question) as reading:
        await reading.read(chance.randint(*SOON_EVENTS))
        reading.leave()


async def follows(client: ChatClient, question: ChatRequest, chance: random.Random) -> None:
    """Follow a feed for a while and leave."""
    async with client.ask(question) as reading:
        await reading.read(chance.randint(*FEED_EVENTS))
        reading.leave()


async def follows_on_the_move(client: ChatClient, question: ChatRequest, chance: random.Random) -> None:
    """Follow a feed with an interruption."""
    events, away_s = chance.randint(*FEED_EVENTS), chance.uniform(*AWAY_S)
    await _is_away(client, question, events, away_s, more=FEED_MORE_EVENTS)


async def tunnel(client: ChatClient, question: ChatRequest, chance: random.Random) -> None:
    """Lose the connection and be away for longer than the objective allows."""
    await _is_away(client, question, chance.randint(*SOON_EVENTS), chance.uniform(*TUNNEL_S))


async def vanish(client: ChatClient, question: ChatRequest, chance: random.Random) -> None:
    """Lose the connection permanently."""
    async with client.ask(question) as reading:
        await reading.read(chance.randint(*SOON_EVENTS))
        reading.cut()


async def burst(client: ChatClient, question: ChatRequest, chance: random.Random) -> None:
    """Be away from a fast feed for longer than its replay log reaches back."""
    away_s = chance.uniform(*BURST_AWAY_S)
    await _is_away(client, question, BURST_EVENTS, away_s, more=FEED_MORE_EVENTS)


async def renewed(client: ChatClient, question: ChatRequest, chance: random.Random) -> None:
    """Lose the connection, and resume with a renewed login."""
    login = f"renewed-{chance.randrange(10**9)}"
    await _is_away(client, question, chance.randint(*SOON_EVENTS), chance.uniform(*AWAY_S), login=login)


async def _is_away(  # noqa: PLR0913, PLR0917 - how, for how long, and what then
    client: ChatClient,
    question: ChatRequest,
    events: int,
    away_s: float,
    more: int | None = None,
    login: str | None = None,
) -> None:
    async with client.ask(question) as reading:
        await reading.read(events)
        reading.cut()
    if reading.ended or not reading.stream:
        return
    await asyncio.sleep(away_s)
    async with client.back(reading, login):
        await reading.read(more)
        reading.leave()


ANSWER_HABITS: dict[Habit, float] = {reads: 60, loses_the_network: 22, cancels: 8, leaves: 10}
FEED_HABITS: dict[Habit, float] = {follows: 60, follows_on_the_move: 40}
"""How often each is seen, as weights."""
