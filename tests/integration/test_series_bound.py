"""However hostile the traffic, a scrape has the series it had at the start, and no more than promised."""

import os
import random
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.config.routes import CANARY_ROUTE, ROUTES_MAX
from sidecar.observability.catalogue import CATALOGUE, SERIES_MAX, SERIES_OF_PROCESS_MAX, SERIES_PER_ROUTE_MAX
from sidecar.observability.metrics import Metrics
from tests.kit.client import SSEClient
from tests.kit.fake_upstream import Ending, FakeUpstream, RecordedRequest, Script, plain, sse
from tests.kit.promtool import needs_promtool, tool
from tests.kit.running import RunningSidecar, running

REQUESTS = 200
ROUTES = [{"name": "chat", "path": "/v1/*"}, {"name": "feed", "path": "/feed", "kind": "live"}]
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND", "X-OWN", "GeT")
NASTY = (
    '"',
    "\\",
    "{",
    "}",
    ",",
    "=",
    "%0A",
    "%00",
    "%22",
    "..",
    "//",
    "é",
    "route",
    "le",
    "chat",
    "x" * 500,
)
FIELDS = ("Authorization", "Cookie", "Last-Event-ID", "Idempotency-Key", "X-Route", "Accept", "Origin")
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

Series = frozenset[tuple[str, frozenset[tuple[str, str]]]]


def series_of(exposition: str) -> Series:
    families = text_string_to_metric_families(exposition)
    return frozenset(
        (sample.name, frozenset(sample.labels.items())) for family in families for sample in family.samples
    )


async def scrape(sc: RunningSidecar) -> str:
    answer = await SSEClient("127.0.0.1", sc.admin_port).fetch("GET", "/metrics")
    assert answer.status == 200
    return answer.raw.decode()


def backend(chance: random.Random) -> FakeUpstream:
    def answer(_request: RecordedRequest) -> Script:
        events = b"".join(b"id: %d\nevent: e%d\ndata: 1\n\n" % (n, chance.getrandbits(9)) for n in range(3))
        statuses = (200, 201, 301, 404, 418, 500, 599)
        ends: tuple[Ending, ...] = ("end", "fin", "reset")
        if chance.random() < 0.5:
            return sse(events, then=chance.choice(ends))
        return plain(chance.choice(statuses), [("X-Route", "other")], b"?" * chance.randrange(99))

    return FakeUpstream(answer)


def nasty(chance: random.Random, count: int = 6) -> str:
    return "".join(
        chance.choice((*NASTY, str(chance.getrandbits(60)))) for _ in range(chance.randint(0, count))
    )


PATHS = (
    "/v1/",
    "/feed?",
    "/feed",
    "/",
    "/_sse/streams/",
    "/_sse/",
    "/__canary__/",
    "/_sse/reports?",
    "/v1/../feed?",
)
"""Each gets its share of the requests, whatever the seed, so that no route is left out."""


async def attack(client: SSEClient, chance: random.Random, path: str, known: list[str]) -> None:
    """Send one request that somebody made up, to something below ``path``."""
    forged = chance.choice([*known, f"s1{'A' * 40}.1", "7", nasty(chance)])
    position = ("Last-Event-ID", forged.encode("ascii", "ignore").decode())
    fields = [
        (name, nasty(chance).encode("ascii", "ignore").decode()) for name in FIELDS if chance.random() < 0.4
    ]
    target = path + nasty(chance).encode("ascii", "ignore").decode()
    method = chance.choice(METHODS)
    response = await client.fetch(
        method, target, [position, *(f for f in fields if f[0] != position[0])], within_s=20
    )
    known += [f"{token}.{chance.randrange(9)}" for token in response.headers.all("SSE-Stream")]


async def test_hostile_traffic_makes_no_series() -> None:
    seed = int(os.environ.get("SERIES_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    chance = random.Random(seed)
    known: list[str] = []
    try:
        async with (
            backend(chance) as up,
            running(up.url, routes=ROUTES, canary_interval_s=0.2) as sc,
        ):
            before = series_of(await scrape(sc))
            for number in range(REQUESTS):
                await attack(sc.client, chance, PATHS[number % len(PATHS)], known)
            after = series_of(await scrape(sc))
            assert known, "no stream at all: the attack is too weak"
            assert after == before
            for route in ("chat", "feed", "default", CANARY_ROUTE):
                assert sc.metric("sse_requests_total", route=route) > 0, f"{route} was not attacked"
    except BaseException as error:
        error.add_note(f"again with SERIES_SEED={seed}")
        raise


def test_the_fullest_configuration_stays_below_the_bound() -> None:
    names = [f"route-{number}" for number in range(ROUTES_MAX)]
    metrics = Metrics([*names, "default", CANARY_ROUTE], "1.2.3")
    found = series_of(metrics.exposition("")[0].decode())
    of_one = sum(dict(labels).get("route") == "default" for _, labels in found)
    of_process = sum("route" not in dict(labels) for _, labels in found)
    assert of_one <= SERIES_PER_ROUTE_MAX
    assert of_process <= SERIES_OF_PROCESS_MAX
    assert len(found) == of_one * (ROUTES_MAX + 2) + of_process <= SERIES_MAX


def test_the_page_states_the_bound_that_is_held() -> None:
    stated = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\b", PAGE.read_text())}
    assert {SERIES_PER_ROUTE_MAX, SERIES_OF_PROCESS_MAX, SERIES_MAX, ROUTES_MAX} <= stated


async def test_what_is_scraped_is_what_the_catalogue_declares_and_all_of_it() -> None:
    async with running("http://127.0.0.1:1", routes=ROUTES) as sc:
        text = await scrape(sc)
    exported = dict(re.findall(r"^# TYPE (sse_\w+) (\w+)$", text, re.MULTILINE))
    assert exported == {metric.name: metric.kind for metric in CATALOGUE}
    helps = dict(re.findall(r"^# HELP (sse_\w+) (.+)$", text, re.MULTILINE))
    assert helps == {metric.name: metric.help for metric in CATALOGUE}


@pytest.mark.prometheus
@needs_promtool
async def test_promtool_finds_nothing_wrong_with_a_scrape(tmp_path: Path) -> None:
    async with running("http://127.0.0.1:1", routes=ROUTES, canary_interval_s=0.1) as sc:
        await sc.until(lambda: sc.metric("sse_canary_last_pass_timestamp_seconds"))
        (tmp_path / "scrape").write_text(await scrape(sc))
    checked = tool("sh", "-c", f"promtool check metrics < {tmp_path / 'scrape'}")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
