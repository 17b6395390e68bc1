"""Connections that only hold on to the sidecar, or speak something else, cost little and are gone in time."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from sidecar.http1.request_clock import HEAD_S_MAX
from tests.kit.deadline import within
from tests.kit.fake_upstream import FakeUpstream, UpstreamConnection, plain
from tests.kit.open_files import allow_open_files
from tests.kit.served import Served, served

HELD = 5000
UPLOADS = 500
AT_ONCE = 50
FILES_MIN = 8192
DRIP_S = 1.0
SLICES = 25
"""Of a drip: what this process does at once would delay its honest requests too."""

HONEST_EVERY_S = 0.02
HONEST_P50_S = 1.0
HONEST_P99_S = 10.0
"""Measured: p99 0.04 s, and 1.3 s where three other programs wanted each processor."""

LATE_S = 30.0
"""What a busy machine may add to the moment when the last of them is closed."""

KIB = 1024
HELD_BYTES = 24 * KIB
"""Memory that one of them may cost, its socket's part outside the kernel included."""

HEAD = b"GET /slow HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 4000
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"


class Holder(asyncio.Protocol):
    """One connection that is held; ``received`` and ``closed`` say what became of it."""

    def __init__(self) -> None:
        self.received = b""
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


async def hold(sc: Served, number: int) -> list[Holder]:
    """Open so many connections, some at once."""
    loop = asyncio.get_running_loop()
    holders: list[Holder] = []
    while len(holders) < number:
        opening = [loop.create_connection(Holder, sc.client.host, sc.client.port) for _ in range(AT_ONCE)]
        holders += [protocol for _, protocol in await asyncio.gather(*opening)]
    return holders


async def drip(slow_heads: list[Holder], uploads: list[Holder]) -> None:
    """Send each a byte per DRIP_S, until cancelled."""
    for first in range(SLICES):
        for holder in uploads[first::SLICES]:
            holder.transport.write(UPLOAD)
        await asyncio.sleep(DRIP_S / SLICES)
    for at in count():
        for first in range(SLICES):
            for holder in slow_heads[first::SLICES]:
                if not holder.closed.is_set():
                    holder.transport.write(HEAD[at : at + 1])
            for holder in uploads[first::SLICES]:
                holder.transport.write(b"a")
            await asyncio.sleep(DRIP_S / SLICES)


async def ask_honestly(sidecars: list[Served], took_s: list[list[float]]) -> None:
    """Ask each again and again, and note how long its answers took, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        for sc, took in zip(sidecars, took_s, strict=True):
            began = loop.time()
            assert (await sc.client.fetch("GET", "/honest", within_s=LATE_S)).raw == b"ok"
            took.append(loop.time() - began)
        await asyncio.sleep(HONEST_EVERY_S)


async def answer(connection: UpstreamConnection) -> None:
    """Wait for an upload as long as it goes on, unlike ``plain``."""
    await connection.body(HEAD_S_MAX + 3 * LATE_S)
    await plain(body=b"ok")(connection)


@asynccontextmanager
async def attacked_and_spared(directory: Path) -> AsyncIterator[tuple[FakeUpstream, list[Served]]]:
    """Run two sidecars: what the machine itself makes of an honest request, the second one shows."""
    async with FakeUpstream(lambda _: answer) as up, AsyncExitStack() as both:
        folders = [directory / name for name in ("attacked", "spared")]
        for folder in folders:
            folder.mkdir()
        yield up, [await both.enter_async_context(served(up.url, folder, {})) for folder in folders]


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_5000_slow_connections_close_without_delaying_requests(
    tmp_path: Path,
) -> None:
    allow_open_files(FILES_MIN)
    async with attacked_and_spared(tmp_path) as (up, sidecars):
        sc = sidecars[0]
        before, files, took_s = sc.rss_bytes, sc.files, ([0.0], [0.0])
        held = await hold(sc, HELD)
        uploads, silent, slow_heads = held[:UPLOADS], held[UPLOADS : HELD // 2], held[HELD // 2 :]
        dripping = asyncio.ensure_future(drip(slow_heads, uploads))
        await up.request(UPLOADS - 1, LATE_S)
        asking = asyncio.ensure_future(ask_honestly(sidecars, list(took_s)))
        for holders, told in ((silent, b""), (slow_heads, b"HTTP/1.1 408 Request Timeout\r\n")):
            async with within(HEAD_S_MAX + LATE_S, lambda: "some are held for ever"):
                await asyncio.gather(*(holder.closed.wait() for holder in holders))
            assert {holder.received[: len(told)] for holder in holders} == {told}
        grown = sc.rss_bytes_max - before
        assert grown <= HELD * HELD_BYTES, grown
        for task in (asking, dripping):
            assert not task.done()
            task.cancel()
        for holder in uploads:
            holder.transport.abort()
        honest_s, slowest_elsewhere_s = sorted(took_s[0]), max(took_s[1])
        assert honest_s[len(honest_s) // 2] < HONEST_P50_S + slowest_elsewhere_s
        assert honest_s[int(len(honest_s) * 0.99)] < HONEST_P99_S + slowest_elsewhere_s
        await sc.until(lambda _: sc.files <= files + 8)
        assert sc.defects == []


PROBES = {
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMB": b"\x00\x00\x00\xa4\xff\x53\x4d\x42\x72\x00\x00\x00\x00\x08\x01\x40",
    "RDP": b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "SIP": b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n\r\n",
    "redis": b"*1\r\n$4\r\nINFO\r\n",
    "noise": random.Random(7).randbytes(200).replace(b"\n", b"\x00"),
}


async def test_a_port_scan_gets_400_and_debug_lines_only(
    tmp_path: Path,
) -> None:
    async with (
        FakeUpstream(lambda _: plain(body=b"ok")) as up,
        served(up.url, tmp_path, {}, log_level="debug") as sc,
    ):
        for _ in range(20):  # as a scan by SYN or by connect sees an open port
            async with sc.client.connect() as connection:
                await connection.cut()
        for probe in PROBES.values():
            async with sc.client.connect() as connection:
                await connection.send(probe)
                answer = await connection.read_to_close()
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), (probe, answer)
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection(sc.client.host, sc.client.port, ssl=_any_certificate())
        assert (await sc.client.fetch("GET", "/")).raw == b"ok"
        assert len(up.requests) == 1
        refused = [line for line in sc.lines if isinstance(line, dict) and line["event"] == "request refused"]
        assert {(line["level"], line["code"]) for line in refused} == {("debug", "err-sidecar-not-http")}
        assert len(refused) == len(PROBES) + 1
        assert sc.defects == []
        assert not [line for line in sc.lines[2:] if isinstance(line, dict) and line["level"] == "warning"]


def _any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
