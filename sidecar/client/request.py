"""What to ask next: the question itself, or the rest of its answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.client.progress import Progress
from sidecar.sse import event_id

ACCEPT = "text/event-stream"
ACCEPT_TOLD = "text/event-stream; sse-events=1"
"""Also wishes to be told of the end by the sidecar; a server that knows no such parameter ignores it."""

ABOUT_BODY = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case.

    ``repeats`` is whether sending it twice is harmless.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    repeats: bool = True


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """The request that starts or joins a stream.

    ``control`` is the path of the control API, or "" without one.
    """

    url: str
    method: str = "GET"
    body: bytes = b""
    join: str = ""
    control: str = "/_sse"
    key: str = ""
    """Sent as ``Idempotency-Key`` with anything but a GET, where the program sends none."""

    def next(self, progress: Progress, headers: Mapping[str, str]) -> Request:
        """Return the next request; ``headers`` replace the defaults.

        Their names are in lower case.

        A stream that a sidecar keeps is asked for by its name unless asking the URL again is the same thing:
        a GET that goes on behind a stamped message. So a POST is sent once.
        """
        fields = self._usual() | {name: value for name, value in headers.items() if name != "last-event-id"}
        position = progress.position
        named = self.join or (progress.stream if self._by_name(progress) else "")
        if position and (named or self.method == "GET"):
            fields["last-event-id"] = position
        if named:
            return Request("GET", self.control_url(f"streams/{named}"), without_body(fields))
        if self.key and self.control and self.method != "GET":
            fields.setdefault("idempotency-key", self.key)
        return Request(self.method, self.url, fields, self.body, repeats=self.method == "GET")

    def control_url(self, path: str) -> str:
        """Return the URL of a control resource, on the stream's origin."""
        return f"{origin(self.url)}{self.control}/{path}"

    def _usual(self) -> dict[str, str]:
        accept = ACCEPT_TOLD if self.control else ACCEPT
        return {"accept": accept, "accept-encoding": "identity", "cache-control": "no-cache"}

    def _by_name(self, progress: Progress) -> bool:
        if not (self.control and progress.stream):
            return False
        return self.method != "GET" or event_id.parse(progress.last_event_id) is None


def origin(url: str) -> str:
    """Return scheme and authority of an absolute URL."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0].partition('#')[0]}"


def without_body(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a request that has no body and begins nothing."""
    dropped = ABOUT_BODY | {"idempotency-key"}
    return {name: value for name, value in headers.items() if name not in dropped}
