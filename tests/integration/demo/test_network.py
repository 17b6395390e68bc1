"""The demo's network: what its switches do, that they mend by themselves, and who may press them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from sidecar.demo.network import Switches, breakable
from sidecar.demo.webapi import create_app
from sidecar.demo.webapi import running as running_backend
from tests.kit.client import SSEClient
from tests.kit.deadline import within

JSON = "application/json"


class Switchboard:
    """The switches, a client of them, and one of the backend over the network."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self.page = f"http://127.0.0.1:{switches.networks[0].port}"
        self.control = SSEClient("127.0.0.1", int(urlsplit(switches.url).port or 0))
        self.backend = SSEClient("127.0.0.1", switches.networks[0].port)

    async def press(self, fault: str, **fields: str) -> tuple[int, Any]:
        headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
        response = await self.control.fetch("POST", f"/{fault}", headers=headers)
        is_json = response.header("content-type") == JSON
        return response.status, response.json() if is_json else None


@asynccontextmanager
async def _broken() -> AsyncIterator[Switchboard]:
    async with (
        running_backend(create_app()) as url,
        breakable([(0, int(url.rpartition(":")[2]))]) as switches,
    ):
        yield Switchboard(switches)


async def _reaches(broken: Switchboard) -> bool:
    try:
        return (await broken.backend.fetch("GET", "/healthz")).status == 200
    except (OSError, AssertionError):
        return False


async def test_a_cut_network_lets_nobody_in_until_its_time_is_over() -> None:
    async with _broken() as broken:
        assert await _reaches(broken)
        status, state = await broken.press("cut?for_s=1.5")
        assert (status, state["state"]) == (200, "cut")
        assert 0 < state["left_s"] <= 1.5
        assert not await _reaches(broken)
        async with within(20, lambda: "it was never mended"):
            while not await _reaches(broken):
                pass
        assert (await broken.control.fetch("GET", "/")).json() == {"state": "works", "left_s": 0.0}


async def test_a_network_is_mended_on_request() -> None:
    async with _broken() as broken:
        for fault in ("cut", "silent", "lose"):
            assert (await broken.press(fault))[1]["state"] == fault
            assert (await broken.press("works"))[1] == {"state": "works", "left_s": 0.0}
            assert await _reaches(broken)


async def test_a_new_fault_replaces_the_one_before() -> None:
    async with _broken() as broken:
        await broken.press("cut?for_s=60")
        assert (await broken.press("lose?for_s=60"))[1]["state"] == "lose"
        assert await _reaches(broken)


async def test_lost_bytes_are_missing_from_what_is_under_way() -> None:
    target = "/api/chat?n=5000&interval_ms=1&seed=a"
    async with _broken() as broken, broken.backend.open("GET", target) as stream:
        await stream.take(1)
        await broken.press("lose")
        await stream.read_to_end(30)
        assert (stream.ended, stream.defect) != ("clean", "")


@pytest.mark.parametrize("query", ["for_s=0", "for_s=-1", "for_s=61", "for_s=inf", "for_s=nan", "for_s=x"])
async def test_a_time_that_cannot_be_is_refused(query: str) -> None:
    async with _broken() as broken:
        assert (await broken.press(f"cut?{query}"))[0] == 400
        assert await _reaches(broken)


async def test_an_unknown_fault_is_refused() -> None:
    async with _broken() as broken:
        assert (await broken.press("burn"))[0] == 404


async def test_only_the_demo_s_own_page_may_press_them() -> None:
    async with _broken() as broken:
        assert (await broken.press("works", Origin=broken.page, Sec_Fetch_Site="same-site"))[0] == 200
        for fields in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec_Fetch_Site": "cross-site"},
        ):
            assert (await broken.press("cut", **fields))[0] == 403
        assert await _reaches(broken)


async def test_its_page_may_read_the_answers_and_no_other_may() -> None:
    async with _broken() as broken:
        for origin, allowed in ((broken.page, broken.page), ("https://evil.example", None)):
            answer = await broken.control.fetch("GET", "/", headers=[("Origin", origin)])
            assert answer.header("access-control-allow-origin") == allowed


async def test_a_name_that_was_pointed_at_this_machine_leads_nowhere() -> None:
    async with _broken() as broken:
        assert (await broken.press("cut", Host="evil.example:80", Origin="http://evil.example:80"))[0] == 403
        assert (await broken.control.fetch("GET", "/", headers=[("Host", "evil.example")])).status == 421
        assert await _reaches(broken)


async def test_another_site_s_page_may_not_kill_the_backend() -> None:
    async with running_backend(create_app()) as url:
        client = SSEClient("127.0.0.1", int(url.rpartition(":")[2]))
        for headers in ([("Origin", "https://evil.example")], [("Sec-Fetch-Site", "cross-site")]):
            assert (await client.fetch("POST", "/demo/kill", headers=headers)).status == 403
        own = [("Origin", url), ("Sec-Fetch-Site", "same-origin")]
        assert (await client.fetch("POST", "/demo/kill", headers=own)).status == 202
