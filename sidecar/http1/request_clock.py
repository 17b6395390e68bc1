"""uvicorn's HTTP protocol with a clock: who does not finish asking is not waited for without end."""

import asyncio
from http import HTTPStatus
from typing import Literal, TypeAlias, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from sidecar.http1 import problem
from sidecar.observability import errors, log_events

HEAD_S_MAX = 10.0
"""For the head of a request, from the connection or from the first byte after the last answer."""

BODY_S = 30.0
BODY_BYTES_MIN = 1024
"""To be brought within each ``BODY_S`` of an upload; one whose answer has begun may take its time."""

Owed: TypeAlias = Literal["", "head", "body"]
SECONDS: dict[Owed, float] = {"head": HEAD_S_MAX, "body": BODY_S}

HEAD = (
    b"HTTP/1.1 %d %b\r\n"
    b"Content-Type: application/problem+json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
)


class ClockedProtocol(HttpToolsProtocol):
    """Closes a connection that is only held: 408 (RFC 9110 section 15.5.9), or no word to one that said none.

    What is no HTTP gets 400 and a debug line, since every scan of ports would write a warning.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock of the first request."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._brought_bytes = 0
        self._owed: Owed = ""
        self._paused = False
        self._clock: asyncio.TimerHandle | None = None
        self._expect("head")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._expect("")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and look what is still owed."""
        self._unset_keepalive_if_required()
        self._brought_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._refuse(errors.NotHTTP, type(error).__name__)
        except httptools.HttpParserUpgrade:
            self._unsupported_upgrade_warning()
        owed = self._still_owed()
        if owed != self._owed:
            self._expect(owed)

    def _still_owed(self) -> Owed:
        cycle: RequestResponseCycle | None = self.cycle
        if self.transport.is_closing() or self.timeout_keep_alive_task is not None:
            return ""
        if cycle is None or cycle.response_complete:
            return "head"
        return "body" if cycle.more_body and not cycle.response_started else ""

    def _expect(self, owed: Owed) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        self._owed = owed
        if owed:
            self._brought_bytes = 0 if owed == "body" else self._brought_bytes
            self._paused = self.flow.read_paused
            self._clock = self.loop.call_later(SECONDS[owed], self._expired)

    def _expired(self) -> None:
        self._clock = None
        owed = self._still_owed()
        if owed != self._owed or self._excused():
            self._expect(owed)
        elif self._brought_bytes:
            self._refuse(errors.RequestTooSlow, f"{owed} not complete in time")
        else:
            self.transport.close()

    def _excused(self) -> bool:
        """Tell whether the client has brought enough of its upload, or was not let."""
        if self._owed != "body":
            return False
        held = self._paused or self.flow.read_paused or self.cycle.waiting_for_100_continue
        return held or self._brought_bytes >= BODY_BYTES_MIN

    def _refuse(self, error: type[errors.RequestError], why: str) -> None:
        """Close, with an answer unless one has begun: its bytes would be taken for a part of that one."""
        log_events.request_refused(error.code, why)
        cycle: RequestResponseCycle | None = self.cycle
        if self.pipeline or (cycle is not None and cycle.response_started and not cycle.response_complete):
            self.transport.abort()
            return
        body, phrase = problem.told(error), HTTPStatus(error.status).phrase.encode()
        self.transport.write(HEAD % (error.status, phrase, len(body)) + body)
        self.transport.close()
