"""A client that keeps coming back within seconds is asked to wait; a backend's own word stands."""

from tests.kit.fake_upstream import sse
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar

LADDER_MS = ((1000, 1100), (2000, 2200), (4000, 4400), (5000, 5500), (5000, 5500))


async def come_back(sc: RunningSidecar, first: Response, after: int, accept: str) -> Response:
    headers = [("Last-Event-ID", f"{first.header('SSE-Stream')}.{after}"), ("Accept", accept)]
    async with sc.client.open("GET", "/v1/chat", headers) as response:
        await response.event()
        await response.cut()
    return response


async def test_who_keeps_coming_back_waits_longer_each_time_and_first_not_at_all() -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\ndata: 2\n\n", then="stall"))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.take(2)
        assert first.retry_ms is None
        assert (await come_back(sc, first, 1, "text/event-stream")).retry_ms is None
        for least, most in LADDER_MS:
            response = await come_back(sc, first, 1, "text/event-stream")
            assert least <= (response.retry_ms or 0) <= most
            assert response.raw.startswith(b"retry: ")
            assert response.raw.endswith(b".2\n\n")
            assert response.raw.count(b"\n\n") == 1


async def test_an_unstamped_client_gets_no_hint() -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\ndata: 2\n\n", then="stall"))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.take(2)
        for _ in range(4):
            assert (await come_back(sc, first, 1, "application/json")).retry_ms is None


async def test_where_the_backend_says_how_long_to_wait_the_sidecar_does_not() -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"retry: 700\ndata: 1\n\n", b"data: 2\n\n", then="stall"))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.take(2)
        assert first.retry_ms == 700
        for _ in range(4):
            assert (await come_back(sc, first, 1, "text/event-stream")).retry_ms is None
            assert (await come_back(sc, first, 0, "text/event-stream")).retry_ms == 700
