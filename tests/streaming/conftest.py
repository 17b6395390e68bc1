"""What the acceptance suite stands on: one run of the scenarios, and a note of every number measured."""

import asyncio
from collections.abc import Callable

import pytest

from sidecar.verify.results import ScenarioResult
from sidecar.verify.results_json import to_json
from sidecar.verify.scenarios import SCENARIOS
from tests.kit.acceptance import NETWORK, AcceptanceRun, run
from tests.kit.acceptance_table import GROUPS, MEASURED, PROMISE, RUN
from tests.kit.scrape import Scrape

SUITE = "test_sse_production.py"
FIXTURES = {scenario.name.replace("-", "_"): {scenario.name} for scenario in SCENARIOS}
FIXTURES |= {"live": set(NETWORK)}
"""Which scenarios a fixture needs."""

Measure = Callable[[str, str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note each test's group and promise: its name's first word and its docstring's first line."""
    for item in items:
        if item.path.name == SUITE and isinstance(item, pytest.Function):
            group = item.name.split("_")[1]
            if group in GROUPS:
                promise = item.function.__doc__.splitlines()[0]
                item.user_properties.append((PROMISE, (group, promise)))


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measure:
    """Note what a promise asks and what was measured, for the table and the results."""

    def note(asked: str, found: str) -> None:
        request.node.user_properties.append((MEASURED, (asked, found)))

    return note


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> AcceptanceRun:
    """Play those scenarios that the chosen tests are about, side by side."""
    chosen = {
        name
        for item in request.session.items
        if item.path.name == SUITE and isinstance(item, pytest.Function)
        for fixture in item.fixturenames
        for name in FIXTURES.get(fixture, ())
    }
    return asyncio.run(run(chosen))


@pytest.fixture
def ran(request: pytest.FixtureRequest, played: AcceptanceRun) -> AcceptanceRun:
    """Return the run; its first test carries it to the results."""
    if not played.written_down:
        played.written_down = True
        request.node.user_properties.append((RUN, to_json(played.results())))
    return played


@pytest.fixture
def live(ran: AcceptanceRun) -> Scrape:
    """Return the metrics of the sidecar that the network scenarios went through."""
    return Scrape.of_text(ran.metrics)


@pytest.fixture
def slow_3g(ran: AcceptanceRun) -> ScenarioResult:
    return ran.scenarios["slow-3g"]


@pytest.fixture
def stall(ran: AcceptanceRun) -> ScenarioResult:
    return ran.scenarios["stall"]


@pytest.fixture
def packet_loss(ran: AcceptanceRun) -> ScenarioResult:
    return ran.scenarios["packet-loss"]


@pytest.fixture
def network_handoff(ran: AcceptanceRun) -> ScenarioResult:
    return ran.scenarios["network-handoff"]


@pytest.fixture
def rapid_reconnects(ran: AcceptanceRun) -> ScenarioResult:
    return ran.scenarios["rapid-reconnects"]


@pytest.fixture
def user_experience(ran: AcceptanceRun) -> ScenarioResult:
    return ran.scenarios["user-experience"]
