"""Resume, join or repeat: a client reads an existing stream."""

import random
from collections.abc import Mapping, Sequence

from prometheus_client import Counter

from sidecar.http1 import headers
from sidecar.observability import errors
from sidecar.observability.labels import Outcome, ResumeResult
from sidecar.proxy import principal
from sidecar.proxy.auth_check import AuthCheck
from sidecar.proxy.client_request import ClientRequest
from sidecar.proxy.exchange import Exchange
from sidecar.sse import event_id
from sidecar.sse.event_id import EventId
from sidecar.streams.hub import Hub
from sidecar.streams.stream import Stream
from sidecar.streams.subscriber import Subscriber

SHED_RETRY_MS = 2000


class Resume:
    """Authorizes a resume and picks its start position."""

    def __init__(
        self,
        hub: Hub,
        resumes: Mapping[ResumeResult, Counter],
        authorization: AuthCheck,
        principal_inputs: Sequence[str],
        subscribers_per_stream_max: int,
    ) -> None:
        self._hub = hub
        self._resumes = resumes
        self._authorization = authorization
        self._inputs = principal_inputs
        self._subscribers_max = subscribers_per_stream_max
        self.vary = principal.vary(principal_inputs)
        self.draining = False

    def principal_of(self, request: ClientRequest) -> bytes:
        """Return the fingerprint of the principal."""
        return principal.fingerprint(self._inputs, request.fields)

    def position_of(self, request: ClientRequest) -> EventId | None:
        """Return the position of a request, or None.

        None also for an id that the sidecar did not issue.

        The header wins over the query; raises TwoPositions if there are two headers that differ.
        """
        found = headers.values(request.fields, headers.LAST_EVENT_ID)
        if len(set(found)) > 1:
            self._resumes[ResumeResult.BAD_REQUEST].inc()
            raise errors.TwoPositions
        raw = found[0] if found else headers.position_in_query(request.query)
        if not raw:
            return None
        position = event_id.parse(raw.decode("latin-1"))
        if position is None:
            self._resumes[ResumeResult.FOREIGN].inc()
        return position

    async def resume(self, exchange: Exchange, position: EventId) -> bool:
        """Serve the stream of a position; return whether it was served.

        If not, it has expired, and the feed may be requested again.
        """
        stream = await self.find(exchange, position.stream)
        if stream is not None:
            await self.read(exchange, stream, position.seq)
        elif exchange.policy.kind == "live" and exchange.request.method == "GET" and not self.draining:
            return False
        else:
            await self.gone(exchange)
        return True

    async def gone(self, exchange: Exchange, *, asked_for_the_rest: bool = True) -> None:
        """Answer for an expired stream; during a drain, ask to reconnect.

        Without ``asked_for_the_rest`` the client joins, and may have had all of it. Raises ResumeExpired or
        Draining.
        """
        if self.draining:
            await self.shed(exchange)
            return
        if asked_for_the_rest:
            self._count_expired(exchange, ResumeResult.EXPIRED)
        raise errors.ResumeExpired

    async def find(self, exchange: Exchange, stream_id: str) -> Stream | None:
        """Return the principal's stream, or None if it has expired.

        Raises StreamNotFound for an unknown or a forbidden id.
        """
        try:
            self._hub.verify(stream_id, self.principal_of(exchange.request))
            await self._authorization.check(exchange.request)
        except errors.StreamNotFound:
            self._resumes[ResumeResult.REFUSED].inc()
            raise
        return self._hub.find(stream_id)

    async def repeat(self, exchange: Exchange, stream: Stream) -> None:
        """Serve a repeated request: the stream of the first one, from its start."""
        await self._authorization.check(exchange.request)
        if stream.raw is not None:
            raise errors.NotResumable
        stream.metrics.generations_saved += 1
        await self._read(exchange, stream, 0, returning=bool(stream.ledger.delivered_seq))

    async def read(self, exchange: Exchange, stream: Stream, after: int) -> None:
        """Serve the events after a position, then live events.

        Before them a gap, if events are missing. 204 if the stream is complete.
        """
        if self.draining:
            await self.shed(exchange)
            return
        if stream.raw is not None:
            self._count_expired(exchange, ResumeResult.EXPIRED)
            raise errors.NotResumable
        stream.ledger.confirm(after)
        if stream.log.closed and after == stream.log.last_seq and after:
            stream.read_to_end()
            self._resumes[ResumeResult.NO_CONTENT].inc()
            await exchange.answer(204, headers.ended_fields(stream.fields))
            return
        if after:
            self._count_resume(exchange, stream, after)
        await self._read(exchange, stream, after, returning=True)

    async def _read(self, exchange: Exchange, stream: Stream, after: int, *, returning: bool) -> None:
        if len(stream.readers) >= self._subscribers_max:
            raise errors.TooManySubscribers
        exchange.started = True
        stream.metrics.answered(200)
        subscriber = Subscriber(
            stream,
            exchange.connection,
            exchange.send,
            stamped=exchange.request.is_stamped(stream.policy),
            position=after,
            control=headers.wants_control_events(exchange.request.fields),
            returning=returning,
            retry_ms=_retry_ms(stream) if returning else 0,
        )
        replayed = stream.log.held(after if after <= stream.log.last_seq else 0)
        await subscriber.run(headers.replayed_fields(stream.fields, replayed))

    def _count_resume(self, exchange: Exchange, stream: Stream, after: int) -> None:
        stream.metrics.generations_saved += 1
        if stream.log.gap_before(after) is not None:
            self._resumes[ResumeResult.GAP].inc()
        elif stream.ending is not None and stream.ending.error is errors.LingerOver:
            self._count_expired(exchange, ResumeResult.TOO_LATE)
        else:
            self._resumes[ResumeResult.RESUMED].inc()

    def _count_expired(self, exchange: Exchange, result: ResumeResult) -> None:
        """Count a client that resumed too late as a failed stream."""
        self._resumes[result].inc()
        exchange.metrics.streams_started += 1
        exchange.metrics.streams_finished[Outcome.RESUME_EXPIRED].inc()

    async def shed(self, exchange: Exchange) -> None:
        """Ask a client to reconnect elsewhere, during a drain."""
        if not exchange.request.like_eventsource:
            raise errors.Draining
        exchange.metrics.answered(200)
        await exchange.start(200, [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")])
        await exchange.write(b"retry: %d\n" % SHED_RETRY_MS, more=True)
        exchange.connection.abort()


def _retry_ms(stream: Stream) -> int:
    return stream.pace.retry_ms(stream.clock(), random.random())  # noqa: S311 - spreads load, guards nothing
