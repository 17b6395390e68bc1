"""A target in absolute-form is the same request as one in origin-form (RFC 9112, section 3.2.2)."""

import pytest

from tests.kit.fake_upstream import plain, sse
from tests.kit.relayed import relayed

FORMS = {
    "http://a.test/x?y": "/x?y",
    "HTTPS://a.test//x%2F?": "//x%2F?",
    "http://a.test?y": "/?y",
    "http://a.test": "/",
}


@pytest.mark.parametrize(("sent", "forwarded"), FORMS.items())
async def test_it_is_forwarded_in_origin_form_with_its_own_host(sent: str, forwarded: str) -> None:
    async with relayed() as (up, sc):
        up.script(plain(200, body=b"ok"))
        response = await sc.client.fetch("GET", sent, [("Host", "other.test")])
        assert response.raw == b"ok"
        request = up.requests[0]
        assert (request.target, request.headers.all("Host")) == (forwarded, ["a.test"])
        assert request.header("X-Forwarded-Host") == "a.test"


async def test_it_finds_its_route() -> None:
    async with relayed(routes=[{"name": "chat", "path": "/v1/*"}]) as (up, sc):
        up.script(sse(b"data: 1\n\n"))
        await sc.client.fetch("GET", "http://a.test/v1/chat", [("Accept", "text/event-stream")])
        assert sc.metric("sse_streams_started_total", route="chat") == 1


async def test_it_is_no_way_around_the_reserved_prefix() -> None:
    async with relayed() as (up, sc):
        response = await sc.client.fetch("DELETE", f"http://a.test/_sse/streams/s1{'A' * 40}")
        assert (response.status, response.json()["code"]) == (404, "err-sidecar-stream-not-found")
        assert up.requests == []


async def test_userinfo_in_it_is_refused() -> None:
    async with relayed() as (up, sc):
        response = await sc.client.fetch("GET", "http://user:secret@a.test/x")
        assert (response.status, response.json()["code"]) == (400, "err-sidecar-bad-request")
        assert up.requests == []
