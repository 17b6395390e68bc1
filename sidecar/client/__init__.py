"""The Python client: one event stream over several connections.

    from sidecar.client import EventSource

    async with EventSource("https://chat.example/api/chat") as events:
        async for event in events:
            print(event.data)

For programs without asyncio: ``sidecar.client.blocking``. It imports nothing of the server.
"""

from sidecar.client.connection import HttpTransport, Transport
from sidecar.client.event_parser import Event
from sidecar.client.event_source import EventSource
from sidecar.client.state import Gap, Recovery, State, StreamFailed

__all__ = [
    "Event",
    "EventSource",
    "Gap",
    "HttpTransport",
    "Recovery",
    "State",
    "StreamFailed",
    "Transport",
]
