"""Break a client's connection and wait until the client is back."""

from pathlib import Path

from sidecar.http1.protocol import RequestConnection
from sidecar.streams.stream import Stream
from sidecar.streams.subscriber import Subscriber
from tests.kit.running import RunningSidecar


async def delivered(sc: RunningSidecar, events: int) -> Stream:
    """Wait until a client has read so many events, and return the stream."""
    await sc.until(lambda: _find(sc, events))
    stream = _find(sc, events)
    assert stream is not None
    return stream


def _find(sc: RunningSidecar, events: int) -> Stream | None:
    streams = sc.parts.hub.streams.values()
    there = (s for s in streams if s.readers and s.ledger.delivered_seq >= events)
    return next((s for s in there if not any(map(_untaken_bytes, s.readers))), None)


def _untaken_bytes(reader: object) -> int:
    """Return the bytes in a client's receive queue (proc(5), /proc/net/tcp).

    A reset would discard them.
    """
    assert isinstance(reader, Subscriber)
    assert isinstance(reader._connection, RequestConnection)
    _, port = reader._connection._transport.get_extra_info("peername")
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    queues = [fields[4] for fields in sockets if fields[1].endswith(f":{port:04X}")]
    return sum(int(queue.partition(":")[2], 16) for queue in queues)


async def beaten(sc: RunningSidecar, heartbeats: int = 1) -> None:
    """Wait for so many further heartbeats."""
    before = sc.metric("sse_heartbeats_total")
    await sc.until(lambda: sc.metric("sse_heartbeats_total") >= before + heartbeats)


def kill(stream: Stream) -> None:
    """Close the connections of a stream's readers, whatever is still unsent."""
    for reader in list(stream.readers):
        assert isinstance(reader, Subscriber)
        reader._connection.kill()


async def cut(sc: RunningSidecar, stream: Stream) -> None:
    """Close them while there is more to come; back when one reads again."""
    gone = list(stream.readers)
    kill(stream)
    await sc.until(lambda: stream.readers and not any(reader in stream.readers for reader in gone))
