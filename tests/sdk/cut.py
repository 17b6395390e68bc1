"""Breaks a client's connection, as a dying network does, and waits until the client is back."""

from sidecar.stream import Stream
from sidecar.subscriber import Subscriber
from tests.support.running import Running


async def delivered(sc: Running, events: int) -> Stream:
    """Wait until a stream has delivered so many events to a client that still reads, and return it."""
    await sc.until(lambda: _find(sc, events))
    stream = _find(sc, events)
    assert stream is not None
    return stream


def _find(sc: Running, events: int) -> Stream | None:
    streams = sc.parts.hub.streams.values()
    return next((s for s in streams if s.readers and s.ledger.delivered_seq >= events), None)


async def beaten(sc: Running, heartbeats: int = 1) -> None:
    """Wait for so many further heartbeats."""
    before = sc.metric("sse_heartbeats_total")
    await sc.until(lambda: sc.metric("sse_heartbeats_total") >= before + heartbeats)


def kill(stream: Stream) -> None:
    """Close the connections of a stream's readers, whatever is still unsent."""
    for reader in list(stream.readers):
        assert isinstance(reader, Subscriber)
        reader._connection.kill()


async def cut(sc: Running, stream: Stream) -> None:
    """Close them while there is more to come; back when one reads again."""
    gone = list(stream.readers)
    kill(stream)
    await sc.until(lambda: stream.readers and not any(reader in stream.readers for reader in gone))
