"""Which header fields cross, in each direction, and what is read from them (RFC 9110 section 7.6)."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes

Fields = Sequence[tuple[bytes, bytes]]
"""Header fields as they came: names in lower case, duplicates and order kept."""

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
STREAM_HEADER = b"sse-stream"
REPLAYED_HEADER = b"sse-replayed"
EXPOSED_HEADERS = b"SSE-Stream, SSE-Replayed"
NOT_OF_A_STREAM = frozenset(
    {
        b"content-length",
        b"etag",
        b"age",
        b"accept-ranges",
        b"cache-control",
        b"x-accel-buffering",
        b"vary",
        REPLAYED_HEADER,
        STREAM_HEADER,  # of another sidecar behind this one: its ids are not those that the client gets
    }
)
NOT_REPLAYED = frozenset({b"set-cookie", b"date", b"content-range"})
OF_AN_ENDED_STREAM = frozenset({b"sse-stream", b"cache-control", b"vary"})
CORS_PREFIX = b"access-control-"
NO_BODY_STATUS = frozenset({204, 205, 304})

EVENT_STREAM = b"text/event-stream"
LAST_EVENT_ID = b"last-event-id"
POSITION_PARAMETERS = (b"last_event_id", b"lastEventId")
VARY_BASE = (b"last-event-id",)

_absolute_form = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_events_wish = re.compile(rb"\s*;\s*sse-events\s*=\s*(?:1|\"1\")\s*(?=[;,]|$)", re.IGNORECASE)


def values(fields: Fields, name: bytes) -> list[bytes]:
    """Return every value of a field, in order."""
    return [value for key, value in fields if key == name]


def first(fields: Fields, name: bytes) -> bytes | None:
    """Return the first value of a field."""
    return next((value for key, value in fields if key == name), None)


def end_to_end(fields: Fields) -> list[tuple[bytes, bytes]]:
    """Drop hop-by-hop fields and those that ``Connection`` names (RFC 9110 section 7.6.1)."""
    named = {token.strip().lower() for value in values(fields, b"connection") for token in value.split(b",")}
    drop = HOP_BY_HOP | named
    return [field for field in fields if field[0] not in drop]


def accepts_event_stream(fields: Fields) -> bool:
    """Tell whether ``Accept`` names ``text/event-stream``: the sign of a client that knows event ids."""
    return EVENT_STREAM in _accepted(fields)


def accepts_only_event_stream(fields: Fields) -> bool:
    """Tell whether ``Accept`` leaves the backend no other type."""
    return set(_accepted(fields)) == {EVENT_STREAM}


def _accepted(fields: Fields) -> list[bytes]:
    """Return the media types that ``Accept`` names, without their parameters."""
    items = (item for value in values(fields, b"accept") for item in value.split(b","))
    return [item.partition(b";")[0].strip().lower() for item in items]


def wants_control_events(fields: Fields) -> bool:
    """Tell whether the client asked for ``sse-end`` by ``Accept: text/event-stream; sse-events=1``."""
    return any(_events_wish.search(value) for value in values(fields, b"accept"))


def is_event_stream(status: int, method: str, fields: Fields) -> bool:
    """Tell whether a response becomes a stream: 200, event stream, not to HEAD, not encoded."""
    return (
        status == 200  # noqa: PLR2004 - the status the contract names
        and method != "HEAD"
        and _has_stream_type(fields)
        and not is_encoded(fields)
    )


def is_encoded_event_stream(status: int, method: str, fields: Fields) -> bool:
    """Tell whether a response would be a stream were it not compressed."""
    return status == 200 and method != "HEAD" and _has_stream_type(fields) and is_encoded(fields)  # noqa: PLR2004


def is_encoded(fields: Fields) -> bool:
    """Tell whether the body is encoded."""
    return any(
        value.strip().lower() not in (b"", b"identity") for value in values(fields, b"content-encoding")
    )


def _has_stream_type(fields: Fields) -> bool:
    return (first(fields, b"content-type") or b"").partition(b";")[0].strip().lower() == EVENT_STREAM


def request_fields(fields: Fields, *, client: str, scheme: str, via: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fields of the upstream request.

    ``Expect`` is answered here (RFC 9110 section 10.1.1), an event stream is asked for unencoded, and the way
    is written into ``Via`` and ``X-Forwarded-*``; what a proxy in front wrote there stays.
    """
    streams = accepts_event_stream(fields)
    crossing: list[tuple[bytes, bytes]] = []
    for name, value in end_to_end(fields):
        if name == b"expect" or (streams and name == b"accept-encoding"):
            continue
        crossing.append((name, _events_wish.sub(b"", value) if name == b"accept" else value))
    if streams:
        crossing.append((b"accept-encoding", b"identity"))
    _append(crossing, b"x-forwarded-for", client.encode())
    if first(crossing, b"x-forwarded-proto") is None:
        crossing.append((b"x-forwarded-proto", scheme.encode()))
    host = first(crossing, b"host")
    if host is not None and first(crossing, b"x-forwarded-host") is None:
        crossing.append((b"x-forwarded-host", host))
    _append(crossing, b"via", b"1.1 " + via)
    return crossing


