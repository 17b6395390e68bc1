"""The canary: what it proves, what it notices, and that nobody else notices it."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from sidecar.config.routes import CANARY_ROUTE
from sidecar.config.settings import Settings
from sidecar.http1.upstream.client import AiohttpUpstream
from sidecar.server.canary.backend import CanaryBackend
from sidecar.server.canary.canary import Canary
from sidecar.server.canary.probe import CanaryProbe
from sidecar.server.canary.route import own_url
from tests.kit.client import SSEClient
from tests.kit.fake_upstream import FakeUpstream, RecordedRequest, UpstreamConnection, plain, sse
from tests.kit.running import RunningSidecar, running
from tests.kit.scrape import Scrape
from tests.kit.served import served
from tests.kit.tampering_proxy import Tamper, TamperingProxy, untouched

NOBODY = "http://127.0.0.1:1"
ONCE_S = 3600
"""An interval in which only the first canary comes."""

OFTEN_S = 0.05
SOON_S = 0.2
"""An interval for those that come through a proxy, which wait it before the first one too."""

EXIT_S = 3.0
LAST_PASS = "sse_canary_last_pass_timestamp_seconds"
MISMATCHES = "sse_canary_mismatches_total"
OF_THE_PROCESS = ("process_", "sse_event_loop_lag", "sse_watchdog", "sse_canary_")

Lines = list[MutableMapping[str, Any]]


def passed(sc: RunningSidecar) -> bool:
    return sc.metric(LAST_PASS) > 0


def failures(lines: Lines) -> Lines:
    return [line for line in lines if line["event"] == "canary failed"]


def of_users(scrape: Scrape) -> dict[tuple[str, ...], float]:
    """Return every sample that is not the canary's and not of the process as such."""
    return {
        (sample.name, *map(str, sorted(sample.labels.items()))): sample.value
        for sample in scrape.samples
        if sample.labels.get("route") != CANARY_ROUTE and not sample.name.startswith(OF_THE_PROCESS)
    }


@asynccontextmanager
async def meddled(*connections: Tamper, **settings: Any) -> AsyncIterator[tuple[RunningSidecar, Lines]]:
    """Run a sidecar whose canaries come through a proxy that meddles with the first; give the log too."""
    tampering_proxy = TamperingProxy(*connections)
    with capture_logs() as lines:
        async with (
            FakeUpstream(tampering_proxy) as front,
            running(NOBODY, canary_interval_s=SOON_S, canary_url=front.url, **settings) as sc,
        ):
            tampering_proxy.stand_before(sc.client)
            yield sc, lines


async def test_a_canary_comes_through_a_sound_sidecar_again_and_again() -> None:
    async with running(NOBODY, canary_interval_s=OFTEN_S) as sc:
        await sc.until(lambda: sc.metric("sse_streams_finished_total", outcome="completed") >= 5)
        assert passed(sc)
        assert sc.metric(MISMATCHES) == 0
        first = sc.metric(LAST_PASS)
        await sc.until(lambda: sc.metric(LAST_PASS) > first)
    assert sc.outcomes().keys() == {"completed"}


async def test_it_goes_all_the_way_of_a_user_who_is_cut_off_and_comes_back() -> None:
    async with running(NOBODY, canary_interval_s=ONCE_S) as sc:
        await sc.until(lambda: passed(sc))
        m = {
            name: sc.metric(f"sse_{name}", route=CANARY_ROUTE)
            for name in (
                "streams_started_total",
                "messages_received_total",
                "messages_delivered_total",
                "generations_saved_total",
                "streams_active",
            )
        }
        replayed = sc.metric("sse_messages_replayed_total", route=CANARY_ROUTE)
        back = sc.metric("sse_reconnect_duration_seconds_count", route=CANARY_ROUTE, outcome="resumed")
    assert m == {
        "streams_started_total": 1,
        "messages_received_total": 40,
        "messages_delivered_total": 40,
        "generations_saved_total": 1,
        "streams_active": 0,
    }
    assert 3 <= replayed < 40
    assert back == 1


async def test_nothing_that_counts_users_moves() -> None:
    async with running(NOBODY, canary_interval_s=0) as without:
        still = of_users(without.scrape())
    async with running(NOBODY, canary_interval_s=OFTEN_S) as sc:
        await sc.until(lambda: sc.metric("sse_streams_finished_total", outcome="completed") >= 3)
        assert of_users(sc.scrape()) == still


