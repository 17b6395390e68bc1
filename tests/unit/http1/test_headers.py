"""What crosses in each direction: RFC 9110's duties of a gateway, and the contract of a stream's response."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.http1 import headers

Fields = list[tuple[bytes, bytes]]
STREAM = b"text/event-stream"
ADDED_NAMES = {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via", b"accept-encoding"}


def upstream(*fields: tuple[bytes, bytes], client: str = "192.0.2.1", scheme: str = "http") -> Fields:
    return headers.request_fields(fields, client=client, scheme=scheme, via=b"me")


def crossing(*fields: tuple[bytes, bytes]) -> Fields:
    """Return the upstream request's fields without what the sidecar adds at the end."""
    return [field for field in upstream(*fields) if field[0] not in ADDED_NAMES]


def stream(*fields: tuple[bytes, bytes], identity: tuple[bytes, ...] = (b"authorization",)) -> Fields:
    return headers.stream_fields([(b"content-type", STREAM), *fields], "s1x", identity)


# -- hop by hop (RFC 9110 section 7.6.1) ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"],
)
def test_fields_of_one_connection_stay_on_it(name: bytes) -> None:
    assert headers.end_to_end([(b"a", b"1"), (name, b"x"), (b"b", b"2")]) == [(b"a", b"1"), (b"b", b"2")]
    assert crossing((b"a", b"1"), (name, b"x")) == [(b"a", b"1")]
    assert headers.response_fields(200, [(name, b"x"), (b"a", b"1")]) == [(b"a", b"1")]
    assert name not in {field for field, _ in stream((name, b"x"))}


def test_fields_that_connection_names_stay_too_in_any_case_on_any_line() -> None:
    fields = [
        (b"connection", b"close, X-Foo"),
        (b"x-foo", b"1"),
        (b"x-bar", b"2"),
        (b"connection", b" x-BAR ,,"),
        (b"x-foo", b"3"),
        (b"x-food", b"4"),
    ]
    assert headers.end_to_end(fields) == [(b"x-food", b"4")]


def test_duplicates_and_their_order_survive() -> None:
    fields = [
        (b"b", b"1"),
        (b"a", b"2"),
        (b"b", b"3"),
        (b"set-cookie", b"x=1"),
        (b"set-cookie", b"y=2"),
        (b"b", b"1"),
    ]
    assert headers.end_to_end(fields) == fields
    assert crossing(*fields) == fields
    assert headers.response_fields(200, fields) == fields
    assert stream(*fields)[1:7] == fields


# -- the request ---------------------------------------------------------------------------------------------


def test_the_way_is_written_into_the_request() -> None:
    assert upstream((b"host", b"api.example"), (b"accept", b"*/*")) == [
        (b"host", b"api.example"),
        (b"accept", b"*/*"),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", b"api.example"),
        (b"via", b"1.1 me"),
    ]


