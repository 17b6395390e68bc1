"""The canary's client: read, disconnect, resume and compare."""

from collections.abc import Callable

from sidecar.http1.headers import STREAM_HEADER, first
from sidecar.http1.upstream.client import OutgoingRequest, Upstream
from sidecar.http1.upstream.response import UpstreamResponse
from sidecar.observability import errors
from sidecar.server.canary.known_stream import EVENTS, KnownStream, difference

EVENTS_AGAIN = 3
"""So many of the events before the cut are asked for once more: a client may have lost what it was sent."""


class CanaryProbe:
    """One client with a login of its own."""

    def __init__(self, sidecar: Upstream, target: bytes, authority: str, login: str) -> None:
        """Request ``target`` from the public listener by way of ``sidecar``."""
        self._sidecar = sidecar
        self._target = target
        self._fields = [
            (b"host", authority.encode()),
            (b"accept", b"text/event-stream"),
            (b"authorization", login.encode()),
        ]
        self.stream = ""
        """Token of the stream that is read, or was last."""

    async def read(self, known: KnownStream, cut: Callable[[], None]) -> None:
        """Read a stream in two connections; call ``cut`` between them.

        Raises CanaryMismatch with the first event that is not as it was sent, CanaryIncomplete or
        UpstreamError if there is no answer.
        """
        self.stream = ""
        response = await self._ask(200)
        self.stream = (first(response.fields, STREAM_HEADER) or b"").decode("latin-1")
        try:
            await _hear(response, known.due(self.stream, 0), until=known.events_in_half)
        finally:
            response.close()
        cut()
        seq = max(0, known.events_in_half - EVENTS_AGAIN)
        response = await self._ask(200, seq)
        try:
            await _hear(response, known.due(self.stream, seq), after=seq)
        finally:
            response.close()
        (await self._ask(204, EVENTS)).close()

    async def _ask(self, status: int, seq: int | None = None) -> UpstreamResponse:
        position = [] if seq is None else [(b"last-event-id", b"%b.%d" % (self.stream.encode(), seq))]
        response = await self._sidecar.request(
            OutgoingRequest("GET", self._target, [*self._fields, *position])
        )
        if response.status != status:
            response.close()
            asked = "for the stream" if seq is None else f"for what comes after event {seq}"
            raise errors.CanaryIncomplete(f"status {response.status}, not {status}, asked {asked}")
        return response


async def _hear(
    response: UpstreamResponse, due: list[bytes], *, after: int = 0, until: int | None = None
) -> None:
    """Read a body to its end or ``until`` so many events.

    Raises CanaryMismatch at the first wrong byte.
    """
    whole, heard = b"".join(due), bytearray()
    enough = len(b"".join(due[:until]))
    while until is None or len(heard) < enough:
        chunk = await response.read()
        heard += chunk
        if not whole.startswith(heard) or (not chunk and len(heard) < len(whole)):
            raise errors.CanaryMismatch(difference(due, bytes(heard), after) or "")
        if not chunk:
            return