async def test_switched_off_there_is_none_and_its_series_stand_at_zero() -> None:
    async with running(NOBODY, canary_interval_s=0) as sc:
        of_canary = [sample for sample in sc.scrape().samples if sample.labels.get("route") == CANARY_ROUTE]
        assert of_canary
        assert {sample.value for sample in of_canary} == {0}
        assert (sc.metric(LAST_PASS), sc.metric(MISMATCHES)) == (0, 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"principal": ["capability"]},
        {"principal": ["cookie:session"], "auth_check": f"{NOBODY}/auth"},
        {"listen": "[::1]:0"},
        {"listen": "0.0.0.0:0"},
        {"reserved_prefix": "/of/my/own", "streams_max": 1, "streams_per_principal_max": 1},
        {
            "routes": [
                {"name": "default", "retain_s": 0, "linger_s": 0, "stamp": "never", "log_events_max": 1}
            ]
        },
    ],
)
async def test_what_is_set_for_users_is_nothing_to_it(settings: dict[str, Any]) -> None:
    async with running(NOBODY, canary_interval_s=ONCE_S, **settings) as sc:
        await sc.until(lambda: passed(sc) or sc.metric(MISMATCHES))
        assert sc.metric(MISMATCHES) == 0


async def test_what_came_through_is_let_go_and_what_did_not_is_kept_for_its_timeline() -> None:
    async with running(NOBODY, canary_interval_s=ONCE_S) as sc:
        await sc.until(lambda: passed(sc))
        assert sc.parts.hub.streams == {}
    async with meddled(lambda _: b"?") as (sc, lines):
        await sc.until(lambda: sc.metric(MISMATCHES))
        (line,) = failures(lines)
        async with SSEClient("127.0.0.1", sc.admin_port).open("GET", f"/streams/{line['stream']}") as kept:
            await kept.read_to_end()
        assert kept.json()["route"] == CANARY_ROUTE


def _losing_the_first(piece: bytes) -> bytes:
    return piece.partition(b"\n\n")[2]


def _losing_the_second(piece: bytes) -> bytes:
    first, *rest = piece.split(b"\n\n")
    return b"\n\n".join([first, *rest[1:]]) if rest[1:] else piece


def _swapping(piece: bytes) -> bytes:
    first, second, *rest = piece.split(b"\n\n")
    return b"\n\n".join([second, first, *rest]) if rest else piece


def _twice(piece: bytes) -> bytes:
    first, *rest = piece.split(b"\n\n")
    return b"\n\n".join([first, first, *rest])


def _with_a_comment(piece: bytes) -> bytes:
    return b": hello\n\n" + piece


def _with_another_id(piece: bytes) -> bytes:
    return piece.replace(b"id: s1", b"id: s2", 1)


def _without_line_feeds(piece: bytes) -> bytes:
    return piece.replace(b"\n", b"\r\n")


def _ending(_piece: bytes) -> None:
    return None


@pytest.mark.parametrize(
    "meddle",
    [
        _losing_the_first,
        _losing_the_second,
        _swapping,
        _twice,
        _with_a_comment,
        _with_another_id,
        _without_line_feeds,
        _ending,
    ],
)
@pytest.mark.parametrize("connection", [1, 2])
async def test_whatever_differs_is_counted_once_and_said_with_its_first_event(
    meddle: Tamper, connection: int
) -> None:
    async with meddled(*[untouched] * (connection - 1), meddle) as (sc, lines):
        await sc.until(lambda: sc.metric(MISMATCHES))
        assert sc.metric(MISMATCHES) == 1
        assert not passed(sc)
        (line,) = failures(lines)
        assert (line["code"], line["route"]) == ("err-sidecar-canary-mismatch", CANARY_ROUTE)
        assert re.match(r"event \d+: got .+, due .+", line["difference"])
        assert re.fullmatch(r"s1[A-Za-z0-9_-]{16}", line["stream"])
        assert line["log_level"] == "error"


async def test_a_proxy_that_leaves_it_alone_lets_it_pass() -> None:
    async with meddled() as (sc, lines):
        await sc.until(lambda: passed(sc))
        assert failures(lines) == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (plain(404), "status 404, not 200, asked for the stream"),
        (plain(503), "status 503, not 200, asked for the stream"),
        (sse(b"data: canary\n\n", then="reset"), "event 1: got b'data: canary.*', due .*"),
        (None, "err-sidecar-upstream-refused: .*"),
    ],
)
async def test_one_that_gets_no_answer_counts_too(
    script: Callable[[UpstreamConnection], Any] | None, said: str
) -> None:
    with capture_logs() as lines:
        async with FakeUpstream() as front:
            if script is None:
                front.refuse()
            else:
                front.route(lambda _: script)
            async with running(NOBODY, canary_interval_s=SOON_S, canary_url=front.url) as sc:
                await sc.until(lambda: sc.metric(MISMATCHES))
                (line,) = failures(lines)
                assert re.fullmatch(said, line["difference"])


async def test_one_that_is_not_through_in_time_counts_too() -> None:
    async with FakeUpstream() as front, running(NOBODY) as sc, AiohttpUpstream(front.url) as way:
        front.by_hand()
        probe = CanaryProbe(way, b"/x", "x", "x")
        parts = sc.parts
        canary = Canary(CanaryBackend(b"/x"), probe, parts.hub, parts.metrics, parts.readiness, 1, 0.2)
        with capture_logs() as lines:
            await canary.run_once()
        assert sc.metric(MISMATCHES) == 1
        assert failures(lines)[0]["difference"] == "not through after 0.2 s"


