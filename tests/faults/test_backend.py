"""The backend, or its name, is not there: said at once, asked for once, and served as soon as it is back."""

import asyncio
import socket

import pytest

from sidecar.http1.upstream.connection import DNS_TTL_S
from tests.kit.fake_resolver import ResolverLoop, run_with_resolver
from tests.kit.fake_upstream import (
    SSE_HEADERS,
    FakeUpstream,
    RecordedRequest,
    Script,
    UpstreamConnection,
    plain,
    sse,
)
from tests.kit.head import FieldLines
from tests.kit.relayed import relayed
from tests.kit.running import RunningSidecar, running

NAME = "backend.example"
REQUESTS = 100
POOLS = 2
"""Of connections: one for what may use a connection again, one for what may not. Each looks up for itself."""

LATE_S = 5.0
"""What a busy machine may add to a promise of time."""


def test_a_refusing_backend_is_tried_once_and_502_within_50_ms() -> None:
    run_with_resolver(_refused)


async def _refused(loop: ResolverLoop) -> None:
    async with relayed() as (up, sc):
        up.refuse()
        took_s = []
        for number in range(REQUESTS):
            began = loop.time()
            response = await sc.client.fetch(("GET", "POST")[number % 2], "/v1/chat", body=b"")
            took_s.append(loop.time() - began)
            assert response.status == 502
            assert response.header("Proxy-Status") == "sse-sidecar; error=connection_refused"
        assert loop.tried[up.port] == REQUESTS
        # The fastest of many: whatever the machine adds to some of them, the sidecar adds nothing of its own.
        assert min(took_s) <= 0.05, sorted(took_s)[:5]


async def test_a_silent_backend_is_504_while_other_routes_are_served() -> None:
    routes = [
        {"name": "hangs", "path": "/hangs/*", "first_byte_timeout_s": 2},
        {"name": "fine", "path": "/fine/*"},
    ]
    async with relayed(routes=routes) as (up, sc):
        up.route(_hangs_or_is_fine)
        loop = asyncio.get_running_loop()
        began = loop.time()
        hanging = [asyncio.ensure_future(sc.client.fetch("GET", f"/hangs/{n}")) for n in range(50)]
        await up.request(49)
        for number in range(50):
            assert (await sc.client.fetch("GET", f"/fine/{number}")).raw == b"ok"
        answers = await asyncio.gather(*hanging)
        assert 2 <= loop.time() - began <= 2 + LATE_S
        assert {answer.status for answer in answers} == {504}
        assert sum(request.target.startswith("/hangs/") for request in up.requests) == 50


def _hangs_or_is_fine(request: RecordedRequest) -> Script:
    return plain(body=b"ok") if request.target.startswith("/fine/") else _silent


async def _silent(connection: UpstreamConnection) -> None:
    await connection.stall()


def test_a_slow_name_is_looked_up_once_within_the_connect_time() -> None:
    run_with_resolver(_slow_name)


async def _slow_name(loop: ResolverLoop) -> None:
    answers = asyncio.Event()

    async def slow() -> str:
        await answers.wait()
        return "127.0.0.1"

    loop.names[NAME] = slow
    async with FakeUpstream() as up, running(f"http://{NAME}:{up.port}", {"connect_timeout_s": 1}) as sc:
        up.route(lambda _: plain(body=b"ok"))
        for _ in range(2):
            began = loop.time()
            asking = [sc.client.fetch(("GET", "POST")[n % 2], "/", body=b"") for n in range(REQUESTS)]
            assert {response.status for response in await asyncio.gather(*asking)} == {504}
            assert 1 <= loop.time() - began <= 1 + LATE_S
        assert loop.lookups_at_once_max <= POOLS
        answers.set()
        assert (await sc.client.fetch("GET", "/")).raw == b"ok"


@pytest.mark.slow
def test_a_failed_lookup_is_502_or_the_last_known_address() -> None:
    run_with_resolver(_flipping_name)