def _append(fields: list[tuple[bytes, bytes]], name: bytes, value: bytes) -> None:
    """Add to a list-valued field: one line more means the same as a comma (RFC 9110 section 5.3)."""
    for index in range(len(fields) - 1, -1, -1):
        if fields[index][0] == name:
            fields[index] = (name, fields[index][1] + b", " + value)
            return
    fields.append((name, value))


def passed_by(fields: Fields, via: bytes) -> bool:
    """Tell whether ``Via`` says that a message was here before (RFC 9110 section 7.6.3)."""
    return any(
        item.split()[1:2] == [via]
        for value in values(fields, b"via")
        for item in value.split(b",")
        if item.split()
    )


def response_fields(status: int, fields: Fields) -> list[tuple[bytes, bytes]]:
    """Return the fields of a response that is not a stream; a status without a body has no length."""
    crossing = end_to_end(fields)
    if status in NO_BODY_STATUS:
        return [field for field in crossing if field[0] != b"content-length"]
    return crossing


def stream_fields(fields: Fields, stream: str, identity: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the response fields of a stream: the backend's, and what keeps caches and buffers away."""
    crossing = [field for field in end_to_end(fields) if field[0] not in NOT_OF_A_STREAM]
    vary = [
        token.strip() for value in values(fields, b"vary") for token in value.split(b",") if token.strip()
    ]
    known = {token.lower() for token in vary}
    vary += [name for name in (*VARY_BASE, *identity) if name not in known]
    if first(crossing, b"access-control-allow-origin") is not None:
        _append(crossing, b"access-control-expose-headers", EXPOSED_HEADERS)
    return [
        *crossing,
        (STREAM_HEADER, stream.encode()),
        (b"cache-control", b"no-store, no-transform"),
        (b"x-accel-buffering", b"no"),
        (b"vary", b", ".join(vary) if b"*" not in known else b"*"),
    ]


def replayed_fields(fields: Fields, replayed: int) -> list[tuple[bytes, bytes]]:
    """Return the response fields of a stream that may be said again: no cookies, no date of the first.

    ``replayed`` says how many of its entries come out of the log; what follows them is live.
    """
    again = [field for field in fields if field[0] not in NOT_REPLAYED]
    return [*again, (REPLAYED_HEADER, b"%d" % replayed)]


def ended_fields(fields: Fields) -> list[tuple[bytes, bytes]]:
    """Return the response fields of a stream that also its 204 needs.

    Without those of CORS a page of another origin would see a network error in it, and ask again for ever.
    """
    return [field for field in fields if field[0] in OF_AN_ENDED_STREAM or field[0].startswith(CORS_PREFIX)]


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request target, both as they were sent, the query without its ``?``."""
    path, _, query = target.partition(b"?")
    return path, query


def origin_form(target: bytes) -> tuple[bytes, bytes | None]:
    """Return a target in origin-form, and its authority if it was in absolute-form (RFC 9112 section 3.2)."""
    found = None if target[:1] == b"/" else _absolute_form.fullmatch(target)
    if found is None:
        return target, None
    path: bytes = found[2]
    return path if path[:1] == b"/" else b"/" + path, found[1]


def position_in_query(query: bytes) -> bytes | None:
    """Return the first position that a query names, for clients that cannot set a header."""
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name in POSITION_PARAMETERS:
            return unquote_to_bytes(value.replace(b"+", b" "))
    return None


def without_position(target: bytes) -> bytes:
    """Return a target without its position parameters, everything else byte for byte."""
    path, mark, query = target.partition(b"?")
    kept = [part for part in query.split(b"&") if part.partition(b"=")[0] not in POSITION_PARAMETERS]
    return path + (mark if kept else b"") + b"&".join(kept)
