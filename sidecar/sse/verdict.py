"""Decide how a stream ended, from its events and the end of its body.

A clean end of the body proves nothing: the clients of OpenAI, Anthropic, Google and the AI SDK take a
truncated response for a complete one. So a stream of a known protocol completes only with its terminal
event, and an error event fails it whatever the status.
"""

from collections.abc import Collection
from typing import NamedTuple

from sidecar.observability import errors
from sidecar.observability.labels import Outcome, SilentKind
from sidecar.sse.framing import data_of, type_of
from sidecar.sse.protocols.provider import ERROR_SIGN, Provider
from sidecar.sse.protocols.registry import PLAIN, detect, detect_response

DETECT_EVENTS_MAX = 8
"""Events that are searched for a protocol. After them it is unknown, and a clean end completes the stream."""


class Ending(NamedTuple):
    """How an upstream ended; ``error`` is None if it completed."""

    outcome: Outcome
    error: type[errors.SidecarError] | None = None
    silent: SilentKind | None = None
    """The kind of silent failure that the client would have seen without the sidecar."""

    told: bool = False
    """The log holds the upstream's own error event, so the sidecar adds none."""


class StreamVerdict:
    """Watches one stream: ``observe`` each event, then call ``ending``.

    ``complete_on`` is the route's setting: ``auto`` (the protocol's terminal event), ``eof`` (any clean end),
    or the event name or the data that marks completion.
    """

    __slots__ = (
        "_complete_on",
        "_error_unsent",
        "_live",
        "_marker",
        "_to_detect",
        "complete",
        "error_seen",
        "provider",
    )

    def __init__(self, complete_on: str = "auto", *, live: bool = False) -> None:
        self._complete_on = complete_on
        self._live = live
        self._marker = None if complete_on in ("auto", "eof") else complete_on.encode()
        self._to_detect = DETECT_EVENTS_MAX if self._marker is None else 0
        self.provider: Provider = PLAIN
        self.complete = False
        self.error_seen = False
        self._error_unsent = False

    @property
    def family(self) -> str:
        """The name of the protocol, ``unknown`` if none was detected."""
        return self.provider.name

    def observe_response(self, field_names: Collection[bytes]) -> None:
        """Detect the protocol from the lower-case names of response fields."""
        if self._to_detect:
            self._recognise(detect_response(field_names))

    def observe(self, event: bytes) -> None:
        """Note one event, as framing returns it."""
        if self._to_detect:
            self._to_detect -= 1
            self._recognise(detect(event))
        provider = self.provider
        if provider is PLAIN:
            self._observe_plain(event)
        elif event.find(ERROR_SIGN) >= 0 and provider.is_error(event):
            self.error_seen = True
        elif provider.is_terminal(event):
            self.complete = True

    def observe_rest(self, rest: bytes) -> None:
        """Note the unfinished block at a clean end, which clients ignore."""
        sent = self.error_seen
        if rest:
            self.observe(rest)
        self._error_unsent = self.error_seen and not sent
        self.error_seen |= sent

    def ending(self, *, events: int) -> Ending:
        """Judge a clean end of the body after this many events."""
        if self.error_seen:
            return Ending(Outcome.UPSTREAM_ERROR, errors.UpstreamReportedError, told=not self._error_unsent)
        if self.complete or self._complete_on == "eof":
            return Ending(Outcome.COMPLETED)
        if self._marker is None and self.provider.completes_without_terminal(live=self._live):
            if events or self._live:
                return Ending(Outcome.COMPLETED)
            return Ending(Outcome.UPSTREAM_TRUNCATED, errors.UpstreamEmpty, silent=SilentKind.EMPTY)
        return Ending(Outcome.UPSTREAM_TRUNCATED, errors.UpstreamTruncated, silent=SilentKind.TRUNCATED)

    def broken(self, error: type[errors.SidecarError]) -> Ending:
        """Judge an upstream that failed; an earlier terminal completes it."""
        if self.error_seen:
            return Ending(Outcome.UPSTREAM_ERROR, errors.UpstreamReportedError, told=True)
        if self.complete:
            return Ending(Outcome.COMPLETED)
        if issubclass(error, errors.UpstreamIdle):
            return Ending(Outcome.STALL_UNRECOVERED, error, silent=SilentKind.HUNG)
        if issubclass(error, errors.UpstreamReset):
            return Ending(Outcome.UPSTREAM_TRUNCATED, error)
        if issubclass(error, errors.UpstreamError):
            return Ending(Outcome.UPSTREAM_ERROR, error)
        return Ending(Outcome.SIDECAR_ERROR, error)

    def _observe_plain(self, event: bytes) -> None:
        if event.find(ERROR_SIGN) >= 0 and PLAIN.is_error(event):
            self.error_seen = True
        elif self._live:
            self.error_seen = False  # an endless feed that continues has not failed
        if self._marker is not None and _is_marked(event, self._marker):
            self.complete = True

    def _recognise(self, provider: Provider | None) -> None:
        if provider is not None:
            self.provider = provider
            self._to_detect = 0


def _is_marked(event: bytes, marker: bytes) -> bool:
    """Return whether the type or the data of an event is the marker."""
    return marker in event and (type_of(event) == marker or data_of(event).strip() == marker)