def test_what_a_proxy_in_front_wrote_stays_and_is_continued() -> None:
    assert upstream(
        (b"host", b"inner"),
        (b"x-forwarded-for", b"203.0.113.9"),
        (b"x-forwarded-for", b"198.51.100.7"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"api.example"),
        (b"via", b"2 edge"),
    ) == [
        (b"host", b"inner"),
        (b"x-forwarded-for", b"203.0.113.9"),
        (b"x-forwarded-for", b"198.51.100.7, 192.0.2.1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"api.example"),
        (b"via", b"2 edge, 1.1 me"),
    ]


def test_without_a_host_none_is_made_up() -> None:
    assert b"x-forwarded-host" not in {name for name, _ in upstream((b"a", b"1"))}


def test_expect_is_answered_here_and_does_not_cross() -> None:
    assert crossing((b"expect", b"100-continue"), (b"a", b"1")) == [(b"a", b"1")]


@pytest.mark.parametrize("accept", [STREAM, b"application/json, Text/Event-Stream;q=0.5"])
def test_an_event_stream_is_asked_for_unencoded(accept: bytes) -> None:
    fields = upstream((b"accept", accept), (b"accept-encoding", b"gzip"), (b"accept-encoding", b"br"))
    assert headers.values(fields, b"accept-encoding") == [b"identity"]


def test_anything_else_may_be_encoded_as_the_client_likes() -> None:
    fields = upstream((b"accept", b"application/json"), (b"accept-encoding", b"gzip"))
    assert headers.values(fields, b"accept-encoding") == [b"gzip"]
    assert headers.values(upstream((b"a", b"1")), b"accept-encoding") == []


@pytest.mark.parametrize(
    ("accept", "asked"),
    [
        (b"text/event-stream", b"text/event-stream"),
        (b"text/event-stream; sse-events=1", b"text/event-stream"),
        (b"text/event-stream;sse-events=1", b"text/event-stream"),
        (b"text/event-stream ; SSE-Events = 1", b"text/event-stream"),
        (b'text/event-stream; sse-events="1"', b"text/event-stream"),
        (b"text/event-stream;sse-events=1;q=0.9", b"text/event-stream;q=0.9"),
        (b"text/event-stream;q=0.9; sse-events=1, */*", b"text/event-stream;q=0.9, */*"),
        (b"application/json, text/event-stream; sse-events=1", b"application/json, text/event-stream"),
    ],
)
def test_the_wish_for_control_events_is_heard_and_the_backend_never_sees_it(
    accept: bytes, asked: bytes
) -> None:
    assert headers.wants_control_events([(b"accept", accept)]) == (accept != asked)
    assert headers.values(upstream((b"accept", accept)), b"accept") == [asked]


@pytest.mark.parametrize(
    "accept",
    [
        b"text/event-stream; sse-events=0",
        b"text/event-stream; sse-events=10",
        b"text/event-stream; sse-events=12",
        b"text/event-stream; sse-events=1.5",
        b'text/event-stream; sse-events="1',
        b"text/event-stream; xsse-events=1",
        b"text/event-stream; sse-events",
    ],
)
def test_what_is_not_the_wish_crosses_untouched(accept: bytes) -> None:
    assert not headers.wants_control_events([(b"accept", accept)])
    assert headers.values(upstream((b"accept", accept)), b"accept") == [accept]


@pytest.mark.parametrize(
    ("accept", "names", "only"),
    [
        ([b"text/event-stream"], True, True),
        ([b"TEXT/EVENT-STREAM; charset=utf-8"], True, True),
        ([b"text/event-stream, text/event-stream;q=0.1"], True, True),
        ([b"application/json", b"text/event-stream"], True, False),
        ([b"application/json,text/event-stream"], True, False),
        ([b"*/*"], False, False),
        ([b"text/*"], False, False),
        ([b"text/event-stream-x"], False, False),
        ([b"x-text/event-stream"], False, False),
        ([b""], False, False),
        ([], False, False),
    ],
)
def test_accept_is_read_type_by_type(accept: list[bytes], names: bool, only: bool) -> None:
    fields = [(b"accept", value) for value in accept]
    assert headers.accepts_event_stream(fields) is names
    assert headers.accepts_only_event_stream(fields) is only


@pytest.mark.parametrize(
    ("via", "passed"),
    [
        ([b"1.1 me"], True),
        ([b"2 edge, 1.1 me (note), 1.1 other"], True),
        ([b"2 edge", b"HTTP/1.1  me"], True),
        ([b"1.1 me2"], False),
        ([b"1.1 you (1.1 me)"], False),
        ([b"me"], False),
        ([b",, ,"], False),
        ([b""], False),
        ([], False),
    ],
)
def test_a_request_that_was_here_before_is_known_by_via(via: list[bytes], passed: bool) -> None:
    assert headers.passed_by([(b"via", value) for value in via], b"me") is passed


# -- which responses become streams --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [STREAM, b"text/event-stream; charset=utf-8", b" Text/Event-Stream ;x=y", b"text/event-stream;"],
)
def test_a_200_with_an_event_stream_becomes_a_stream(content_type: bytes) -> None:
    assert headers.is_event_stream(200, "GET", [(b"content-type", content_type)])
    assert headers.is_event_stream(
        200, "POST", [(b"content-type", content_type), (b"content-encoding", b"identity")]
    )


@pytest.mark.parametrize(
    ("status", "method", "fields"),
    [
        (201, "GET", [(b"content-type", STREAM)]),
        (206, "GET", [(b"content-type", STREAM)]),
        (500, "GET", [(b"content-type", STREAM)]),
        (200, "HEAD", [(b"content-type", STREAM)]),
        (200, "GET", [(b"content-type", b"text/event-streams")]),
        (200, "GET", [(b"content-type", b"application/json")]),
        (200, "GET", [(b"content-type", b"application/json"), (b"content-type", STREAM)]),
        (200, "GET", []),
        (200, "GET", [(b"content-type", STREAM), (b"content-encoding", b"gzip")]),
    ],
)
def test_nothing_else_does(status: int, method: str, fields: Fields) -> None:
    assert not headers.is_event_stream(status, method, fields)


