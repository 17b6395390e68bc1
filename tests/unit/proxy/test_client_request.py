"""The head of a request, parsed."""

from typing import Any

import pytest

from sidecar.config.routes import RoutePolicy
from sidecar.http1.headers import Fields
from sidecar.proxy.client_request import ClientRequest

EVENT_STREAM: Fields = [(b"accept", b"text/event-stream")]


def request(
    method: str = "GET", target: bytes = b"/chat", fields: Fields = (), **scope: object
) -> ClientRequest:
    """Parse a request; ``scope`` adds to the ASGI scope."""
    base: dict[str, Any] = {"method": method, "scheme": "http", "headers": [(b"host", b"a.example"), *fields]}
    return ClientRequest.parse({**base, **scope}, target)


def test_a_target_is_split_into_path_and_query() -> None:
    parsed = request(target=b"/a%2F?b=c?d")
    assert (parsed.path, parsed.query, parsed.authority) == (b"/a%2F", b"b=c?d", None)


def test_an_absolute_target_replaces_the_host() -> None:
    parsed = request(target=b"http://b.example/a", fields=[(b"x", b"1")])
    assert (parsed.target, parsed.authority) == (b"/a", b"b.example")
    assert parsed.fields == [(b"host", b"b.example"), (b"x", b"1")]


@pytest.mark.parametrize(
    ("scope", "client"),
    [({"client": ("192.0.2.1", 1)}, "192.0.2.1"), ({"client": None}, "unknown"), ({}, "unknown")],
)
def test_the_client_is_its_address(scope: dict[str, Any], client: str) -> None:
    assert request(**scope).client == client


@pytest.mark.parametrize(
    ("stamp", "fields", "stamped"),
    [
        ("auto", EVENT_STREAM, True),
        ("auto", [], False),
        ("always", [], True),
        ("never", EVENT_STREAM, False),
    ],
)
def test_ids_depend_on_the_route_and_on_accept(stamp: Any, fields: Fields, *, stamped: bool) -> None:
    assert request(fields=fields).is_stamped(RoutePolicy(stamp=stamp)) is stamped


def test_only_a_get_for_events_is_like_an_eventsource() -> None:
    kinds = [
        request(method, fields=fields).like_eventsource
        for method in ("GET", "POST")
        for fields in (EVENT_STREAM, [])
    ]
    assert kinds == [True, False, False, False]


def test_a_request_without_its_position_keeps_everything_else() -> None:
    fields: Fields = [(b"last-event-id", b"x.1"), (b"x", b"1")]
    parsed = request(target=b"/a?lastEventId=x.1&b=%20&last_event_id=x.2", fields=fields)
    cleared = parsed.without_position()
    assert (cleared.target, cleared.path, cleared.query) == (b"/a?b=%20", b"/a", b"b=%20")
    assert cleared.fields == [(b"host", b"a.example"), (b"x", b"1")]
    assert parsed.query == b"lastEventId=x.1&b=%20&last_event_id=x.2"
