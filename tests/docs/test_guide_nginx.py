"""docs/implementation-guide.md: its nginx configurations, run by a real nginx with the sidecar behind it."""

import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from tests.kit.client import SSEClient
from tests.kit.demo_backend import demo_backend
from tests.kit.nginx import needs_nginx, nginx
from tests.kit.running import RunningSidecar, running
from tests.kit.snippets import DOCS, snippets

pytestmark = [pytest.mark.nginx, needs_nginx]

GUIDE = (DOCS / "implementation-guide.md").read_text(encoding="utf-8")
FILES = snippets("implementation-guide.md")
ANNOTATIONS = yaml.safe_load(FILES["ingress.yaml"])["metadata"]["annotations"]
PREFIX = "nginx.ingress.kubernetes.io/"
DIRECTIVES = {
    "proxy-buffering": "proxy_buffering {};",
    "proxy-http-version": "proxy_http_version {};",
    "proxy-read-timeout": "proxy_read_timeout {}s;",
    "proxy-send-timeout": "proxy_send_timeout {}s;",
    "proxy-body-size": "client_max_body_size {};",
}
"""What ingress-nginx makes of an annotation, in the location of its path."""

USERS = 400
CHAT = "/api/chat?n=6&interval_ms=5&seed=guide"
BRIEF = "/api/chat?n=1&interval_ms=0"


def _ingress() -> str:
    """Return the site that the annotations of the ingress become."""
    values = {name.removeprefix(PREFIX): value for name, value in ANNOTATIONS.items()}
    upstream = f"hash {values.pop('upstream-hash-by')} consistent; server 127.0.0.1:8080; keepalive 64;"
    inside = " ".join(DIRECTIVES[name].format(value) for name, value in values.items())
    connection = 'proxy_set_header Connection ""; proxy_set_header Host $host;'
    location = f"location / {{ proxy_pass http://sidecars; {connection} {inside} }}"
    return f"upstream sidecars {{ {upstream} }}\nserver {{ listen 443 ssl http2;\n {location} }}\n"


SITES = {"nginx": FILES["nginx-sse.conf"], "ingress": _ingress(), "canary": FILES["nginx-canary.conf"]}
EVERYBODY = {"nginx": (), "ingress": (), "canary": ("    *       webapi;", "    *  sse_sidecar;")}


class Way:
    """A backend, the sidecar, nginx in front, and a client of it all."""

    def __init__(self, sidecar: RunningSidecar, port: int) -> None:
        self.sidecar = sidecar
        self.client = SSEClient("127.0.0.1", port)

    async def goes_to_the_sidecar(self, headers: list[tuple[str, str]], target: str = CHAT) -> bool:
        """Ask, and tell which side has answered."""
        async with self.client.open("GET", target, headers) as response:
            return (
                "sse-sidecar" in (response.header("via") or "") or response.header("sse-stream") is not None
            )


@asynccontextmanager
async def way(site: str, folder: Path) -> AsyncIterator[Way]:
    """Bring up a site of the guide."""
    route = {"heartbeat_s": 0.2, "complete_on": "done"}
    async with demo_backend() as backend, running(f"http://127.0.0.1:{backend.port}", route) as sidecar:
        addresses = {
            "127.0.0.1:8080": f"127.0.0.1:{sidecar.port}",
            "127.0.0.1:8000": f"127.0.0.1:{backend.port}",
        }
        async with nginx(site, folder, addresses) as port:
            yield Way(sidecar, port)


def _site(name: str) -> str:
    site = SITES[name]
    if EVERYBODY[name]:
        old, new = EVERYBODY[name]
        assert old in site
        site = site.replace(old, new)
    return site


@pytest.mark.parametrize("name", SITES)
async def test_events_come_when_they_are_written_and_heartbeats_too(name: str, tmp_path: Path) -> None:
    async with way(_site(name), tmp_path) as through:
        silent = f"{CHAT}&fault=stall&at=3&stall_s=60"
        async with through.client.open("GET", silent) as response:
            assert len(await response.take(2)) == 2
            await response.read_until(b": hb")
            assert response.ended == "open"


