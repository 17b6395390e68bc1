"""Who may talk to the admin listener: no rebound name, no stranger, no other site's page."""

import pytest

from sidecar.observability.labels import Outcome
from tests.kit.held import Held

TOKEN = "correct-horse-battery-staple"
EVERY_PATH = ("/overview", "/metrics", "/readyz", "/streams", "/streams/s1x", "/nothing")


class TestHost:
    @pytest.mark.parametrize(
        "host", ["localhost", "localhost:9464", "127.0.0.1", "127.0.0.1:1", "[::1]:9464", "LOCALHOST:80"]
    )
    async def test_on_loopback_the_names_of_loopback_are_served(self, host: str) -> None:
        async with Held().client() as client:
            assert (await client.get("/livez", headers={"Host": host})).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "::1",
            "",
            "[",
        ],
    )
    async def test_on_loopback_any_other_name_is_a_rebound_one(self, host: str) -> None:
        async with Held().client() as client:
            answer = await client.get("/livez", headers={"Host": host})
        assert answer.status_code == 421
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_a_second_host_does_not_hide_behind_a_good_one(self) -> None:
        async with Held().client() as client:
            answer = await client.get("/livez", headers=[("Host", "localhost"), ("Host", "evil.example")])
        assert answer.status_code == 421

    async def test_on_loopback_a_request_that_names_no_host_is_refused(self) -> None:
        async with Held().client() as client:
            request = client.build_request("GET", "/livez")
            del request.headers["Host"]
            assert (await client.send(request)).status_code == 421

    async def test_bound_to_all_addresses_every_name_is_served(self) -> None:
        async with Held().client(host="0.0.0.0") as client:
            assert (await client.get("/readyz", headers={"Host": "sidecar:9464"})).status_code == 200

    async def test_another_loopback_address_is_served_by_its_own_name(self) -> None:
        async with Held().client(host="127.0.0.2") as client:
            assert (await client.get("/livez", headers={"Host": "127.0.0.2:9464"})).status_code == 200

    async def test_the_ipv6_loopback_is_loopback(self) -> None:
        async with Held().client(host="::1") as client:
            assert (await client.get("/livez", headers={"Host": "[::1]:9464"})).status_code == 200
            assert (await client.get("/livez", headers={"Host": "evil.example"})).status_code == 421


class TestToken:
    @pytest.mark.parametrize("path", EVERY_PATH)
    async def test_without_the_token_nothing_is_told(self, path: str) -> None:
        async with Held().client(token=TOKEN) as client:
            answer = await client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="sse-sidecar admin"'

    async def test_liveness_is_asked_without_a_token(self) -> None:
        async with Held().client(token=TOKEN) as client:
            assert (await client.get("/livez")).status_code == 200

    @pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/streams/s1x"])
    async def test_the_page_itself_tells_nothing_and_asks_for_the_token(self, path: str) -> None:
        held = Held()
        held.stream("chat")
        async with held.client(token=TOKEN) as client:
            answer = await client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
        assert answer.status_code == 200
        assert "chat" not in answer.text

    @pytest.mark.parametrize(
        "path", ["/streams", "/streams/", "/streams/s1x/cancel", "/overview", "/metrics"]
    )
    async def test_a_browser_without_the_token_gets_the_page_and_no_more(self, path: str) -> None:
        async with Held().client(token=TOKEN) as client:
            assert (await client.get(path, headers={"Accept": "text/html"})).status_code == 401
            assert (await client.post(path, headers={"Accept": "text/html"})).status_code == 401

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    async def test_with_the_token_everything_is_told(self, scheme: str) -> None:
        async with Held().client(token=TOKEN) as client:
            answer = await client.get("/streams", headers={"Authorization": f"{scheme} {TOKEN}"})
        assert (answer.status_code, answer.json()) == (200, [])

    @pytest.mark.parametrize(
        "authorization", ["", TOKEN, "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer caf\xe9"]
    )
    async def test_what_is_not_the_token_does_not_pass(self, authorization: str) -> None:
        async with Held().client(token=TOKEN) as client:
            headers = [(b"Authorization", authorization.encode("latin-1"))]
            assert (await client.get("/streams", headers=headers)).status_code == 401

    async def test_a_stranger_cannot_cancel(self) -> None:
        held = Held()
        stream = held.stream()
        async with held.client(token=TOKEN) as client:
            assert (await client.post(f"/streams/{stream.id}/cancel")).status_code == 401
        assert stream.outcome is None


class TestOrigin:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:9464"},
            {"Origin": "https://evil.example"},
            {"Origin": "http://localhost:8080"},
            {"Origin": "null"},
        ],
        ids=str,
    )
    async def test_another_site_s_page_cannot_cancel(self, headers: dict[str, str]) -> None:
        held = Held()
        stream = held.stream()
        async with held.client() as client:
            answer = await client.post(f"/streams/{stream.id}/cancel", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "err-sidecar-cross-site")
        assert stream.outcome is None

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "http://localhost:9464"},
        ],
        ids=str,
    )
    async def test_the_listener_s_own_page_and_programs_can(self, headers: dict[str, str]) -> None:
        held = Held()
        stream = held.stream()
        async with held.client() as client:
            assert (await client.post(f"/streams/{stream.id}/cancel", headers=headers)).status_code == 204
        assert stream.outcome is Outcome.CLIENT_CANCELLED

    async def test_another_site_s_page_may_follow_a_link_here(self) -> None:
        async with Held().client() as client:
            assert (await client.get("/", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200
