"""Change streams between the sidecar and its client, such as a canary."""

import asyncio
from collections.abc import Callable

from tests.kit.client import SSEClient
from tests.kit.fake_upstream import RecordedRequest, Script, UpstreamConnection
from tests.kit.response import BodyEnded

HOP_BY_HOP = ("connection", "transfer-encoding", "keep-alive", "content-length")
PATIENCE_S = 30.0
NO_CONTENT = 204

Tamper = Callable[[bytes], bytes | None]
"""Return the piece to forward, or None to end the body cleanly here."""


def untouched(piece: bytes) -> bytes:
    """Return the piece unchanged."""
    return piece


class TamperingProxy:
    """The router of a FakeUpstream that sends every request on, once it is known where the sidecar listens.

    ``connections`` meddle with the first, second ... request; later ones are left alone.
    """

    def __init__(self, *connections: Tamper) -> None:
        self._connections = connections
        self._seen = 0
        self._client: asyncio.Future[SSEClient] = asyncio.get_running_loop().create_future()

    def stand_before(self, client: SSEClient) -> None:
        """Set the sidecar that receives the requests."""
        self._client.set_result(client)

    def __call__(self, _request: RecordedRequest) -> Script:
        """See Router."""
        meddle = self._connections[self._seen] if self._seen < len(self._connections) else untouched
        self._seen += 1

        async def script(connection: UpstreamConnection) -> None:
            client = await asyncio.wait_for(asyncio.shield(self._client), PATIENCE_S)
            await _relay(connection, client, meddle)

        return script


async def _relay(connection: UpstreamConnection, client: SSEClient, meddle: Tamper) -> None:
    """Answer one request; a peer that leaves shows when the next piece is written."""
    asked = connection.request
    body = await connection.body(PATIENCE_S)
    try:
        async with client.open(asked.method, asked.target, asked.headers, body, accept=None) as response:
            kept = [field for field in response.headers if field[0].lower() not in HOP_BY_HOP]
            framing = [("Transfer-Encoding", "chunked")] if response.status != NO_CONTENT else []
            await connection.send_head(response.status, [*kept, *framing])
            while (piece := await response.more()) and (sent := meddle(piece)) is not None:
                await connection.write(sent)
    except (BodyEnded, ConnectionError):  # the sidecar has ended, at the end of a test
        await connection.reset()
        return
    await connection.end()
