"""Every way in which a stream can stand, brought about in the chat by what causes it, and held."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tests.kit.chat import ChatSite

HOLD_S = 60.0
LONG = 2000


@asynccontextmanager
async def connecting(chat: ChatSite) -> AsyncIterator[str]:
    """The network carries nothing from the start."""
    chat.switches.break_for("silent", HOLD_S)
    await chat.ask(n=5)
    yield await chat.until("connecting")
    chat.switches.mend()
    await chat.until("completed")


@asynccontextmanager
async def live(chat: ChatSite) -> AsyncIterator[str]:
    """Tokens arrive."""
    await chat.ask(n=LONG, pace_ms=100)
    await chat.tokens(8)
    yield await chat.until("live")
    await chat.press("Stop")
    await chat.until("closed")


@asynccontextmanager
async def thinking(chat: ChatSite) -> AsyncIterator[str]:
    """The backend is silent, the sidecar is not."""
    await chat.ask(n=40, pace_ms=20, fault="stall")
    yield await chat.until("thinking")
    await chat.press("Stop")
    await chat.until("closed")


@asynccontextmanager
async def stalled(chat: ChatSite) -> AsyncIterator[str]:
    """The network carries nothing any more; held in the third wait, which is the first long one."""
    async with _without_network(chat, "silent", "stalled", "attempt 3") as said:
        yield said


@asynccontextmanager
async def reconnecting(chat: ChatSite) -> AsyncIterator[str]:
    """The network is cut; held in the third wait."""
    async with _without_network(chat, "cut", "reconnecting", "attempt 3, in") as said:
        yield said


@asynccontextmanager
async def _without_network(chat: ChatSite, fault: str, kind: str, words: str) -> AsyncIterator[str]:
    await chat.ask(n=LONG)
    await chat.tokens(8)
    chat.switches.break_for(fault, HOLD_S)
    yield await chat.until(kind, words)
    chat.switches.mend()
    await chat.press("Retry now")
    await chat.until("recovered")
    await chat.press("Stop")
    await chat.until("closed")


@asynccontextmanager
async def recovered(chat: ChatSite) -> AsyncIterator[str]:
    """The connection broke, and is back."""
    await chat.ask(n=LONG)
    await chat.tokens(8)
    chat.network.cut()
    yield await chat.until("recovered")
    await chat.press("Stop")
    await chat.until("closed")


@asynccontextmanager
async def completed(chat: ChatSite) -> AsyncIterator[str]:
    """The answer is whole."""
    await chat.ask(n=30, pace_ms=5)
    yield await chat.until("completed")


@asynccontextmanager
async def failed(chat: ChatSite) -> AsyncIterator[str]:
    """The backend broke off."""
    await chat.ask(n=40, pace_ms=5, fault="reset")
    yield await chat.until("failed")


@asynccontextmanager
async def closed(chat: ChatSite) -> AsyncIterator[str]:
    """The user pressed Stop."""
    await chat.ask(n=LONG)
    await chat.tokens(8)
    await chat.press("Stop")
    yield await chat.until("closed")


STANDS: dict[str, Callable[[ChatSite], AbstractAsyncContextManager[str]]] = {
    stand.__name__: stand
    for stand in (connecting, live, thinking, stalled, reconnecting, recovered, completed, failed, closed)
}
"""Kind of the status element -> what brings it about, for as long as the block lasts; gives what is told."""
