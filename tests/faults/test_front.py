"""A proxy in front that buffers what it is given and cuts what is silent: nginx as it comes."""

import time
from pathlib import Path

import pytest

from tests.kit.client import SSEClient
from tests.kit.nginx import needs_nginx, nginx
from tests.kit.protocols import OPENAI
from tests.kit.relayed import relayed

pytestmark = [pytest.mark.nginx, needs_nginx, pytest.mark.slow]

IDLE_S = 2
SITE = f"""\
upstream sidecars {{ server 127.0.0.1:8080; }}
server {{ listen 443 ssl http2;
  location / {{ proxy_pass http://sidecars; proxy_http_version 1.1; proxy_set_header Connection "";
               proxy_read_timeout {IDLE_S}s; }} }}
"""
"""Buffering is on, as nginx has it unless it is told otherwise."""


async def test_behind_nginx_streams_survive_silence_beyond_its_limit(
    tmp_path: Path,
) -> None:
    async with relayed({"heartbeat_s": 0.5, "upstream_idle_s": 0, "stall_s": 0}) as (up, sc):
        hand = up.by_hand()
        async with (
            nginx(SITE, tmp_path, {"127.0.0.1:8080": f"127.0.0.1:{sc.port}"}) as port,
            SSEClient("127.0.0.1", port).open("POST", "/v1/chat") as response,
        ):
            upstream = await hand.connection()
            await upstream.write(OPENAI.first)
            await response.event()
            began = time.monotonic()
            await response.read_until(lambda _: time.monotonic() > began + 2.5 * IDLE_S, 10 * IDLE_S)
            assert len(response.comments) >= 3
            await upstream.write(OPENAI.terminal)
            await upstream.end()
            await response.read_to_end()
            assert (response.ended, len(response.seen)) == ("clean", 2)
        assert sc.outcomes() == {"completed": 1}


async def test_a_stream_that_nginx_has_cut_is_resumed_through_it(tmp_path: Path) -> None:
    async with relayed({"heartbeat_s": 0, "upstream_idle_s": 0, "stall_s": 0}) as (up, sc):
        hand = up.by_hand()
        async with nginx(SITE, tmp_path, {"127.0.0.1:8080": f"127.0.0.1:{sc.port}"}) as port:
            client = SSEClient("127.0.0.1", port)
            async with client.open("POST", "/v1/chat") as response:
                upstream = await hand.connection()
                await upstream.write(OPENAI.first)
                await response.event()
                await response.read_to_end(10 * IDLE_S)
                assert response.ended == "aborted"
            await upstream.write(OPENAI.first)
            async with client.resume(response.last_event_id, "GET", "/v1/chat") as resumed:
                assert (await resumed.event()).last_event_id.endswith(".2")
                await upstream.write(OPENAI.terminal)
                await upstream.end()
                await resumed.read_to_end()
        await sc.until(lambda: sc.outcomes() == {"completed": 1})
        assert len(up.requests) == 1
