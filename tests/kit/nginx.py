"""A real nginx on loopback, with a site as docs/ shows it."""

import asyncio
import contextlib
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.bench.proxies import SEARCH_PATH, free_port
from tests.kit.deadline import WAIT_S
from tests.kit.user_process import UserProcess, user_process

NGINX = shutil.which("nginx", path=SEARCH_PATH)
POLL_S = 0.02
STOP_S = 5.0

needs_nginx = pytest.mark.needs("nginx")

CONFIG = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
TLS = re.compile(r"^ *ssl_certificate.*\n", re.MULTILINE)


def on_loopback(site: str, port: int, addresses: Mapping[str, str]) -> str:
    """Return a site that listens in the clear on a port of loopback, its servers at other addresses."""
    site = TLS.sub("", site).replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};")
    for address, other in addresses.items():
        site = site.replace(f"server {address};", f"server {other};")
    return site


@contextlib.asynccontextmanager
async def nginx(site: str, folder: Path, addresses: Mapping[str, str]) -> AsyncIterator[int]:
    """Run nginx with a site for the length of a block, and give its port."""
    port = free_port()
    (folder / "site.conf").write_text(on_loopback(site, port, addresses))
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder))
    command = (str(NGINX), "-c", str(folder / "nginx.conf"), "-e", "stderr")
    async with user_process(*command, stderr=subprocess.PIPE) as process:
        await _until_it_listens(port, process)
        try:
            yield port
        finally:
            process.signal(signal.SIGTERM)
            await process.finish(STOP_S)


async def _until_it_listens(port: int, process: UserProcess) -> None:
    async with asyncio.timeout(WAIT_S):
        while process.process.returncode is None:
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(POLL_S)
    raise AssertionError((await process.finish(STOP_S)).stderr)