async def _flipping_name(loop: ResolverLoop) -> None:
    addresses = ["127.0.0.1"]

    async def flipping() -> str:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return addresses[0]

    loop.names[NAME] = flipping
    async with FakeUpstream() as old, FakeUpstream() as new:
        new.refuse()
        new.host, new.port = "127.0.0.2", old.port
        await new.accept()
        old.route(lambda _: plain(body=b"old"))
        new.route(lambda _: plain(body=b"new"))
        async with running(f"http://{NAME}:{old.port}") as sc:
            assert await _asked(sc) == b"old"
            addresses.clear()
            assert await _asked(sc) == b"old"
            flipped_at = loop.time()
            while (answer := await _asked(sc)) == b"old":
                assert loop.time() < flipped_at + DNS_TTL_S + LATE_S
                await asyncio.sleep(0.1)
            assert answer == b"dns_error"
            addresses.append("127.0.0.2")
            assert await _asked(sc) == b"new"
            assert loop.lookups <= 2 * (loop.time() - flipped_at) / DNS_TTL_S + 4


async def _asked(sc: RunningSidecar) -> bytes:
    """Return who answered, or the reason that the sidecar gives."""
    response = await sc.client.fetch("POST", "/", body=b"{}")
    return response.raw if response.status == 200 else _reason(response.header("Proxy-Status"))


def _reason(proxy_status: str | None) -> bytes:
    return (proxy_status or "").rpartition("error=")[2].encode()


FAILURES: list[tuple[int, FieldLines, bytes]] = [
    (500, [("Content-Type", "text/plain")], b"Internal Server Error"),
    (502, [("Content-Type", "text/html"), ("X-Request-Id", "7")], b"<h1>Bad Gateway</h1>"),
    (503, [("Retry-After", "3"), ("Content-Type", "application/json")], b'{"error":{"message":"busy"}}'),
    (503, SSE_HEADERS, b"event: error\ndata: overloaded\n\n"),
    (529, [("Content-Type", "application/json")], b'{"type":"error"}'),
]


async def test_a_burst_of_5xx_passes_unchanged_without_retries() -> None:
    async with relayed() as (up, sc):
        burst = [FAILURES[number % len(FAILURES)] for number in range(REQUESTS)]
        async with sc.client.connect() as connection:
            for status, fields, body in burst:
                up.script(plain(status, fields, body))
                response = await sc.client.request(
                    connection, "POST", "/v1/chat", [("Accept", "text/event-stream")], b"{}"
                )
                await response.read_to_end()
                assert (response.status, response.raw, response.ended) == (status, body, "clean")
                assert {name: response.header(name) for name, _ in fields} == dict(fields)
        up.script(sse(b"data: 1\n\n"))
        async with sc.client.open("POST", "/v1/chat") as stream:
            await stream.read_to_end()
        assert ([event.data for event in stream.seen], stream.ended) == (["1"], "clean")
        assert len(up.requests) == REQUESTS + 1
        assert sc.metric("sse_requests_total", code_class="5xx") == REQUESTS
        assert sc.outcomes() == {"completed": 1}


async def test_a_backend_restart_fails_streams_and_then_serves_again() -> None:
    async with relayed() as (up, sc):
        for _ in range(3):
            await _restart(up, sc)
        assert sc.outcomes() == {"upstream_truncated": 30, "completed": 30}
        assert sc.metric("sse_silent_failures_total", disposition="leaked") == 0


async def _restart(up: FakeUpstream, sc: RunningSidecar) -> None:
    killed = asyncio.Event()
    up.script(*(sse(b"data: 1\n\n", killed, then="reset") for _ in range(10)))
    live = [asyncio.ensure_future(sc.client.fetch("POST", f"/live/{n}", body=b"{}")) for n in range(10)]
    await sc.until(lambda: sc.metric("sse_streams_active") == 10)
    up.refuse()
    killed.set()
    for response in await asyncio.gather(*live):
        assert (response.seen[0].data, response.ended) == ("1", "aborted")
        assert "err-sidecar-upstream-reset" in response.seen[-1].data
    for _ in range(10):
        assert (await sc.client.fetch("POST", "/new", body=b"{}")).status == 502
    await up.accept()
    up.script(*(sse(b"data: 2\n\n") for _ in range(10)))
    for number in range(10):  # the very first too: nothing of the outage is waited for
        response = await sc.client.fetch("POST", f"/new/{number}", body=b"{}")
        assert (response.status, response.ended) == (200, "clean")