def test_a_stream_that_is_compressed_is_recognised_as_such() -> None:
    encoded = [(b"content-type", STREAM), (b"content-encoding", b"br")]
    assert headers.is_encoded_event_stream(200, "GET", encoded)
    assert not headers.is_encoded_event_stream(200, "HEAD", encoded)
    assert not headers.is_encoded_event_stream(404, "GET", encoded)
    assert not headers.is_encoded_event_stream(200, "GET", encoded[:1])
    assert not headers.is_encoded_event_stream(200, "GET", encoded[1:])


# -- the response --------------------------------------------------------------------------------------------


def test_a_streams_response_says_what_it_is_and_keeps_caches_and_buffers_away() -> None:
    assert stream() == [
        (b"content-type", STREAM),
        (b"sse-stream", b"s1x"),
        (b"cache-control", b"no-store, no-transform"),
        (b"x-accel-buffering", b"no"),
        (b"vary", b"last-event-id, authorization"),
    ]


@pytest.mark.parametrize(
    "field",
    [
        (b"content-length", b"5"),
        (b"etag", b'"x"'),
        (b"age", b"7"),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"public, max-age=60"),
        (b"x-accel-buffering", b"yes"),
        (b"sse-stream", b"of another sidecar"),
        (b"sse-replayed", b"7"),
    ],
)
def test_what_is_not_true_of_a_stream_does_not_cross(field: tuple[bytes, bytes]) -> None:
    assert stream(field) == stream()


@pytest.mark.parametrize(
    ("backend", "identity", "vary"),
    [
        ([], [], b"last-event-id"),
        ([b"Accept"], [b"cookie"], b"Accept, last-event-id, cookie"),
        ([b"Accept, Last-Event-ID", b"Origin"], [], b"Accept, Last-Event-ID, Origin"),
        ([b"AUTHORIZATION"], [b"authorization"], b"AUTHORIZATION, last-event-id"),
        ([b"*"], [b"authorization"], b"*"),
        ([b"Accept, *"], [], b"*"),
        ([b", ,"], [], b"last-event-id"),
    ],
)
def test_vary_is_extended_without_saying_anything_twice(
    backend: list[bytes], identity: list[bytes], vary: bytes
) -> None:
    fields = stream(*((b"vary", value) for value in backend), identity=tuple(identity))
    assert headers.values(fields, b"vary") == [vary]


def test_a_page_of_another_origin_may_read_the_streams_name_if_it_may_read_the_answer() -> None:
    allowed = (b"access-control-allow-origin", b"https://app.example")
    exposed = b"access-control-expose-headers"
    assert headers.values(stream(allowed), exposed) == [b"SSE-Stream, SSE-Replayed"]
    assert headers.values(stream(allowed, (exposed, b"X-A")), exposed) == [b"X-A, SSE-Stream, SSE-Replayed"]
    assert headers.values(stream((exposed, b"X-A")), exposed) == [b"X-A"]
    assert headers.values(stream(), exposed) == []


def test_a_replay_says_its_length_sets_no_cookies_and_carries_no_date_of_the_first_answer() -> None:
    fields = [
        (b"set-cookie", b"a=1"),
        (b"x-a", b"1"),
        (b"date", b"now"),
        (b"content-range", b"x"),
        (b"vary", b"*"),
    ]
    assert headers.replayed_fields(fields, 12) == [(b"x-a", b"1"), (b"vary", b"*"), (b"sse-replayed", b"12")]


@pytest.mark.parametrize(
    ("status", "kept"), [(200, True), (206, True), (404, True), (204, False), (205, False), (304, False)]
)
def test_a_status_without_a_body_has_no_length(status: int, kept: bool) -> None:
    fields = [(b"content-length", b"0"), (b"a", b"1")]
    assert headers.response_fields(status, fields) == (fields if kept else fields[1:])


def test_values_of_a_field_come_in_order() -> None:
    fields = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert headers.values(fields, b"a") == [b"1", b"3"]
    assert (headers.first(fields, b"a"), headers.first(fields, b"c")) == (b"1", None)


@given(st.lists(st.tuples(st.binary(max_size=8).map(bytes.lower), st.binary(max_size=12)), max_size=6))
def test_fields_of_any_bytes_are_harmless(fields: Fields) -> None:
    upstream(*fields)
    stream(*fields)
    for _, value in fields:
        for name in (b"accept", b"connection", b"via", b"vary", b"content-type", b"content-encoding"):
            odd = [(name, value)]
            upstream(*odd)
            stream(*odd)
            headers.is_event_stream(200, "GET", odd)
            headers.passed_by(odd, b"me")
