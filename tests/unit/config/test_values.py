"""The written forms of settings: accepted, converted and refused ones."""

import pytest

from sidecar.config.bounds import size_text
from sidecar.config.load import ConfigError, Settings, load


def _with(**values: object) -> Settings:
    return load(None, {}, {"upstream": "http://h", **values})


def _refuses(**values: object) -> None:
    with pytest.raises(ConfigError) as refused:
        _with(**values)
    assert [fault.setting.partition("[")[0] for fault in refused.value.faults] == list(values)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://backend/", "http://backend"),
        ("https://backend.example:8443/api/v1/", "https://backend.example:8443/api/v1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://my_service:80", "http://my_service:80"),
    ],
)
def test_a_backend_is_a_plain_url(given: str, kept: str) -> None:
    assert _with(upstream=given).upstream == kept


@pytest.mark.parametrize(
    "given",
    ["", "backend:8000", "ftp://h", "http://", "http://:80", "http://u@h", "http://u:p@h", "http://h?a", "http://h#a",
     "http://h:0", "http://h:99999", "http://h:x", "http://h h",
     "http://h\n", "http://ö", "http://[::1", "//h", 3,
     None, "http://" + "h" * 3000],
)  # fmt: skip
def test_any_other_backend_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match=r"^upstream: "):
        load(None, {}, {"upstream": given})


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:8080", ("::1", 8080)),
        ("[::]:0", ("::", 0)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_a_listening_address_is_host_and_port(given: str, address: tuple[str, int]) -> None:
    assert _with(listen=given).listen_address == address


@pytest.mark.parametrize(
    "given",
    [
        "8080",
        ":8080",
        "h:",
        "h:65536",
        "h:-1",
        "h:٣",
        "::1:8080",
        "[::1]",
        "[x]:1",
        "[::1]8080",
        "a b:1",
        "-h:1",
    ],
)
def test_any_other_address_is_refused(given: str) -> None:
    _refuses(listen=given)


def test_both_listeners_may_ask_for_any_free_port() -> None:
    assert _with(listen="127.0.0.1:0", admin_listen="127.0.0.1:0").listen_address[1] == 0


@pytest.mark.parametrize("given", ["/_sse", "/internal/sse", "/~a.b-c"])
def test_a_reserved_prefix_is_a_plain_path(given: str) -> None:
    assert _with(reserved_prefix=given).reserved_prefix == given


@pytest.mark.parametrize(
    "given", ["/", "_sse", "/_sse/", "/a%2Fb", "//a", "/a//b", "/..", "/a/./b", "/a?b", "/a b", "/a*"]
)
def test_any_other_prefix_is_refused(given: str) -> None:
    _refuses(reserved_prefix=given)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("header:X-User", ("header:x-user",)),
        ("header:authorization, cookie:SID", ("header:authorization", "cookie:SID")),
        (["cookie:a", "cookie:a"], ("cookie:a",)),
        ("capability", ("capability",)),
        (["capability"], ("capability",)),
    ],
)
def test_principal_inputs_are_a_list(given: object, kept: tuple[str, ...]) -> None:
    assert _with(principal=given).principal == kept


def test_a_claim_counts_with_an_authorization_check() -> None:
    assert _with(principal="jwt:https://x/role", auth_check="http://h/a?b=c").principal == (
        "jwt:https://x/role",
    )


@pytest.mark.parametrize(
    "given",
    [
        ",",
        "header:",
        "header:a b",
        "authorization",
        "jwt:",
        "capability,header:a",
        "body:x",
        [3],
        [f"cookie:{n}" for n in range(9)],
    ],
)
def test_any_other_principal_is_refused(given: object) -> None:
    _refuses(principal=given)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Chat.Example.com", "https://chat.example.com"),
        ("https://a:443", "https://a"),
        ("http://a:80", "http://a"),
        ("http://a:8080", "http://a:8080"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_kept_as_browsers_write_it(given: str, kept: str) -> None:
    assert _with(allowed_origins=given).allowed_origins == (kept,)


@pytest.mark.parametrize("given", ["*", "null", "https://a/", "https://a/b", "https://a?b", "a.example"])
def test_any_other_origin_is_refused(given: str) -> None:
    _refuses(allowed_origins=given)


@pytest.mark.parametrize(
    ("given", "size"), [("1MiB", 1_048_576), ("64 KiB", 65_536), ("1048577", 1_048_577), (2**21, 2**21)]
)
def test_a_size_may_have_a_unit(given: object, size: int) -> None:
    assert _with(header_bytes_max=given).header_bytes_max == size


@pytest.mark.parametrize("given", ["1MB", "1 TiB", "-1MiB", "1.5MiB", "MiB", "", True, 1.5, "9" * 5000])
def test_any_other_size_is_refused(given: object) -> None:
    _refuses(log_bytes_total_max=given)


@pytest.mark.parametrize("given", [0, 3600, "0.0", "2.5", "3600.0"])
def test_a_number_at_its_bounds_is_accepted(given: object) -> None:
    assert _with(drain_s=given).drain_s == float(str(given))


@pytest.mark.parametrize(
    "given", [-0.001, 3600.001, "NaN", "inf", "-inf", float("nan"), "x", True, False, "off", "1s"]
)
def test_any_other_number_is_refused(given: object) -> None:
    _refuses(drain_s=given)


@pytest.mark.parametrize("length", [32, 2048])
def test_a_secret_of_allowed_length_is_accepted(length: int) -> None:
    secret = _with(secret="x" * length).secret
    assert secret is not None
    assert len(secret.get_secret_value()) == length


@pytest.mark.parametrize("length", [1, 31, 2049])
def test_any_other_secret_is_refused(length: int) -> None:
    _refuses(secret="x" * length)


def test_a_level_may_be_shouted() -> None:
    assert (_with(log_level="WARNING").log_level, _with(log_format="Console").log_format) == (
        "warning",
        "console",
    )


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("name", ""), ("name", "Chat"), ("name", "a" * 33), ("name", "a b"), ("path", "v1"), ("path", "/a?b"),
        ("path", "/a#b"), ("path", "/ö"), ("path", "/a b"), ("path", "/*/*/*/*/*"), ("path", "/" * 3000),
        ("methods", ["get"]), ("methods", ["GET POST"]), ("methods", [""]), ("methods", 3),
        ("complete_on", ""), ("complete_on", "a\nb"), ("complete_on", "x" * 257), ("heartbeat_s", 0.04),
        ("heartbeat_s", 3601), ("heartbeat_s", True), ("connect_timeout_s", 0), ("connect_timeout_s", "off"),
        ("linger_s", -1), ("log_events_max", 0), ("log_events_max", 1.5), ("log_bytes_max", "1KiB"),
        ("kind", "feed"), ("stamp", True), ("on_disconnect", "stop"), ("upstream_resume", "perhaps"),
    ],
)  # fmt: skip
def test_a_wrong_value_in_a_route_is_refused_by_its_name(key: str, given: object) -> None:
    with pytest.raises(ConfigError) as refused:
        _with(routes=[{"name": "a", key: given}])
    assert {fault.setting for fault in refused.value.faults} <= {f"routes[0].{key}", f"routes[0].{key}[0]"}


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1, "1 bytes"), (1024, "1 KiB"), (1025, "1025 bytes"), (3 * 2**30, "3 GiB")],
)
def test_a_size_is_written_in_the_largest_unit_that_divides_it(size: int, text: str) -> None:
    assert size_text(size) == text
