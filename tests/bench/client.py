"""What the Python client costs per event on this machine: python -m tests.bench.client [EVENTS].

CPU time of this process alone; a child serves the stamped events of a chat answer over a socket of loopback.
"""

import asyncio
import sys
import time

from sidecar.client import EventSource
from sidecar.client.event_parser import EventParser
from tests.kit.user_process import user_process

EVENTS = 100_000
STREAM = "s1" + "A" * 40
DATA = b'data: {"choices":[{"index":0,"delta":{"content":" word"}}],"object":"chat.completion.chunk"}\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSSE-Stream: %b\r\n\r\n" % STREAM.encode()
CHUNK_EVENTS = {"one by one": 1, "400 in a chunk": 400}


def events(first: int, count: int) -> bytes:
    """Return so many stamped events."""
    return b"".join(b"%bid: %b.%d\n\n" % (DATA, STREAM.encode(), first + n) for n in range(count))


def parse_us(count: int, chunk_events: int) -> float:
    """Return the microseconds that the parser alone takes for an event."""
    chunks = [events(first, chunk_events) for first in range(1, count + 1, chunk_events)]
    parser, began = EventParser(), time.process_time()
    parsed = sum(len(parser.feed(chunk)) for chunk in chunks)
    assert parsed == count
    return (time.process_time() - began) / count * 1e6


async def client_us(count: int, chunk_events: int) -> float:
    """Return the microseconds of CPU that the whole client takes for an event."""
    command = [sys.executable, "-m", "tests.bench.client", str(count), str(chunk_events)]
    async with user_process(*command) as server:
        url = await server.line()
        async with EventSource(url, on_end="complete", control="", attempts_max=1) as source:
            first = await anext(source)
            began = time.process_time()
            received = len([event async for event in source])
            spent = time.process_time() - began
    assert (first.id, received) == (f"{STREAM}.1", count - 1)
    return spent / received * 1e6


async def serve(count: int, chunk_events: int) -> None:
    """Serve the events to one client, each chunk in a write of its own."""
    chunks = [events(first, chunk_events) for first in range(1, count + 1, chunk_events)]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    _say("http://{}:{}/".format(*server.sockets[0].getsockname()))
    await server.serve_forever()


def main(arguments: list[str]) -> None:
    """Print the figures, or serve them."""
    count = int(arguments[0]) if arguments else EVENTS
    if len(arguments) > 1:
        asyncio.run(serve(count, int(arguments[1])))
    size = len(events(1, 1))
    _say(f"{count} stamped events of {size} bytes, CPU microseconds for each")
    for name, chunk_events in CHUNK_EVENTS.items():
        parse = parse_us(count, chunk_events)
        whole = asyncio.run(client_us(count, chunk_events))
        _say(f"{name:>15}: {parse:5.1f} parser ({size / parse:3.0f} MB/s), {whole:5.1f} whole client")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
