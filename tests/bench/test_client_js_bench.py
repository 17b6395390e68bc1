"""The browser client is fast enough that nobody has to think of it."""

import pytest

from tests.bench.browser_client import measure

SHARE_MIN = 1 / 10
"""Of what a parser alone reads in the same CPU time; it is about a quarter, whatever the machine."""


@pytest.mark.needs("npm")
@pytest.mark.slow
def test_dispatching_messages_costs_little_more_than_parsing() -> None:
    (cost,) = measure(0.5, "with ids")
    assert cost.client_mb_per_s >= cost.parser_mb_per_s * SHARE_MIN, cost
