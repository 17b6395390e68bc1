"""The check of the origin of a request that changes state."""

import pytest

from sidecar.http1.same_origin import is_same_origin

HOST = "chat.example"
FRIEND = "https://app.example"


@pytest.mark.parametrize(
    ("origin", "site", "passes"),
    [
        (None, None, True),
        (None, "same-origin", True),
        (None, "none", True),
        (None, "same-site", False),
        (None, "cross-site", False),
        ("https://chat.example", None, True),
        ("https://chat.example", "same-origin", True),
        ("https://chat.example", "cross-site", False),
        ("https://chat.example:8443", None, False),
        ("https://evil.example", None, False),
        ("https://rewritten.example", "same-origin", True),
        ("null", None, False),
        ("", None, False),
        (FRIEND, "cross-site", True),
        (FRIEND, None, True),
    ],
)
def test_a_request_passes_from_here_or_an_allowed_page(
    origin: str | None, site: str | None, passes: bool
) -> None:
    assert is_same_origin(origin=origin, site=site, host=HOST, allowed=[FRIEND]) is passes


def test_without_a_host_a_page_does_not_pass() -> None:
    assert not is_same_origin(origin="https://chat.example", site=None, host=None)
