"""Paths to servers that want TLS: people speak in the clear, the server hears TLS."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.faultnet.target import ListenAddress, PathError
from sidecar.faultnet.tls_relay import tls_relay
from tests.kit.deadline import within
from tests.kit.remote_server import BOTH_KINDS
from tests.kit.user_process import run_to_end

ROOT = Path(__file__).parents[3]
WAIT_S = 30.0
MIB = 1024 * 1024
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ASK = """
import asyncio, sys
from urllib.parse import urlsplit
from sidecar.faultnet.paths import path_to

async def main():
    url, kind = sys.argv[1:]
    async with path_to(url, kind, 0) as path:
        async def people():
            there = urlsplit(path.url(url))
            reader, writer = await asyncio.open_connection(there.hostname, there.port)
            writer.write(b"hello")
            said = await reader.readexactly(5)
            writer.transport.abort()
            await asyncio.sleep(0)
            return said
        print(path.kind, "TLS" in path.pieces, path.url(url)[:7], await path.run(people))

asyncio.run(main())
"""

pytestmark = pytest.mark.needs("openssl")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, with its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    file = folder / "both.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run(
        [*made, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True
    )
    file.write_text((folder / "key").read_text() + (folder / "cert").read_text())
    return file


@asynccontextmanager
async def _echo(certificate: Path) -> AsyncIterator[ListenAddress]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    tasks: set[asyncio.Task[None]] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
                if data.endswith(b"bye"):
                    break
        except OSError:
            pass  # the other side has had enough
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(echo(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield ListenAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _believing(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


async def test_what_is_said_in_the_clear_is_heard_by_tls_and_answered(certificate: Path) -> None:
    async with _echo(certificate) as server, tls_relay(server, _believing(certificate)) as relay:
        reader, writer = await asyncio.open_connection(*relay)
        said = bytes(range(256)) * 4096
        writer.write(said)
        async with within(WAIT_S, lambda: "not all came back"):
            assert await reader.readexactly(MIB) == said
        writer.write(b"bye")
        async with within(WAIT_S, lambda: "no end"):
            assert await reader.read() == b"bye"
        writer.close()
        await writer.wait_closed()


async def test_a_server_that_is_not_who_it_says_is_no_target(certificate: Path) -> None:
    async with _echo(certificate) as server:
        with pytest.raises(PathError, match=rf"^no TLS with 127.0.0.1:{server.port}: .*certificate"):
            async with tls_relay(server):
                pass


async def test_a_server_that_is_not_there_is_no_target() -> None:
    with pytest.raises(PathError, match=r"^no TLS with 127.0.0.1:1: "):
        async with tls_relay(ListenAddress("127.0.0.1", 1)):
            pass


@pytest.mark.parametrize("kind", BOTH_KINDS)
async def test_both_kinds_of_paths_lead_to_it(certificate: Path, kind: str) -> None:
    async with _echo(certificate) as server:
        asked = [sys.executable, "-c", ASK, f"https://127.0.0.1:{server.port}/x", kind]
        env = {"SSL_CERT_FILE": str(certificate), "PATH": PATH}
        ended = await run_to_end(*asked, within_s=WAIT_S, cwd=ROOT, env=env)
        assert ended.stdout == f"{kind} True http:// b'hello'\n"