async def test_one_through_a_proxy_gives_it_an_interval_to_learn_that_this_instance_is_ready() -> None:
    loop = asyncio.get_running_loop()
    asked: list[float] = []

    def note(_request: RecordedRequest) -> Any:
        asked.append(loop.time())
        return plain(503)

    async with FakeUpstream(note) as front:
        began = loop.time()
        async with running(NOBODY, canary_interval_s=0.5, canary_url=front.url) as sc:
            await sc.until(lambda: asked)
    assert asked[0] - began >= 0.5


async def test_it_goes_on_after_a_failure() -> None:
    tampering_proxy = TamperingProxy(lambda _: None)
    async with (
        FakeUpstream(tampering_proxy) as front,
        running(NOBODY, canary_interval_s=OFTEN_S, canary_url=front.url) as sc,
    ):
        tampering_proxy.stand_before(sc.client)
        await sc.until(lambda: passed(sc))
        assert sc.metric(MISMATCHES) == 1


async def test_nobody_else_finds_it() -> None:
    asked: list[RecordedRequest] = []
    tampering_proxy = TamperingProxy()

    def remember(request: RecordedRequest) -> Any:
        asked.append(request)
        return tampering_proxy(request)

    async with (
        FakeUpstream(remember) as front,
        running(NOBODY, canary_interval_s=SOON_S, canary_url=front.url) as sc,
    ):
        tampering_proxy.stand_before(sc.client)
        await sc.until(lambda: passed(sc))
        target, first, back = asked[0].target, asked[0], asked[1]
        position = back.headers.get("Last-Event-ID")
        assert re.fullmatch(r"/_sse/[0-9a-f]{48}", target)
        guess = target[:-1] + ("0" if target[-1] != "0" else "1")
        nothing = await sc.client.fetch("GET", "/_sse/none", within_s=5)
        for method, path in (
            ("GET", guess),
            ("POST", guess),
            ("GET", f"{target}/"),
            ("GET", f"{target}?a=1"),
        ):
            found = await sc.client.fetch(method, path, within_s=5)
            assert (found.status, found.raw, found.headers) == (404, nothing.raw, nothing.headers)
        forged = [
            ("Last-Event-ID", str(position)),
            ("Authorization", str(first.headers.get("Authorization"))),
        ]
        for mine in (forged[:1], [forged[0], ("Authorization", "Bearer me")]):
            refused = await sc.client.fetch("GET", "/any", mine, within_s=5)
            assert (refused.status, refused.json()["code"]) == (404, "err-sidecar-stream-not-found")


async def test_its_backend_answers_nobody_without_the_path() -> None:
    async with running(NOBODY, canary_interval_s=ONCE_S) as sc:
        await sc.until(lambda: passed(sc))
        port = int(sc.parts.canary.backend_url.rpartition(":")[2])
        for target in ("/", "/_sse/", "/x?a=1"):
            answer = await SSEClient("127.0.0.1", port).fetch("GET", target, within_s=5)
            assert (answer.status, answer.raw) == (404, b"")


async def test_a_drain_waits_for_no_canary_and_counts_none_that_it_cuts(tmp_path: Path) -> None:
    held = asyncio.Event()

    def hold(_piece: bytes) -> bytes:
        held.set()
        return b""

    tampering_proxy = TamperingProxy(hold)
    async with (
        FakeUpstream(tampering_proxy) as front,
        served(
            NOBODY, tmp_path, canary_interval_s=SOON_S, canary_url=front.url, drain_s=600, log_level="debug"
        ) as sc,
    ):
        tampering_proxy.stand_before(sc.client)
        async with asyncio.timeout(EXIT_S):
            await held.wait()
        sc.signal(signal.SIGTERM)
        assert await sc.exited(EXIT_S) == 0
    assert sc.defects == []
    assert sc.ended_streams() == {"client_cancelled": 1}


async def test_a_sidecar_that_closes_in_the_middle_of_one_counts_and_says_nothing() -> None:
    held = asyncio.Event()

    def hold(_piece: bytes) -> bytes:
        held.set()
        return b""

    async with meddled(hold) as (sc, lines):
        await held.wait()
    assert sc.metric(MISMATCHES) == 0
    assert failures(lines) == []
    assert sc.outcomes() == {"client_cancelled": 1}


def test_no_route_of_users_can_have_its_name() -> None:
    with pytest.raises(ValidationError, match="routes"):
        Settings.model_validate({"upstream": NOBODY, "routes": [{"name": CANARY_ROUTE}]})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("10.1.2.3", "http://10.1.2.3:80"),
        ("::", "http://[::1]:80"),
        ("fd00::1", "http://[fd00::1]:80"),
    ],
)
def test_a_listener_is_reached_on_its_own_address_and_one_for_all_on_loopback(host: str, url: str) -> None:
    assert own_url(host, 80) == url
