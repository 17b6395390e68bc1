"""The policy of a request: the first matching route, else the default."""

import pytest

from sidecar.config.routes import RoutePolicy, RouteTable

CHAT = RoutePolicy(name="chat", path="/v1/*", methods=("POST",))
FEED = RoutePolicy(name="feed", path="/v1/feed")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/*", "/", True),
        ("/*", "/a/b?", True),
        ("/v1/chat", "/v1/chat", True),
        ("/v1/chat", "/v1/chat/", False),
        ("/v1/chat", "/v1/CHAT", False),
        ("/v1/*/stream", "/v1/a/b/stream", True),
        ("/v1/*/stream", "/v1/stream", False),
        ("/a.b+c(d)", "/a.b+c(d)", True),
        ("/a.b", "/axb", False),
        ("/%2F", "/%2F", True),
        ("/%2F", "//", False),
        ("/*", "/a\nb", True),
        ("/v1/chat", "/v1/chat\n", False),
    ],
)
def test_a_star_is_any_run_of_characters_and_all_else_is_itself(
    pattern: str, path: str, matches: bool
) -> None:
    assert RoutePolicy(path=pattern).matches("GET", path) is matches


def test_a_route_serves_its_methods_or_all_methods_without_any() -> None:
    assert FEED.matches("BREW", "/v1/feed")
    assert CHAT.matches("POST", "/v1/chat")
    assert not CHAT.matches("GET", "/v1/chat")


def test_the_first_match_wins_and_what_none_takes_gets_the_default() -> None:
    table = RouteTable([CHAT, FEED])
    assert table.match("POST", "/v1/feed") is CHAT
    assert table.match("GET", "/v1/feed") is FEED
    assert table.match("GET", "/other") is table.default
    assert table.names == ("chat", "feed", "default")


def test_a_route_named_default_is_the_default() -> None:
    mine = RoutePolicy(name="default", path="/only-this", heartbeat_s=3.0)
    table = RouteTable([CHAT, mine])
    assert table.match("GET", "/elsewhere") is mine
    assert table.names == ("chat", "default")


def test_a_policy_is_its_options() -> None:
    assert RoutePolicy(path="/a") == RoutePolicy(path="/a")
    assert RoutePolicy(path="/a") != RoutePolicy(path="/b")