@pytest.mark.parametrize("name", SITES)
async def test_a_cut_client_resumes_and_the_backend_sees_one_request(name: str, tmp_path: Path) -> None:
    async with way(_site(name), tmp_path) as through:
        whole = (await through.client.fetch("GET", CHAT)).seen
        async with through.client.open("GET", f"{CHAT}&at=3") as response:
            first = await response.take(3)
            await response.cut()
        async with through.client.resume(first[-1].last_event_id, "GET", f"{CHAT}&at=3") as response:
            await response.read_to_end()
            rest = response.seen
        assert [event.data for event in (*first, *rest)] == [event.data for event in whole]
        assert through.sidecar.metric("sse_generations_saved_total", route="all") == 1


@pytest.mark.parametrize("name", SITES)
async def test_a_failure_is_told_and_then_no_proper_end(name: str, tmp_path: Path) -> None:
    async with way(_site(name), tmp_path) as through:
        response = await through.client.fetch(
            "GET", f"{CHAT}&fault=reset&at=3", [("Accept", "text/event-stream")]
        )
        assert response.seen[-1].type == "sse-error"
        assert response.ended == "aborted"


@pytest.mark.parametrize("name", SITES)
async def test_a_client_that_leaves_is_noticed(name: str, tmp_path: Path) -> None:
    async with way(_site(name), tmp_path) as through:
        async with through.client.open("GET", f"{CHAT}&fault=stall&at=3&stall_s=60") as response:
            await response.take(2)
            assert through.sidecar.metric("sse_subscribers", route="all") == 1
        await through.sidecar.until(lambda: through.sidecar.metric("sse_subscribers", route="all") == 0)


class TestCanary:
    async def test_about_five_per_cent_of_users_always_reach_the_sidecar(self, tmp_path: Path) -> None:
        async with way(SITES["canary"], tmp_path) as through:
            drawn = [await through.goes_to_the_sidecar(_user(number), BRIEF) for number in range(USERS)]
            again = [await through.goes_to_the_sidecar(_user(number), BRIEF) for number in range(40)]
        assert USERS * 0.02 < sum(drawn) < USERS * 0.1
        assert again == drawn[:40]

    async def test_resumes_and_sidecar_paths_reach_it_for_every_user(self, tmp_path: Path) -> None:
        async with way(_rolled_back(), tmp_path) as through:
            stream = (await through.sidecar.client.fetch("GET", CHAT, [("Accept", "text/event-stream")])).seen
            position = stream[2].last_event_id
            rest = await through.client.fetch("GET", CHAT, [("Last-Event-ID", position)])
            by_query = await through.client.fetch("GET", f"{CHAT}&last_event_id={position}")
            script = await through.client.fetch("GET", "/_sse/client.js")
        assert [event.data for event in rest.seen] == [event.data for event in stream[3:]]
        assert by_query.raw == rest.raw
        assert script.status == 200

    async def test_rolled_back_everybody_else_goes_to_the_backend(self, tmp_path: Path) -> None:
        async with way(_rolled_back(), tmp_path) as through:
            drawn = [await through.goes_to_the_sidecar(_user(number), BRIEF) for number in range(60)]
            foreign = await through.goes_to_the_sidecar([("Last-Event-ID", "7")])
        assert not any(drawn)
        assert not foreign

    async def test_the_target_arrives_as_it_was_sent(self, tmp_path: Path) -> None:
        async with way(_site("canary"), tmp_path) as through:
            answer = await through.client.fetch("GET", "/api/stats?x=%2F%20y")
        assert answer.status == 200


def _user(number: int) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer user-{number}")]


def _rolled_back() -> str:
    """Return the canary's site after the ``sed`` of the guide."""
    (expression,) = re.findall(r"^sed -i '(.*?)' ", GUIDE, re.MULTILINE)
    site = SITES["canary"]
    left = subprocess.run(["sed", expression], input=site, capture_output=True, text=True, check=True).stdout
    assert len(left.splitlines()) == len(site.splitlines()) - 1
    return left
